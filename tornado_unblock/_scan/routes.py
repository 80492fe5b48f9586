"""Where requests begin: routes, in all the forms that Tornado and its users have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.interpret import APPLICATION, Interpreter
from tornado_unblock._scan.project import Class, Module, Project
from tornado_unblock._scan.scopes import Scope
from tornado_unblock._scan.values import Args, Cls, Ext, Map, Text, Value, union

_WORTH = re.compile(
    r"Handler|Application|handlers|route|url|Rule|tornado", re.IGNORECASE
)
_PATTERN = re.compile(r"[\^/(.\[\\]|\w+/|$")
_PATH_ATTRIBUTES = (
    "url",
    "urls",
    "route",
    "routes",
    "path",
    "pattern",
    "uri",
    "url_pattern",
)
_RULES = re.compile(r"(?:.*\.)?(?:url|URLSpec|Rule|PathMatches|HostAndPath\w*)")
_APPLICATION = re.compile(r"tornado\.web\.Application")


#: An expression, and where its names have their values.
Place = tuple[Any, Frame]


class Route(NamedTuple):
    """One URL rule of one handler class."""

    pattern: str
    cls: Class
    #: What it passes to `initialize`.
    args: Optional[Args]
    path: str
    #: The tuple, or the call.
    node: Any


class Places(NamedTuple):
    """What one module says about applications and routes."""

    routes: list[Route]
    #: Calls that make an application, each with its frame.
    applications: list[tuple[ast.Call, Frame]]
    #: Calls of `unblock_application`.
    unblocked: list[tuple[ast.Call, Frame]]
    #: Calls of `add_handlers`.
    added: list[tuple[ast.Call, Frame]]


def read_routes(interpreter: Interpreter, module: Module) -> Places:
    """Find the routes of one module."""
    places = Places([], [], [], [])
    if _WORTH.search(module.source.text) is None:
        return places
    for frame, scope in _frames(interpreter, module):
        for node in _own_nodes(scope):
            if isinstance(node, (ast.Tuple, ast.List)):
                _tuple(interpreter, node, node.elts, frame, places)
            elif isinstance(node, ast.Call):
                _call(interpreter, node, frame, places)
    return places


def _frames(interpreter: Interpreter, module: Module) -> Iterator[tuple[Frame, Scope]]:
    """Yield the module, its functions and its methods, parameters unknown."""
    yield module.frame, module.frame.scope
    for frame in interpreter.plain_frames(module)[1:]:
        yield frame, frame.scope
    for node in module.frame.scope.classes:
        cls = interpreter.class_of(node, module.frame)
        yield cls.frame, cls.frame.scope


def _own_nodes(scope: Scope) -> Iterator[Any]:
    """Yield the nodes of a scope, without those of scopes inside it."""
    todo = list(scope.node.body) if isinstance(scope.node.body, list) else []
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        todo.extend(ast.iter_child_nodes(node))


def _tuple(
    interpreter: Interpreter,
    node: ast.expr,
    parts: list[ast.expr],
    frame: Frame,
    places: Places,
) -> None:
    if not 2 <= len(parts) <= 4 or not _may_be_text(parts[0]):
        return
    if not _may_be_class(parts[1], isinstance(parts[0], ast.Constant)):
        return
    classes = _classes(interpreter, parts[1], frame)
    pattern = _pattern(interpreter, parts[0], frame) if classes else None
    if pattern is None:
        return
    passed = _passed(interpreter, parts[2] if len(parts) > 2 else None, frame)
    for cls in classes:
        places.routes.append(Route(pattern, cls, passed, frame.module.path, node))


def _may_be_class(node: ast.expr, after_text: bool) -> bool:
    """Tell whether an expression may name a class, so that it is worth a look."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and "." in node.value
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = node.id if isinstance(node, ast.Name) else node.attr
        return after_text or name[:1].isupper()
    return after_text and isinstance(node, ast.Call)


def _may_be_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and _PATTERN.match(node.value) is not None
    return isinstance(
        node, (ast.BinOp, ast.JoinedStr, ast.Name, ast.Call, ast.Attribute)
    )


def _pattern(interpreter: Interpreter, node: ast.expr, frame: Frame) -> Optional[str]:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Call):  # PathMatches(r"/...")
        return _pattern(interpreter, node.args[0], frame) if node.args else None
    value = interpreter.eval(node, frame)
    if value and isinstance(value[0], Text):
        return value[0].text
    return ast.unparse(node) if isinstance(node, (ast.BinOp, ast.JoinedStr)) else None


