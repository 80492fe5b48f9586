"""What an expression may be, found without running it.

Each function is read once for each set of parameters it is called with, so that a
decorator's wrapper, a helper that is given a connection, or a base class that works on
its subclass's attributes are followed as if they were run. The order of statements is
not looked at: a name is all that is ever assigned to it.
"""

from __future__ import annotations

import ast
import builtins
import re
from typing import Any, Callable, Optional

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.project import Class, Module, Project
from tornado_unblock._scan.scopes import (
    ANNOTATION,
    DEFINITION,
    ENTERED,
    FROM,
    IMPORT,
    ITEM,
    Binding,
    scope_of,
)
from tornado_unblock._scan.source import Problem
from tornado_unblock._scan.table import Table
from tornado_unblock._scan.values import (
    EMPTY,
    LIKELY,
    MAX_DEPTH,
    SEEN,
    UNKNOWN,
    Args,
    Atom,
    Atoms,
    Cls,
    Ext,
    Func,
    FunctionNode,
    Items,
    Map,
    Mod,
    Moved,
    Obj,
    Prefix,
    Super,
    Text,
    Value,
    union,
)

#: How deep expressions are followed, and how many sets of parameters one function has.
_MAX_NESTED = 250
_MAX_FRAMES = 200
#: More places than this that assign an attribute from outside tell nothing.
_MAX_STORES = 4
_MAX_CANDIDATES = 60

APPLICATION = "tornado.web.Application()"
UI_MODULE = "tornado.web.UIModule"
_OF_HANDLERS = {"application", "settings", "current_user", "locale", "handler"}

#: What a handler has from Tornado.
_TORNADO = set(dir(RequestHandler)) | set(dir(WebSocketHandler))
_TORNADO |= {"request", "application", "ui", "path_args", "path_kwargs", "_finished"}
# What those are is the user's: it is found elsewhere, or unknown.
_TORNADO -= {"application", "settings", "current_user", "locale"}
_TORNADO |= {"ws_connection", "stream", "open_args", "open_kwargs"}

_BUILTINS = set(dir(builtins)) | {"unicode", "xrange", "raw_input", "file", "reduce"}
_BUILTINS |= {"basestring", "long", "unichr", "execfile"}
#: They return what they are given first.
_THROUGH = {
    "functools.partial", "functools.lru_cache", "contextlib.closing", "iter",
    "copy.copy", "copy.deepcopy",
    "tornado.gen.coroutine", "tornado.gen.engine", "tornado.web.asynchronous",
    "tornado.web.authenticated", "staticmethod", "classmethod", "next",
    "weakref.proxy", "asyncio.coroutine", "types.coroutine", "tornado.gen.Task",
    "weakref.ref", "asyncio.ensure_future", "asyncio.create_task", "asyncio.wait_for",
    "asyncio.shield", "typing.cast()",
}  # fmt: skip
#: They go through what they are given, and return what is in it.
_COPIES = {"list", "tuple", "sorted", "reversed", "set", "frozenset"}
_MOVING = re.compile(
    r"tornado\.concurrent\.run_on_executor(\(\))?|tornado_unblock\b.*"
    r"|asgiref\.sync\.sync_to_async(\(\))?|aiomisc\.threaded(\(\))?"
)
_TASK = re.compile(r"celery\.(.*\.)?(shared_task|task|periodic_task)(\(\))?")
PROPERTIES = {"property", "cached_property", "reify", "lazy", "lazy_property"}
PROPERTIES |= {"memoized_property", "abstractproperty", "threaded_cached_property"}
PROPERTIES |= {"classproperty", "hybrid_property", "lazyproperty"}
_ACCESSORS = {"setter", "deleter"}
#: Objects whose attributes are whatever somebody assigned.
_BAGS = {
    APPLICATION,
    "threading.local()",
    "types.SimpleNamespace()",
    "tornado.util.ObjectDict()",
    "argparse.Namespace()",
}
_STORE = re.compile(r"^[ \t]*([A-Za-z_][\w.]*)\.(\w+)\s*=(?!=)", re.MULTILINE)


def decorator_name(node: ast.expr) -> str:
    """Return the last name of a decorator: `run_on_executor` for all its forms."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def decorator_names(node: Any) -> set[str]:
    """Return the last names of a function's decorators."""
    return {decorator_name(each) for each in node.decorator_list}


def is_session(node: ast.expr) -> bool:
    """Tell whether an expression is called a session of a database."""
    name = decorator_name(node)
    return name.lower().endswith("session") or name == "sess"


def is_property(node: Any) -> bool:
    """Tell whether reading an attribute calls this function."""
    return isinstance(node, FunctionNode) and bool(decorator_names(node) & PROPERTIES)


