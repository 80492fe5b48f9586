"""Which application serves a handler, and whether that application is unblocked."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any, NamedTuple, Optional

from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.interpret import Interpreter
from tornado_unblock._scan.project import Class, Module, Project
from tornado_unblock._scan.routes import Place, Places, Route, imported_files
from tornado_unblock._scan.scopes import FROM, ITEM, VALUE, scope_of
from tornado_unblock._scan.values import Cls, Func, Mod, Obj

_ADDS = {"append", "extend", "insert", "add", "add_handlers"}
_TESTS = {"test", "tests"}


class App:
    """One place that makes an application.

    Args:
        path: Its file.
        line: Its line.
        cls: Its class, where that is the project's.
    """

    def __init__(self, path: str, line: int, cls: Optional[Class] = None) -> None:
        self.path, self.line, self.cls = path, line, cls
        self.routes: set[int] = set()
        # Whether it has routes that nobody could read.
        self.opaque = False
        # Whether only a call of `unblock_application` tells of it.
        self.guessed = False
        #: The calls of `unblock_application` for it; each is file and line.
        self.unblocked: list[tuple[str, int]] = []
        #: Whether all those say by name, in its own file, whom they mean.
        self.plainly = True


class Ask(NamedTuple):
    """One call of `unblock_application`."""

    node: ast.Call
    frame: Frame

    @property
    def place(self) -> tuple[str, int]:
        """Its file and its line."""
        return self.frame.module.path, self.node.lineno


class Served:
    """Finds the applications of a project, once somebody asks.

    Args:
        interpreter: It reads the project.
        places: What its modules say.
    """

    def __init__(self, interpreter: Interpreter, places: Iterable[Places]) -> None:
        self._interpreter = interpreter
        self._places = list(places)
        self._asks = [Ask(*each) for p in self._places for each in p.unblocked]
        self._routes: dict[Class, list[Route]] = {}
        for route in (route for p in self._places for route in p.routes):
            self._routes.setdefault(route.cls, []).append(route)
        self._made: dict[int, App] = {}
        self._imports: dict[str, set[str]] = {}
        self._read = False
        self._importing: set[Any] = set()
        #: What could not be told: file, line, what.
        self.dark: list[tuple[str, int, str]] = []

    def unblocked(self, cls: Class) -> bool:
        """Tell whether each application that serves a handler is unblocked."""
        if not self._asks:
            return False
        apps = self._of(cls)
        return bool(apps) and all(app.unblocked for app in apps)

    def unblocked_by(self, path: str) -> str:
        """Return where a file's applications are unblocked, or ""."""
        if not self._asks:
            return ""
        apps = self._apps()
        own = [app for app in apps if app.path == path] or [
            app for app in apps if app.guessed and path in self._imported(app.path)
        ]
        moved = [app for app in own if app.unblocked]
        if not moved or (len(moved) < len(own) and all(a.plainly for a in moved)):
            return ""
        file, line = next((a for a in moved if not a.plainly), moved[0]).unblocked[0]
        return f"{file}:{line}"

    # --- the applications ----------------------------------------------------------

    def _apps(self) -> list[App]:
        if not self._read:
            self._read = True
            self._find()
            for ask in self._asks:
                self._unblock(ask)
        return list(dict.fromkeys(self._made.values()))

    def _find(self) -> None:
        calls = [each for p in self._places for each in p.applications]
        inits = []
        for node, frame in calls:
            if _is_init(node):
                inits.append((node, frame))
                continue
            atoms = self._interpreter.eval(node.func, frame)
            cls = next((a.cls for a in atoms if isinstance(a, Cls)), None)
            self._made[id(node)] = App(frame.module.path, node.lineno, cls)
        for node, frame in inits:  # a class that nobody is seen to make
            cls = frame.cls
            if cls is not None and not self._of_class(cls):
                self._made[id(node)] = App(frame.module.path, node.lineno, cls)
        for node, frame in calls:
            apps = self._of_class(frame.cls) if _is_init(node) and frame.cls else []
            for app in apps or filter(None, [self._made.get(id(node))]):
                self._add_routes(app, node, frame)
        for node, frame in (each for p in self._places for each in p.added):
            if isinstance(node.func, ast.Attribute):
                for app in self._meant(node.func.value, frame):
                    self._add_routes(app, node, frame)

    def _of_class(self, cls: Class) -> list[App]:
        mro = self._interpreter.mro
        return [
            app
            for app in dict.fromkeys(self._made.values())
            if app.cls is not None and cls in mro(app.cls)
        ]

    def _add_routes(self, app: App, node: ast.Call, frame: Frame) -> None:
        passed = [*node.args, *(k.value for k in node.keywords if _has_routes(k))]
        reached = {id(n) for each in passed for n, _ in self._reached(each, frame)}
        own = {id(r.node) for routes in self._routes.values() for r in routes}
        found = reached & own
        app.routes |= found
        empty = all(isinstance(n, (ast.List, ast.Tuple)) and not n.elts for n in passed)
        if not found and not empty and app.cls is None:
            app.opaque = True

    # --- who is unblocked ----------------------------------------------------------

    def _unblock(self, ask: Ask) -> None:
        path, line = ask.place
        passed = ask.node.args[:1] or [k.value for k in ask.node.keywords]
        apps = self._meant(passed[0], ask.frame) if passed else []
        plainly = bool(apps)
        if not apps:
            near = [a for a in self._not_tests() if a.path in self._imported(path)]
            if len(near) > 1:
                what = "unblock_application: it cannot be told for which Application"
                self.dark.append((path, line, what))
                return
            # With none in sight it is for whatever its file imports.
            apps = near or [self._made.setdefault(id(ask.node), App(path, line))]
            apps[0].guessed = not near
        for app in apps:
            if self._is_test(path) and not self._is_test(app.path):
                continue  # the tests', not everybody's
            app.unblocked.append((path, line))
            app.plainly &= plainly and app.path == path

    def _meant(self, node: ast.expr, frame: Frame) -> list[App]:
        """Return the applications that an expression may be."""
        found = [
            self._made[id(n)]
            for n, _ in self._reached(node, frame)
            if id(n) in self._made
        ]
        if not found:
            for atom in self._interpreter.eval(node, frame):
                if isinstance(atom, Obj):
                    found += self._of_class(atom.cls)
        return list(dict.fromkeys(found))

    # --- who serves whom -----------------------------------------------------------

    def _of(self, cls: Class) -> list[App]:
        apps = self._not_tests()
        routes = self._routes.get(cls, ())
        nodes = {id(route.node) for route in routes}
        files = {route.path for route in routes} or {cls.module.path}
        sure = [app for app in apps if app.routes & nodes]
        return [
            app
            for app in apps
            if app in sure
            or ((app.opaque or not sure) and files & self._imported(app.path))
        ]

    def _not_tests(self) -> list[App]:
        apps = self._apps()
        return [app for app in apps if not self._is_test(app.path)] or apps

    def _is_test(self, path: str) -> bool:
        file = PurePath(path)
        for root in self._interpreter.project.roots:
            if root in file.parents:
                file = file.relative_to(root)
                break
        name = file.stem
        return bool(_TESTS & set(file.parts[:-1])) or (
            name == "conftest" or name.startswith("test_") or name.endswith("_test")
        )

    def _imported(self, path: str) -> set[str]:
        if path not in self._imports:
            self._imports[path] = imported_files(self._interpreter, {path})
        return self._imports[path]

    # --- from an expression to all that it names -----------------------------------

    def _reached(self, start: Any, frame: Frame) -> Iterator[Place]:
        """Yield an expression, its parts, what its names are bound to, and so on."""
        todo, seen = [(start, frame)], set()
        while todo:
            node, where = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node, where
            if id(node) in self._made and node is not start:
                continue
            if isinstance(node, ast.Name):
                todo += self._bound(node.id, where)
            elif isinstance(node, ast.Attribute):
                todo += self._attribute(node, where)
            else:
                if isinstance(node, ast.Call):
                    todo += self._returned(node, where)
                todo += [(child, where) for child in ast.iter_child_nodes(node)]

    def _bound(self, name: str, frame: Frame) -> Iterator[Place]:
        place: Optional[Frame] = frame
        while place is not None:
            if name in place.scope.bindings and name not in place.scope.globals:
                break
            place = place.parent
        place = place or frame.module.frame
        for binding in place.scope.bindings.get(name, ()):
            if binding.how in (VALUE, ITEM):
                yield binding.node, place
            elif binding.how == FROM:
                path = Project.absolute(
                    place.module, binding.node.level, binding.node.module
                )
                module = self._interpreter.find_module(path, place.module)
                yield from self._of_module(module, binding.name)
        for call in place.scope.calls:  # routes.append(...)
            func = call.func
            if isinstance(func, ast.Attribute) and func.attr in _ADDS:
                if isinstance(func.value, ast.Name) and func.value.id == name:
                    yield from ((arg, place) for arg in call.args)

    def _of_module(self, module: Optional[Module], name: str) -> Iterator[Place]:
        key = (module, name)
        if module is not None and key not in self._importing:
            self._importing.add(key)
            yield from list(self._bound(name, module.frame))
            self._importing.discard(key)

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Iterator[Place]:
        interpreter = self._interpreter
        for atom in interpreter.eval(node.value, frame):
            if isinstance(atom, Mod):
                yield from self._of_module(atom.module, node.attr)
            elif isinstance(atom, (Obj, Cls)):
                for cls in interpreter.mro(atom.cls):
                    if not isinstance(cls, Class):
                        continue
                    for binding in cls.frame.scope.bindings.get(node.attr, ()):
                        if binding.how == VALUE:
                            yield binding.node, cls.frame
                    for method, binding in cls.stored().get(node.attr, ()):
                        made = interpreter.atoms.make(
                            Func, method, cls.frame, cls, atom
                        )
                        where = interpreter.frame_for(made, interpreter.no_args)
                        yield binding.node, where

    def _returned(self, node: ast.Call, frame: Frame) -> Iterator[Place]:
        interpreter = self._interpreter
        for atom in interpreter.eval(node.func, frame):
            if isinstance(atom, Func):
                args = interpreter.args(node, frame)
                where = interpreter.frame_for(atom, args)
                scope = scope_of(atom.node)
                yield from ((each, where) for each in (*scope.returns, *scope.yields))


def _is_init(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"


def _has_routes(keyword: ast.keyword) -> bool:
    return keyword.arg in ("handlers", "routes", "rules", None)