def _passed(
    interpreter: Interpreter, node: Optional[ast.expr], frame: Frame
) -> Optional[Args]:
    if node is None:
        return None
    maps = [a for a in interpreter.eval(node, frame) if isinstance(a, Map)]
    return interpreter.args_of(**dict(maps[0].pairs)) if maps else None


def _classes(interpreter: Interpreter, node: ast.expr, frame: Frame) -> list[Class]:
    found = []
    for atom in interpreter.eval(node, frame):
        if isinstance(atom, Cls):
            found.append(atom.cls)
        elif isinstance(atom, Text) and "." in atom.text:
            found.extend(_by_path(interpreter, atom.text, frame))
    return found


def _by_path(interpreter: Interpreter, path: str, frame: Frame) -> list[Class]:
    """Return the class that a string names, as Tornado reads it."""
    name, _, attribute = path.rpartition(".")
    project = interpreter.project
    module = project.named(name) or project.find(name, frame.module, True)
    if module is None:
        return []
    value = interpreter.name(attribute, module.frame)
    return [atom.cls for atom in value if isinstance(atom, Cls)]


def _call(
    interpreter: Interpreter, node: ast.Call, frame: Frame, places: Places
) -> None:
    name = str(getattr(node.func, "attr", "") or getattr(node.func, "id", ""))
    if _RULES.fullmatch(name) and len(node.args) >= 2:
        _tuple(interpreter, node, node.args, frame, places)
    elif name == "unblock_application":
        places.unblocked.append((node, frame))
    elif name == "add_handlers":
        places.added.append((node, frame))
    elif name[:1].isupper() or name.endswith("pplication") or name == "__init__":
        if makes_application(interpreter, node, frame):
            places.applications.append((node, frame))


def makes_application(interpreter: Interpreter, node: ast.Call, frame: Frame) -> bool:
    """Tell whether a call makes an application, or is its class's `__init__`."""
    for atom in interpreter.eval(node.func, frame):
        if isinstance(atom, Ext) and atom.path in (
            "tornado.web.Application",
            "tornado.web.Application().__init__",
            "tornado.web.Application.__init__",
        ):
            return True
        if isinstance(atom, Cls) and any(
            isinstance(base, str) and _APPLICATION.fullmatch(base)
            for base in interpreter.mro(atom.cls)
        ):
            return True
    return False


def read_applications(
    interpreter: Interpreter, applications: list[tuple[ast.Call, Frame]]
) -> tuple[Value, Value]:
    """Return what `self.application` and `self.settings` may be in a handler."""
    found: Value = (interpreter.ext(APPLICATION),) if applications else ()
    settings: dict[str, Value] = {}
    for node, frame in applications:
        made = tuple(a for a in interpreter.eval(node, frame) if not isinstance(a, Ext))
        if frame.cls is not None and not made:  # super().__init__(...) of its own class
            made = (interpreter.object_of(frame.cls),)
        found = union(found, made)
        for name, value in interpreter.args(node, frame).named:
            settings[name] = union(settings.get(name, ()), value)
    pairs = tuple(settings.items())
    return found, (interpreter.atoms.make(Map, pairs, ()),) if pairs else ()


def class_routes(interpreter: Interpreter, cls: Class) -> Iterator[str]:
    """Yield the patterns that a class itself names: in a decorator or an attribute."""
    for node in cls.node.decorator_list:
        if isinstance(node, ast.Call) and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                if first.value.startswith(("/", "^", "(")):
                    yield first.value
    for name in _PATH_ATTRIBUTES:
        for binding in cls.frame.scope.bindings.get(name, ()):
            node = binding.node
            parts = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    if part.value.startswith(("/", "^/")):
                        yield part.value


def imported_files(interpreter: Interpreter, paths: set[str]) -> set[str]:
    """Return some files, and those that they import, and so on."""
    modules = {module.path: module for module in interpreter.project.modules}
    todo, found = list(paths), set(paths)
    while todo:
        module = modules[todo.pop()]
        for name in _imported_names(module):
            other = interpreter.find_module(name, module)
            if other is not None and other.path not in found:
                found.add(other.path)
                todo.append(other.path)
    return found


def _imported_names(module: Module) -> Iterator[str]:
    for node in ast.walk(module.frame.scope.node):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            path = Project.absolute(module, node.level, node.module)
            yield path
            yield from (f"{path}.{alias.name}" for alias in node.names)