class Interpreter:
    """Evaluates expressions of one project."""

    def __init__(self, project: Project, table: Table) -> None:
        self.project = project
        self.table = table
        self.atoms = Atoms()
        #: What `self.application` and `self.settings` may be in a handler.
        self.applications: Value = EMPTY
        # The handlers that render templates: what UI modules have as theirs.
        self.rendering: Value = EMPTY
        self.settings: Value = EMPTY
        #: What routes pass to `initialize`, by class.
        self.initial: dict[Class, list[Args]] = {}
        #: Names of attributes that call a function when they are read.
        self.property_names: set[str] = {"current_user", "locale"}
        #: Imports that lead nowhere: module and name.
        self.missing: dict[str, list[str]] = {}
        self.no_args = Args((), (), EMPTY)
        self._frames: dict[Any, Frame] = {}
        self._counts: dict[Any, int] = {}
        self._classes: dict[Any, Class] = {}
        self._stores: Optional[dict[str, list[Module]]] = None
        self._module_stores: dict[str, dict[str, list[tuple[Frame, Any, Binding]]]] = {}
        self._importing: set[tuple[str, str]] = set()
        self._decorated_functions: Optional[dict[str, list[tuple[Any, Frame]]]] = None
        self._nested = 0

    def forget(self) -> None:
        """Let everything be evaluated again: what handlers are given has changed."""
        for frame in self._frames.values():
            frame.known.clear()
            frame.result = frame.edges = None
        for module in self.project.modules:
            module.frame.known.clear()
        for cls in self._classes.values():
            cls.frame.known.clear()

    # --- making --------------------------------------------------------------------

    def ext(self, path: str, level: int = SEEN) -> Ext:
        """Return what is outside at a path."""
        return self.atoms.make(Ext, path, level)

    def class_of(self, node: ast.ClassDef, parent: Frame) -> Class:
        """Return the class that a definition makes in a frame."""
        key = (node, parent)
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = Class(node, parent)
            for method in found.frame.scope.functions:
                if is_property(method):
                    self.property_names.add(method.name)
        return found

    def object_of(self, cls: Class, args: Optional[Args] = None) -> Obj:
        """Return an instance of a class."""
        return self.atoms.make(Obj, cls, args)

    def args_of(self, *placed: Value, rest: Value = EMPTY, **named: Value) -> Args:
        """Return arguments."""
        return self.atoms.make(Args, placed, tuple(named.items()), rest)

    # --- expressions ---------------------------------------------------------------

    def eval(self, node: Any, frame: Frame) -> Value:
        """Return what an expression may be."""
        key = id(node)
        value = frame.known.get(key)
        if value is not None:
            return value
        evaluate = _EVALUATORS.get(type(node))
        if evaluate is None or self._nested > _MAX_NESTED:
            return EMPTY
        frame.known[key] = EMPTY  # for whoever asks meanwhile
        self._nested += 1
        try:
            value = evaluate(self, node, frame)
        finally:
            self._nested -= 1
        frame.known[key] = value
        return value

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        return self.name(node.id, frame)

    def name(self, name: str, frame: Frame) -> Value:
        """Return what a name may be in a frame."""
        place: Optional[Frame] = frame
        while place is not None:
            scope = place.scope
            if place is frame or not isinstance(scope.node, ast.ClassDef):
                if name not in scope.globals:
                    found = self._local(name, place)
                    if found is not None:
                        return found
            place = place.parent
        found = self._local(name, frame.module.frame) or self._starred(name, frame)
        if not found and name in _BUILTINS:
            return (self.ext(name),)
        return found or EMPTY

    def _local(self, name: str, frame: Frame) -> Optional[Value]:
        """Return a frame's own name, None if it has none."""
        known = frame.known.get(name)
        if known is not None:
            # `name = name` in a class reads the one outside.
            return known or (None if isinstance(frame.node, ast.ClassDef) else known)
        bindings = frame.scope.bindings.get(name)
        parameter = self._parameter(name, frame)
        if bindings is None:
            return parameter
        frame.known[name] = parameter or EMPTY
        key = (frame.module.path, name)
        imported = any(binding.how == FROM for binding in bindings)
        if imported:
            self._importing.add(key)
        values = [self.bound_to(binding, frame) for binding in bindings]
        if imported:
            self._importing.discard(key)
        value = self._with_items(name, union(parameter or EMPTY, *values), frame)
        frame.known[name] = value
        return value or (None if isinstance(frame.node, ast.ClassDef) else value)

    def _parameter(self, name: str, frame: Frame) -> Optional[Value]:
        value = frame.params.get(name)
        if value is not None and value:
            return value
        args = getattr(frame.node, "args", None)
        if args is None:
            return None
        for each in args.posonlyargs + args.args + args.kwonlyargs:
            if each.arg == name:
                return self._unpassed(each, args, frame)
        others = [each.arg for each in (args.vararg, args.kwarg) if each is not None]
        return (value or EMPTY) if name in others else None

    def _unpassed(self, arg: ast.arg, args: Any, frame: Frame) -> Value:
        outside = frame.parent or frame
        found = EMPTY
        places = args.posonlyargs + args.args
        if arg in places and args.defaults:
            at = places.index(arg) - len(places) + len(args.defaults)
            if at >= 0:
                found = self.eval(args.defaults[at], outside)
        elif arg in args.kwonlyargs:
            default = args.kw_defaults[args.kwonlyargs.index(arg)]
            found = self.eval(default, outside) if default is not None else EMPTY
        if not found and arg.annotation is not None:
            found = self.annotated(arg.annotation, outside)
        return found

    def _with_items(self, name: str, value: Value, frame: Frame) -> Value:
        """Add what is stored by `name[key] = ...` in the same scope."""
        if not any(isinstance(atom, Map) for atom in value):
            return value
        pairs: dict[str, Value] = {}
        others = EMPTY
        for target, binding in frame.scope.items:
            if isinstance(target.value, ast.Name) and target.value.id == name:
                key = self.eval(target.slice, frame)
                stored = self.bound_to(binding, frame)
                if len(key) == 1 and isinstance(key[0], Text):
                    pairs[key[0].text] = stored
                else:
                    others = union(others, stored)
        if frame is frame.module.frame:
            others = union(others, self._registered(name, frame))
        if not pairs and not others:
            return value
        return union(value, (self.atoms.make(Map, tuple(pairs.items()), others),))

    def _registered(self, name: str, frame: Frame) -> Value:
        """Return what decorators of a module put into one of its dictionaries."""
        registers = [
            node for node in frame.scope.functions if _stores_parameter(node, name)
        ]
        found: list[Atom] = []
        for register in registers:
            for node, place in self._decorated_by(register.name):
                for decorator in node.decorator_list:
                    func = getattr(decorator, "func", decorator)
                    for atom in self.eval(func, place):
                        if isinstance(atom, Func) and atom.node is register:
                            found.append(self.plain_function(node, place))
        return tuple(found)

    def _decorated_by(self, name: str) -> list[tuple[Any, Frame]]:
        """Return the functions that have a decorator of that name."""
        if self._decorated_functions is None:
            self._decorated_functions = {}
            for module in self.project.modules:
                frame = module.frame
                for node in frame.scope.functions:
                    for each in decorator_names(node):
                        found = self._decorated_functions.setdefault(each, [])
                        found.append((node, frame))
        return self._decorated_functions.get(name, [])

    def _starred(self, name: str, frame: Frame) -> Value:
        stars = list(frame.module.frame.scope.stars)
        place: Optional[Frame] = frame
        while place is not None:
            stars += [s for s in place.scope.stars if s not in stars]
            place = place.parent
        foreign = []
        for star in stars:
            path = Project.absolute(frame.module, star.level, star.module)
            module = self.find_module(path, frame.module)
            if module is None:
                foreign.append(path)
            elif not name.startswith("_"):
                found = self._guarded(module, name, star, frame)
                if found:
                    return found
        if len(foreign) == 1 and name not in _BUILTINS:
            return (self.ext(self.table.step(foreign[0], f".{name}"), LIKELY),)
        return EMPTY

    def bound_to(self, binding: Binding, frame: Frame) -> Value:
        """Return what a binding gives."""
        how = binding.how
        if how == DEFINITION:
            return self._definition(binding.node, frame)
        if how == IMPORT:
            return self._import(binding.name, frame)
        if how == FROM:
            return self._from(binding, frame)
        if how == ANNOTATION:
            return self.annotated(binding.node, frame)
        value = self.eval(binding.node, frame)
        if how == ITEM:
            value = self.items_of(value)
        elif how == ENTERED:
            value = self.entered(value)
        return value if binding.at is None else self.item_at(value, binding.at)

    def _definition(self, node: Any, frame: Frame) -> Value:
        if isinstance(node, ast.ClassDef):
            return (self.atoms.make(Cls, self.class_of(node, frame)),)
        return self.function(node, frame)

    def function(self, node: Any, frame: Frame) -> Value:
        """Return a function as its decorators leave it."""
        key = ("function", id(node))
        known = frame.known.get(key)
        if known is not None:
            return known
        value: Value = (self.plain_function(node, frame),)
        frame.known[key] = value
        for decorator in reversed(node.decorator_list):
            value = self._decorated(decorator, value, frame)
        frame.known[key] = value
        return value

    def plain_function(self, node: Any, frame: Frame) -> Func:
        """Return a function without its decorators."""
        cls = frame.cls if isinstance(frame.node, ast.ClassDef) else None
        return self.atoms.make(Func, node, frame, cls, None)

    def _decorated(self, decorator: ast.expr, value: Value, frame: Frame) -> Value:
        if decorator_name(decorator) in PROPERTIES | {"staticmethod", "classmethod"}:
            return value
        found = []
        for atom in self.eval(decorator, frame):
            if isinstance(atom, Ext):
                found.append(self._decorated_outside(atom.path, value))
            elif isinstance(atom, (Func, Cls, Obj)):
                result = self.call(atom, self.args_of(value))
                callables = tuple(
                    a for a in result if isinstance(a, (Func, Obj, Moved))
                )
                found.append(callables or value)
        return union(*found) or value

    def _decorated_outside(self, path: str, value: Value) -> Value:
        if _MOVING.fullmatch(path):
            return tuple(self.atoms.make(Moved, atom) for atom in value)
        if _TASK.fullmatch(path):
            return (*value, self.ext("celery.task()"))
        return value

    # --- imports -------------------------------------------------------------------

    def find_module(self, path: str, importer: Module) -> Optional[Module]:
        """Return the module of the project that an import names, if it is one."""
        foreign = self.table.knows(path) if path else False
        return self.project.find(path, importer, foreign)

    def _import(self, path: str, frame: Frame) -> Value:
        module = self.find_module(path, frame.module)
        if module is not None:
            return (self.atoms.make(Mod, module),)
        self._note_missing(path, frame)
        return (self.ext(path),)

    def _from(self, binding: Binding, frame: Frame) -> Value:
        node = binding.node
        path = Project.absolute(frame.module, node.level, node.module)
        module = self.find_module(path, frame.module)
        if module is not None:
            found = self._guarded(module, binding.name, node, frame)
            if found or binding.name in module.frame.scope.bindings:
                return found
        inner = f"{path}.{binding.name}"
        submodule = self.find_module(inner, frame.module)
        if submodule is not None:
            return (self.atoms.make(Mod, submodule),)
        if module is not None:
            return EMPTY
        self._note_missing(path, frame)
        return (self.ext(self.table.step(path, f".{binding.name}")),)

    def _note_missing(self, path: str, frame: Frame) -> None:
        if not self.table.knows(path):
            users = self.missing.setdefault(path, [])
            if frame.module.path not in users:
                users.append(frame.module.path)

    def _guarded(self, module: Module, name: str, node: Any, frame: Frame) -> Value:
        key = (module.path, name)
        if key in self._importing:
            message = f"imports {name} in a circle: from {module.name}, and back"
            place = (frame.module.path, node.lineno, "cyclic-import", message)
            if Problem(*place) not in self.project.problems:
                self.project.problems.append(Problem(*place))
            return EMPTY
        found = self._local(name, module.frame)
        return found if found is not None else self._starred(name, module.frame)

    def _of_module(self, module: Module, name: str) -> Value:
        found = self._local(name, module.frame)
        if found is None:
            found = self._starred(name, module.frame)
        if not found:
            submodule = self.project.find(f"{module.name}.{name}", module, True)
            if submodule is not None:
                return (self.atoms.make(Mod, submodule),)
        return found or self.stored_outside(name, self.atoms.make(Mod, module))

    # --- attributes ----------------------------------------------------------------

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        base = self.eval(node.value, frame)
        return union(*(self.attribute(atom, node.attr) for atom in base))

    def attribute(self, atom: Atom, name: str) -> Value:
        """Return what an attribute of an atom may be."""
        found = EMPTY
        if isinstance(atom, Ext):
            found = self._of_outside(atom, name)
        elif isinstance(atom, Mod):
            found = self._of_module(atom.module, name)
        elif isinstance(atom, Obj):
            found = self._of_object(atom, name)
        elif isinstance(atom, Cls):
            found = self._of_class(atom, name)
        elif isinstance(atom, Super):
            found = self._of_super(atom, name)
        elif isinstance(atom, Moved):
            found = (atom,) if name == "aio" else EMPTY
        if atom.level > SEEN:
            found = tuple(self.atoms.weakened(each, atom.level) for each in found)
        return found

    def _of_outside(self, atom: Ext, name: str) -> Value:
        path = self.table.step(atom.path, f".{name}")
        if atom.path == APPLICATION and name == "settings":
            return self.settings
        if atom.path in _BAGS:
            return self.stored_outside(name, atom) or (self.ext(path),)
        if "(" not in path and not self.table.knows(path):
            module = self.project.named(path)
            if module is not None:
                return (self.atoms.make(Mod, module),)
        return (self.ext(path),)

    def _of_object(self, obj: Obj, name: str) -> Value:
        cls = obj.cls
        if name == "__class__":
            return (self.atoms.make(Cls, cls),)
        key = ("attribute", obj, name)
        known = cls.frame.known.get(key)
        if known is not None:
            return known
        cls.frame.known[key] = EMPTY
        special = self._of_handler(obj, name)
        found = special or union(
            self._stored(obj, name), self._field(obj, name), self._inherited(obj, name)
        )
        if not found and self._method(cls, "__getattr__"):
            found = self._computed(obj, name)
        if not found:
            found = self._outer_attribute(cls, name, "()")
        if not found:
            found = self.stored_outside(name, obj)
        cls.frame.known[key] = found
        return found

    def _of_handler(self, obj: Obj, name: str) -> Value:
        if name not in _OF_HANDLERS:
            return EMPTY
        bases = self.mro(obj.cls)
        if UI_MODULE in bases:
            if name == "handler":
                return self.rendering
            return union(*(self.attribute(each, name) for each in self.rendering))
        if name == "handler":
            return EMPTY
        if not any(isinstance(b, str) and b.startswith("tornado.web") for b in bases):
            if name in ("application", "settings") and not self._has(obj, name):
                return self.applications if name == "application" else self.settings
            return EMPTY
        if name == "application":
            return self.applications
        if name == "settings":
            return self.settings
        getter = "get_current_user" if name == "current_user" else "get_user_locale"
        results = (self.call(f, self.no_args) for f in self._inherited(obj, getter))
        return union(self._stored(obj, name), *results)

    def _has(self, obj: Obj, name: str) -> bool:
        classes = [c for c in self.mro(obj.cls) if isinstance(c, Class)]
        return any(
            name in c.frame.scope.bindings or name in c.stored() for c in classes
        )

    def _stored(self, obj: Obj, name: str) -> Value:
        """Return what methods assign to `self.name`."""
        found = []
        for cls in self.mro(obj.cls):
            if isinstance(cls, Class):
                for method, binding in cls.stored().get(name, ()):
                    for frame in self._method_frames(cls, method, obj):
                        found.append(self.bound_to(binding, frame))
        return union(*found)

    def _field(self, obj: Obj, name: str) -> Value:
        """Return what a field of a dataclass, or the like, was made with."""
        args = obj.args
        if args is None or self._method(obj.cls, "__init__"):
            return EMPTY
        for key, value in args.named:
            if key == name:
                return value
        fields = [
            field
            for cls in reversed(self.mro(obj.cls))
            if isinstance(cls, Class)
            for field, bindings in cls.frame.scope.bindings.items()
            if any(binding.how == ANNOTATION for binding in bindings)
        ]
        at = fields.index(name) if name in fields else len(args.placed)
        return args.placed[at] if at < len(args.placed) else EMPTY

    def _method_frames(self, cls: Class, method: Any, obj: Obj) -> list[Frame]:
        func = self.atoms.make(Func, method, cls.frame, cls, obj)
        passed = [self.no_args]
        if method.name == "__init__":
            passed = self._passed_to_init(cls, obj) or passed
        elif method.name == "initialize":
            passed = self.initial.get(obj.cls) or passed
        return [self.frame_for(func, args) for args in passed[:_MAX_STORES]]

    def _inherited(self, obj: Obj, name: str) -> Value:
        """Return a class attribute as an instance has it."""
        for cls in self.mro(obj.cls):
            if isinstance(cls, Class) and name in cls.frame.scope.bindings:
                return self._bound(self._own(cls, name), obj, cls)
        return EMPTY

    def _own(self, cls: Class, name: str) -> Value:
        """Return a class's own attribute, not bound."""
        bindings = [
            binding
            for binding in cls.frame.scope.bindings[name]
            if not (
                isinstance(binding.node, FunctionNode)
                and decorator_names(binding.node) & _ACCESSORS
            )
        ]
        return union(*(self.bound_to(binding, cls.frame) for binding in bindings))

    def _bound(self, value: Value, obj: Atom, cls: Class) -> Value:
        return union(*(self._bound_atom(atom, obj, cls) for atom in value))

    def _bound_atom(self, atom: Atom, obj: Atom, cls: Class) -> Value:
        if isinstance(atom, Moved):
            inner = self._bound_atom(atom.func, obj, cls)
            return tuple(self.atoms.make(Moved, each) for each in inner)
        if isinstance(atom, Obj) and self._method(atom.cls, "__get__"):
            getters = self.attribute(atom, "__get__")
            args = self.args_of((obj,), (self.atoms.make(Cls, cls),))
            return union(*(self.call(getter, args) for getter in getters))
        if not isinstance(atom, Func) or atom.bound is not None:
            return (atom,)
        names = (
            decorator_names(atom.node) if isinstance(atom.node, FunctionNode) else ()
        )
        if "staticmethod" in names:
            return (atom,)
        first: Atom = obj
        if "classmethod" in names and isinstance(obj, Obj):
            first = self.atoms.make(Cls, obj.cls)
        made = self.atoms.make(Func, atom.node, atom.env, atom.cls, first, atom.level)
        if is_property(atom.node):
            return self.call(made, self.no_args)
        return (made,)

    def _method(self, cls: Class, name: str) -> bool:
        """Tell whether a class of the project defines a method, itself or by a base."""
        return any(
            isinstance(c, Class) and name in c.frame.scope.bindings
            for c in self.mro(cls)
        )

    def _outer_attribute(self, cls: Class, name: str, step: str) -> Value:
        """Return what bases outside may give: `peewee.Model().save`."""
        found: list[Value] = []
        for base in self.mro(cls):
            if isinstance(base, str) and base != "object" and base[0] != "?":
                if base.startswith("tornado.web") and name not in _TORNADO:
                    continue  # nobody knows where it comes from
                path = self.table.step(base, step) if step else base
                longer = self.table.step(path, f".{name}")
                if step and not self._told(longer):
                    plain = self.table.step(base, f".{name}")
                    longer = plain if self._told(plain) else longer
                found.append((self.ext(longer),))
        told = [value for value in found if self._told(value[0].path)]  # type: ignore[attr-defined]
        return union(*(told or found))

    def _told(self, path: str) -> bool:
        """Tell whether the table says something of a path or of what it gives."""
        table = self.table
        if table.rule(path) is not None or table.step(path, "()") != f"{path}()":
            return True
        return any(table.step(path, s) != path + s for s in (".x", "[]"))

    def _computed(self, obj: Obj, name: str) -> Value:
        """Return what `__getattr__` gives."""
        if name.startswith("__"):
            return EMPTY
        text = self.atoms.make(Text, name)
        getters = self._inherited(obj, "__getattr__")
        return union(*(self.call(g, self.args_of((text,))) for g in getters))

    def _of_class(self, atom: Cls, name: str) -> Value:
        for cls in self.mro(atom.cls):
            if isinstance(cls, Class) and name in cls.frame.scope.bindings:
                return self._class_bound(self._own(cls, name), atom)
        found = self._outer_attribute(atom.cls, name, "")
        told = [e for e in found if isinstance(e, Ext) and self._told(e.path)]
        return tuple(told) or self.stored_outside(name, atom) or found

    def _class_bound(self, value: Value, atom: Cls) -> Value:
        found: list[Atom] = []
        for each in value:
            is_function = isinstance(each, Func) and isinstance(each.node, FunctionNode)
            if is_function and "classmethod" in decorator_names(each.node):  # type: ignore[attr-defined]
                each = self.atoms.make(Func, each.node, each.env, each.cls, atom)  # type: ignore[attr-defined]
            found.append(each)
        return tuple(found)

    def _of_super(self, atom: Super, name: str) -> Value:
        obj = atom.obj
        cls = obj.cls if isinstance(obj, (Obj, Cls)) else atom.cls
        order = self.mro(cls)
        after = order[order.index(atom.cls) + 1 :] if atom.cls in order else []
        for base in after:
            if isinstance(base, Class) and name in base.frame.scope.bindings:
                return self._bound(self._own(base, name), obj, base)
        outside = [b for b in after if isinstance(b, str) and b[0] != "?"]
        step = self.table.step
        return union(
            *((self.ext(step(step(base, "()"), f".{name}")),) for base in outside)
        )

    def mro(self, cls: Class) -> list[Any]:
        """Return a class and its bases, in order; a string for one that is outside.

        A base that nobody knows is "?" and how it is written.
        """
        if cls.mro is None:
            cls.mro = [cls]  # for whoever asks meanwhile
            found: list[Any] = []
            for node in cls.node.bases:
                found.extend(self._base(node, cls.parent))
            last = {base: at for at, base in enumerate(found) if base is not cls}
            cls.mro = [cls, *sorted(last, key=lambda base: last[base])]
        return cls.mro

    def _base(self, node: ast.expr, frame: Frame) -> list[Any]:
        if isinstance(node, ast.Call) and decorator_name(node) == "with_metaclass":
            return [b for each in node.args[1:] for b in self._base(each, frame)]
        value = self.eval(node, frame)
        found: list[Any] = []
        for atom in value:
            if isinstance(atom, Cls):
                found.extend(self.mro(atom.cls))
            elif isinstance(atom, Ext):
                found.append(atom.path)
        return found or [f"?{ast.unparse(node)}"]

    # --- attributes that are assigned from outside ---------------------------------

    def stored_outside(self, name: str, owner: Atom) -> Value:
        """Return what is assigned by `something.name = ...`, wherever it is said."""
        if self._stores is None:
            self._stores = {}
            for module in self.project.modules:
                for base, attr in set(_STORE.findall(module.source.text)):
                    if base not in ("self", "cls"):
                        self._stores.setdefault(attr, []).append(module)
        found: list[tuple[bool, Value]] = []
        for module in dict.fromkeys(self._stores.get(name, ())):
            for frame, target, binding in self._stores_of(module).get(name, ()):
                fits = self._fits(self.eval(target.value, frame), owner)
                if fits is not None:
                    found.append((fits, self.bound_to(binding, frame)))
        sure = [value for fits, value in found if fits]
        if sure or len(found) > _MAX_STORES:
            return union(*sure)
        value = union(*(value for _, value in found))
        return tuple(self.atoms.weakened(atom, LIKELY) for atom in value)

    def _stores_of(self, module: Module) -> dict[str, list[tuple[Frame, Any, Binding]]]:
        found = self._module_stores.get(module.path)
        if found is None:
            found = self._module_stores[module.path] = {}
            for frame in self.plain_frames(module):
                for target, binding in frame.scope.attributes:
                    found.setdefault(target.attr, []).append((frame, target, binding))
        return found

    def plain_frames(self, module: Module) -> list[Frame]:
        """Return a module, its functions and its methods, parameters unknown."""
        frames = [module.frame]
        scope = module.frame.scope
        for node in scope.functions:
            func = self.atoms.make(Func, node, module.frame, None, None)
            frames.append(self.frame_for(func, self.no_args))
        for node in scope.classes:
            cls = self.class_of(node, module.frame)
            for method in cls.methods.values():
                obj = self.object_of(cls)
                func = self.atoms.make(Func, method, cls.frame, cls, obj)
                frames.append(self.frame_for(func, self.no_args))
        return frames

    @staticmethod
    def _fits(targets: Value, owner: Atom) -> Optional[bool]:
        """Tell whether an assignment is to `owner`: yes, perhaps, or None for no."""
        for target in targets:
            if target is owner:
                return True
            if isinstance(owner, (Obj, Cls)) and isinstance(target, (Obj, Cls)):
                if target.cls in (owner.cls.mro or (owner.cls,)):
                    return True
        return False if not targets else None

    # --- parts of containers -------------------------------------------------------

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        base = self.eval(node.value, frame)
        if not base:
            return EMPTY
        key = self.eval(node.slice, frame)
        return union(*(self._item(atom, node.slice, key) for atom in base))

    def _item(self, atom: Atom, node: Any, key: Value) -> Value:
        if isinstance(atom, Map):
            if len(key) == 1 and isinstance(key[0], Text):
                return dict(atom.pairs).get(key[0].text, atom.others)
            return union(*(value for _, value in atom.pairs), atom.others)
        if isinstance(atom, Ext):
            return (self.ext(self.table.step(atom.path, "[]"), atom.level),)
        if isinstance(atom, Obj):
            getters = self.attribute(atom, "__getitem__")
            return union(*(self.call(g, self.args_of(key)) for g in getters))
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return self.item_at((atom,), node.value)
        return self.items_of((atom,))

    def items_of(self, value: Value) -> Value:
        """Return what a loop over a value gives."""
        found = []
        for atom in value:
            if isinstance(atom, Items):
                found.append(union(*atom.items))
            elif isinstance(atom, Map):
                keys = (self.atoms.make(Text, key) for key, _ in atom.pairs)
                found.append(tuple(keys))
            elif isinstance(atom, Ext):
                found.append((self.ext(self.table.step(atom.path, "[]"), atom.level),))
        return union(*found)

    def item_at(self, value: Value, at: int) -> Value:
        """Return an item of a sequence."""
        found = []
        for atom in value:
            if isinstance(atom, Items) and atom.exact:
                inside = -len(atom.items) <= at < len(atom.items)
                found.append(atom.items[at] if inside else EMPTY)
            else:
                found.append(self.items_of((atom,)))
        return union(*found)

    def entered(self, value: Value) -> Value:
        """Return what `with value as` gives."""
        found: list[Value] = []
        for atom in value:
            if isinstance(atom, Ext):
                path = self.table.step(atom.path, ".__enter__")
                entered = self.table.step(path, "()")
                same = atom.path if entered == f"{path}()" else entered
                found.append((self.ext(same, atom.level),))
            elif isinstance(atom, Obj):
                enter = self.attribute(atom, "__enter__")
                enter = enter or self.attribute(atom, "__aenter__")
                found.append(union(*(self.call(e, self.no_args) for e in enter)))
            elif isinstance(atom, Items):
                found.append(union(*atom.items))
        return union(*found)

    def annotated(self, node: Any, frame: Frame) -> Value:
        """Return an instance of what an annotation names."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return EMPTY
        if isinstance(node, ast.Subscript):
            if decorator_name(node.value) == "Optional":
                return self.annotated(node.slice, frame)
            return EMPTY
        if isinstance(node, ast.BinOp):
            sides = (self.annotated(side, frame) for side in (node.left, node.right))
            return union(*sides)
        found: list[Atom] = []
        for atom in self.eval(node, frame):
            if isinstance(atom, Cls):
                found.append(self.object_of(atom.cls))
            elif isinstance(atom, Ext) and not atom.path.startswith("typing."):
                found.append(self.ext(self.table.step(atom.path, "()"), atom.level))
        return tuple(found)

    # --- calls ---------------------------------------------------------------------

    def _call(self, node: ast.Call, frame: Frame) -> Value:
        functions = self.eval(node.func, frame)
        args = self.args(node, frame)
        table = self.table
        if all(isinstance(f, Ext) and not table.knows(f.path) for f in functions):
            guessed = self._guessed(node, args)
            if guessed:
                return guessed
        found = [self._container_call(node, args, frame)]
        for func in functions:
            if isinstance(func, Ext):
                found.append(self._call_outside(func, args, node, frame))
            else:
                found.append(self.call(func, args))
        return union(*found)

    def _guessed(self, node: ast.Call, args: Args) -> Value:
        """Return what `session.query(User)` gives, though nobody knows the session."""
        func = node.func
        if isinstance(func, ast.Attribute) and args.placed:
            if func.attr == "query" and is_session(func.value):
                texts = (a for a in args.placed[0] if isinstance(a, (Text, Prefix)))
                return EMPTY if any(texts) else (self.ext("SA.query()", LIKELY),)
        return EMPTY

    def args(self, node: ast.Call, frame: Frame) -> Args:
        """Return what a call passes."""
        placed: list[Value] = []
        rest = EMPTY
        for arg in node.args:
            if not isinstance(arg, ast.Starred):
                placed.append(self.eval(arg, frame))
                continue
            for atom in self.eval(arg.value, frame):
                if isinstance(atom, Items) and atom.exact:
                    placed.extend(atom.items)
                else:
                    rest = union(rest, self.items_of((atom,)))
        named: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.eval(keyword.value, frame)
            if keyword.arg is not None:
                named[keyword.arg] = value
                continue
            for atom in value:
                if isinstance(atom, Map):
                    named.update(atom.pairs)
        shallow = tuple((key, self._shallow(value)) for key, value in named.items())
        values = tuple(self._shallow(value) for value in placed)
        return self.atoms.make(Args, values, shallow, self._shallow(rest))

    def _shallow(self, value: Value) -> Value:
        if all(atom.depth <= MAX_DEPTH for atom in value):
            return value
        found: list[Atom] = []
        for atom in value:
            if atom.depth <= MAX_DEPTH:
                found.append(atom)
            elif isinstance(atom, Obj):
                found.append(self.object_of(atom.cls))
        return tuple(found)

    def call(self, func: Atom, args: Args) -> Value:
        """Return what a call gives."""
        found = EMPTY
        if isinstance(func, Func):
            found = self.result(self.frame_for(func, args))
        elif isinstance(func, Cls):
            made = args if args.depth < MAX_DEPTH else None
            found = (self.object_of(func.cls, made),)
        elif isinstance(func, Obj):
            calls = self.attribute(func, "__call__")
            found = union(*(self.call(c, args) for c in calls if c is not func))
        elif isinstance(func, Ext):
            found = (self.ext(self.table.step(func.path, "()"), func.level),)
        if func.level > SEEN:
            found = tuple(self.atoms.weakened(atom, func.level) for atom in found)
        return found

    def _passed_to_init(self, cls: Class, obj: Obj) -> list[Args]:
        """Return what `__init__` of a class gets: by the call, or from a subclass's."""
        own = [
            c
            for c in self.mro(obj.cls)
            if isinstance(c, Class) and "__init__" in c.methods
        ]
        at = own.index(cls)
        if at == 0:
            return [obj.args] if obj.args is not None else []
        found = []
        for frame in self._method_frames(
            own[at - 1], own[at - 1].methods["__init__"], obj
        ):
            for call in frame.scope.calls:
                func = call.func
                if isinstance(func, ast.Attribute) and func.attr == "__init__":
                    args = self.args(call, frame)
                    if not isinstance(func.value, ast.Call):  # Base.__init__(self, x)
                        args = self.atoms.make(
                            Args, args.placed[1:], args.named, args.rest
                        )
                    found.append(args)
        return found

    def frame_for(self, func: Func, args: Args) -> Frame:
        """Return the frame of a function with what it is passed."""
        params = _bind(self.atoms, func, args)
        count = self._counts.get(func.node, 0)
        if func.env.depth > MAX_DEPTH or count > _MAX_FRAMES:
            params = dict(list(params.items())[:1])
        params = {name: self._shallow(value) for name, value in params.items()}
        key = (func.node, func.env, func.cls, tuple(params.items()))
        frame = self._frames.get(key)
        if frame is None:
            self._counts[func.node] = count + 1
            scope = scope_of(func.node)
            frame = Frame(scope, func.env.module, func.env, func.cls, params)
            self._frames[key] = frame
        return frame

    def result(self, frame: Frame) -> Value:
        """Return what a function returns, or a generator yields."""
        if frame.result is None:
            frame.result = EMPTY
            scope = frame.scope
            found = union(*(self.eval(node, frame) for node in scope.returns))
            if scope.yields and not _is_coroutine(frame.node):
                items = union(*(self.eval(node, frame) for node in scope.yields))
                found = union(found, (self.atoms.make(Items, (items,), False),))
            if not found and getattr(frame.node, "returns", None) is not None:
                found = self.annotated(frame.node.returns, frame.parent or frame)
            frame.result = self._shallow(found)
        return frame.result

    def _call_outside(self, func: Ext, args: Args, node: Any, frame: Frame) -> Value:
        path = func.path
        first = args.placed[0] if args.placed else EMPTY
        if path == "super":
            return self._super(args, frame)
        if path == "getattr":
            return self._getattr(args)
        if path == "type" and len(args.placed) == 1:
            objects = [atom for atom in first if isinstance(atom, Obj)]
            return tuple(self.atoms.make(Cls, obj.cls) for obj in objects)
        if path == "dict":
            others = union(*(a for a in args.placed))
            maps = tuple(atom for atom in others if isinstance(atom, Map))
            return (*maps, self.atoms.make(Map, args.named, EMPTY))
        if path in ("importlib.import_module", "__import__"):
            names = [atom.text for atom in first if isinstance(atom, Text)]
            return union(*(self._import(name, frame) for name in names if name))
        if path == "next" and any(isinstance(atom, (Items, Ext)) for atom in first):
            return self.items_of(first)
        if path in _COPIES and args.placed:
            return union(*(self._copied(atom) for atom in first))
        if path in _THROUGH and args.placed:
            return first  # nobody knows what it is, if nobody knows what is passed
        if path.endswith((".run_in_executor", "to_thread")):
            return EMPTY
        return (self.ext(self.table.step(path, "()"), func.level),)

    def _copied(self, atom: Atom) -> Value:
        if isinstance(atom, Ext):
            return (self.atoms.make(Items, (self.items_of((atom,)),), False),)
        return (atom,)

    def _super(self, args: Args, frame: Frame) -> Value:
        place: Optional[Frame] = frame
        while place is not None and (
            place.cls is None or isinstance(place.node, ast.ClassDef)
        ):
            place = place.parent
        if place is None or place.cls is None:
            return EMPTY
        cls = place.cls
        for atom in args.placed[0] if args.placed else EMPTY:
            cls = atom.cls if isinstance(atom, Cls) else cls
        first = next(iter(place.params.values()), EMPTY)
        return tuple(
            self.atoms.make(Super, cls, atom)
            for atom in first
            if isinstance(atom, (Obj, Cls))
        )

    def _getattr(self, args: Args) -> Value:
        if len(args.placed) < 2:
            return EMPTY
        default = args.placed[2] if len(args.placed) > 2 else EMPTY
        found: list[Value] = []
        for atom in args.placed[0]:
            names = [each.text for each in args.placed[1] if isinstance(each, Text)]
            starts = [each.text for each in args.placed[1] if isinstance(each, Prefix)]
            for name in names:
                found.append(self.attribute(atom, name))
            if not names:
                level = LIKELY if starts else UNKNOWN
                found.append(self._candidates(atom, tuple(starts), level))
        every = [atom for value in (*found, default) for atom in value]
        return tuple(dict.fromkeys(every))

    def _candidates(self, atom: Atom, starts: tuple[str, ...], level: int) -> Value:
        """Return what an attribute may be whose name is made while the program runs."""
        if isinstance(atom, Ext):
            return (self.ext(self.table.step(atom.path, ".?"), LIKELY),)
        names: list[str] = []
        if isinstance(atom, (Obj, Cls)):
            for cls in self.mro(atom.cls):
                names += cls.frame.scope.bindings if isinstance(cls, Class) else []
        elif isinstance(atom, Mod):
            names = [node.name for node in atom.module.frame.scope.functions]
        fitting = [
            name
            for name in dict.fromkeys(names)
            if name.startswith(starts or ("",)) and not name.startswith("__")
        ]
        found = (self.attribute(atom, name) for name in fitting[:_MAX_CANDIDATES])
        every = dict.fromkeys(each for value in found for each in value)
        return tuple(self.atoms.weakened(each, level) for each in every)

    def _container_call(self, node: ast.Call, args: Args, frame: Frame) -> Value:
        """Return what a method of a dict, or of a list, gives."""
        if not isinstance(node.func, ast.Attribute):
            return EMPTY
        name = node.func.attr
        found: list[Value] = []
        for atom in self.eval(node.func.value, frame):
            if isinstance(atom, Map):
                found.append(self._map_call(atom, name, args))
            elif isinstance(atom, Text) and name == "format":
                start = atom.text.partition("{")[0]
                found.append((self.atoms.make(Prefix, start),) if start else EMPTY)
        return union(*found)

    def _map_call(self, atom: Map, name: str, args: Args) -> Value:
        values = union(*(value for _, value in atom.pairs), atom.others)
        if name in ("get", "pop", "setdefault") and args.placed:
            default = args.placed[1] if len(args.placed) > 1 else EMPTY
            return union(self._item(atom, None, args.placed[0]), default)
        if name in ("values", "itervalues"):
            return (self.atoms.make(Items, (values,), False),)
        if name in ("items", "iteritems"):
            pair = self.atoms.make(Items, (EMPTY, values), True)
            return (self.atoms.make(Items, ((pair,),), False),)
        return (atom,) if name == "copy" else EMPTY

    # --- the rest of the grammar ---------------------------------------------------

    def _constant(self, node: ast.Constant, frame: Frame) -> Value:
        if isinstance(node.value, str):
            return (self.atoms.make(Text, node.value),)
        return EMPTY

    def _sum(self, node: ast.BinOp, frame: Frame) -> Value:
        if isinstance(node.op, ast.Mod):
            starts = [
                a.text for a in self.eval(node.left, frame) if isinstance(a, Text)
            ]
            heads = [text.partition("%")[0] for text in starts]
            return tuple(self.atoms.make(Prefix, head) for head in heads if head)
        if not isinstance(node.op, ast.Add):
            return EMPTY
        left, right = self.eval(node.left, frame), self.eval(node.right, frame)
        lists = tuple(a for a in (*left, *right) if isinstance(a, (Items, Map)))
        if lists or not left or not isinstance(left[0], (Text, Prefix)):
            return lists
        if isinstance(left[0], Text) and len(right) == 1 and isinstance(right[0], Text):
            return (self.atoms.make(Text, left[0].text + right[0].text),)
        return (self.atoms.make(Prefix, left[0].text),)

    def _joined(self, node: ast.JoinedStr, frame: Frame) -> Value:
        first = node.values[0] if node.values else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            kind = Text if len(node.values) == 1 else Prefix
            return (self.atoms.make(kind, first.value),)
        return EMPTY

    def _sequence(self, node: Any, frame: Frame) -> Value:
        values: list[Value] = []
        exact = not isinstance(node, ast.Set)
        for part in node.elts:
            if isinstance(part, ast.Starred):
                exact = False
                values.append(self.items_of(self.eval(part.value, frame)))
            else:
                values.append(self.eval(part, frame))
        return self._shallow((self.atoms.make(Items, tuple(values), exact),))

    def _dict(self, node: ast.Dict, frame: Frame) -> Value:
        pairs: dict[str, Value] = {}
        others = EMPTY
        for key, part in zip(node.keys, node.values):
            value = self.eval(part, frame)
            if key is None:
                for atom in value:
                    pairs.update(atom.pairs if isinstance(atom, Map) else ())
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                pairs[key.value] = value
            else:
                others = union(others, value)
        return self._shallow((self.atoms.make(Map, tuple(pairs.items()), others),))

    def _comprehension(self, node: Any, frame: Frame) -> Value:
        return self._shallow(
            (self.atoms.make(Items, (self.eval(node.elt, frame),), False),)
        )

    def _dict_comprehension(self, node: ast.DictComp, frame: Frame) -> Value:
        return self._shallow((self.atoms.make(Map, (), self.eval(node.value, frame)),))

    def _lambda(self, node: ast.Lambda, frame: Frame) -> Value:
        return (self.atoms.make(Func, node, frame, None, None),)

    def _either(self, node: ast.IfExp, frame: Frame) -> Value:
        return union(self.eval(node.body, frame), self.eval(node.orelse, frame))

    def _any_of(self, node: ast.BoolOp, frame: Frame) -> Value:
        return union(*(self.eval(part, frame) for part in node.values))

    def _inner(self, node: Any, frame: Frame) -> Value:
        return self.eval(node.value, frame) if node.value is not None else EMPTY


def _bind(atoms: Atoms, func: Func, args: Args) -> dict[str, Value]:
    """Return a function's parameters, by name; what is not passed is not there."""
    spec = func.node.args
    places = [arg.arg for arg in spec.posonlyargs + spec.args]
    placed = args.placed if func.bound is None else ((func.bound,), *args.placed)
    named = dict(args.named)
    params: dict[str, Value] = {}
    for at, name in enumerate(places):
        if at < len(placed):
            params[name] = placed[at]
        elif name in named:
            params[name] = named.pop(name)
        elif args.rest:
            params[name] = args.rest
    for arg in spec.kwonlyargs:
        if arg.arg in named:
            params[arg.arg] = named.pop(arg.arg)
    if spec.vararg is not None:
        more = placed[len(places) :]
        items = more if not args.rest else (*more, args.rest)
        params[spec.vararg.arg] = (atoms.make(Items, items, not args.rest),)
    if spec.kwarg is not None:
        params[spec.kwarg.arg] = (atoms.make(Map, tuple(named.items()), EMPTY),)
    return params


def _stores_parameter(function: Any, name: str) -> bool:
    """Tell whether a function, or one in it, does `name[...] = parameter`."""
    parameters: set[str] = set()
    stored: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            parameters.add(node.arg)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            for target in node.targets:
                base = target.value if isinstance(target, ast.Subscript) else None
                if isinstance(base, ast.Name) and base.id == name:
                    stored.add(node.value.id)
    return bool(stored & parameters)


def _is_coroutine(node: Any) -> bool:
    """Tell whether what a function yields is waited for, not passed on."""
    names = decorator_names(node) if isinstance(node, FunctionNode) else set()
    return bool(names & {"coroutine", "engine", "inlineCallbacks"})


_Evaluator = Callable[[Interpreter, Any, Frame], Value]
_EVALUATORS: dict[type, _Evaluator] = {
    ast.Name: Interpreter._name,
    ast.Attribute: Interpreter._attribute,
    ast.Call: Interpreter._call,
    ast.Subscript: Interpreter._subscript,
    ast.Constant: Interpreter._constant,
    ast.BinOp: Interpreter._sum,
    ast.JoinedStr: Interpreter._joined,
    ast.List: Interpreter._sequence,
    ast.Tuple: Interpreter._sequence,
    ast.Set: Interpreter._sequence,
    ast.Dict: Interpreter._dict,
    ast.ListComp: Interpreter._comprehension,
    ast.GeneratorExp: Interpreter._comprehension,
    ast.SetComp: Interpreter._comprehension,
    ast.DictComp: Interpreter._dict_comprehension,
    ast.Lambda: Interpreter._lambda,
    ast.IfExp: Interpreter._either,
    ast.BoolOp: Interpreter._any_of,
    ast.Await: Interpreter._inner,
    ast.Yield: Interpreter._inner,
    ast.YieldFrom: Interpreter._inner,
    ast.NamedExpr: Interpreter._inner,
}
