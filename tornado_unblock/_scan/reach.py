"""What a function calls, and what of that blocks; and the shortest way there."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional

from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.handlers import is_async
from tornado_unblock._scan.interpret import (
    Interpreter,
    decorator_names,
    is_property,
    is_session,
)
from tornado_unblock._scan.project import Class, Module
from tornado_unblock._scan.rules import (
    AT_ONCE,
    HINTED,
    HINTS,
    PATIENCE,
    PATIENT,
    TELLING,
)
from tornado_unblock._scan.values import (
    LIKELY,
    SEEN,
    UNKNOWN,
    Args,
    Atom,
    Cls,
    Ext,
    Func,
    FunctionNode,
    Moved,
    Obj,
    Super,
    Value,
)

#: They call what they are given, there and then or in the loop's next turn.
_CALLERS = re.compile(
    r"map|filter|sorted|min|max|reduce|functools\.reduce|any|all"
    r"|itertools\.\w+"
    r"|(.*\.)?(add_callback|spawn_callback|call_later|add_timeout|call_at|add_future"
    r"|call_soon|run_sync|PeriodicCallback|add_callback_from_signal|add_handler"
    r"|call_soon_threadsafe|add_reader|add_writer)"
)
#: They go through what they are given, or through all but the first of it.
_ITERATING = re.compile(
    r"list|tuple|sorted|reversed|set|frozenset|dict|enumerate|zip|iter|next|sum|min"
    r"|max|any|all|collections\.(deque|OrderedDict|Counter)|itertools\.\w+"
    r"|(heapq\.(nlargest|nsmallest)|map|filter|reduce|functools\.reduce)"
)
#: `open` in all its forms, and what is done with what it gives.
_OPENED = re.compile(r"(?:^|[._])(?:open|file)\b")
_STEPS = ("__iter__", "__next__")
#: Too common to be followed by their name alone.
_COMMON = re.compile(
    r"__\w+__|(get|set|add|put|pop|run|open|close|read|write|send|recv|load|dump|save"
    r"|find|items|keys|values|update|delete|insert|append|extend|format|encode|decode"
    r"|start|stop|join|split|strip|copy|clear|connect|execute|query|commit|rollback"
    r"|fetchone|fetchall|finish|render|redirect|flush|get_argument\w*|set_header"
    r"|set_status|write_error|send_error|write_message|get_secure_cookie|on_\w+"
    r"|initialize|prepare|setup|handle|process|call|main)"
)

#: What a session of a database does without waiting, or only another session does.
_NOT_OF_SESSIONS = HINTED - {
    "commit",
    "rollback",
    "flush",
    "merge",
    "refresh",
    "scalar",
}


class Edge(NamedTuple):
    """One call of a function of the code base."""

    frame: Frame
    line: int
    level: int


class Leaf(NamedTuple):
    """One call that blocks."""

    line: int
    column: int
    #: "network", "sleep" ...: a kind of `tornado_unblock._scan.table`.
    kind: str
    #: As it is written: `self.db.execute`.
    what: str
    #: As the table knows it, "" if only the name tells.
    path: str
    level: int


class Edges(NamedTuple):
    """All that one frame does that matters here."""

    calls: list[Edge]
    leaves: list[Leaf]
    #: Line and what could not be followed.
    dark: list[tuple[int, str]]


class Step(NamedTuple):
    """One step of a way: a function, and where in it the next one is called."""

    name: str
    path: str
    line: int


class Found(NamedTuple):
    """A call that blocks, and the way there."""

    leaf: Leaf
    steps: tuple[Step, ...]
    level: int


def renders(call: ast.Call) -> bool:
    """Tell whether a call renders a template."""
    func = call.func
    return isinstance(func, ast.Attribute) and func.attr in ("render", "render_string")


class Reach:
    """Reads functions, each frame once."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self._by_name: Optional[dict[str, list[tuple[Any, Frame, Optional[Class]]]]] = (
            None
        )

    # --- one function --------------------------------------------------------------

    def edges(self, frame: Frame) -> Edges:
        """Return what a frame calls."""
        if frame.edges is None:
            frame.edges = Edges([], [], [])
            try:
                self._read(frame, frame.edges)
            except RecursionError:  # pragma: no cover - depth is bounded before
                line = getattr(frame.node, "lineno", 1)
                frame.edges.dark.append((line, "an expression that is nested too deep"))
        return frame.edges

    def _read(self, frame: Frame, edges: Edges) -> None:
        scope = frame.scope
        for call in scope.calls:
            self._call(call, frame, edges)
        for load in scope.loads:
            if load.attr in self.interpreter.property_names:
                self._property(load, frame, edges)
        for node in scope.withs:
            self._protocol(node, ("__enter__", "__exit__"), frame, edges)
        for node in scope.iterated:
            self._protocol(node, _STEPS, frame, edges)
        for node in scope.async_withs:
            self._protocol(node, ("__aenter__", "__aexit__"), frame, edges)
        for node in scope.async_iterated:
            self._protocol(node, ("__aiter__", "__anext__"), frame, edges)
        for item in scope.subscripts:
            for atom in self.interpreter.eval(item.value, frame):
                if isinstance(atom, Obj):
                    self._method(atom, "__getitem__", item, edges)
                elif isinstance(atom, Ext):
                    self._leaf(self._step(atom, "[]"), item.value, atom.level, edges)
        if isinstance(frame.node, FunctionNode):
            self._authenticated(frame, edges)

    def _step(self, atom: Ext, step: str) -> str:
        return self.interpreter.table.step(atom.path, step)

    def _call(self, call: ast.Call, frame: Frame, edges: Edges) -> None:
        functions = self.interpreter.eval(call.func, frame)
        args = self.interpreter.args(call, frame)
        for atom in functions:
            self._called(atom, call, args, edges)
        self._iterates(call, functions, frame, edges)
        outside = all(isinstance(a, Ext) and not self._known(a.path) for a in functions)
        if outside and isinstance(call.func, ast.Attribute):
            self._by_its_name(call, call.func, args, frame, edges)
        if renders(call):
            # A template goes through a query that it is given.
            for keyword in call.keywords:
                self._protocol(keyword.value, ("__iter__",), frame, edges, LIKELY)
        if any(atom.level == UNKNOWN for atom in functions):
            text = ast.unparse(call.func)
            edges.dark.append((call.lineno, f"{text}: the name is made as it runs"))

    def _iterates(
        self, call: ast.Call, functions: Value, frame: Frame, edges: Edges
    ) -> None:
        """Note what a builtin, or a container's method, goes through."""
        nodes: list[ast.expr] = []
        for atom in functions:
            found = _ITERATING.fullmatch(atom.path) if isinstance(atom, Ext) else None
            if found is not None:
                nodes += call.args[1:] if found[2] else call.args
        func = call.func
        if not functions and isinstance(func, ast.Attribute):
            nodes += call.args if func.attr in ("join", "extend") else ()
        for node in nodes:
            self._protocol(node, _STEPS, frame, edges)
            if isinstance(func, ast.Name) and func.id == "next":
                self._protocol(node, ("next",), frame, edges)

    def _known(self, path: str) -> bool:
        """Tell whether the table can be trusted about a path.

        Not about a method of a row that a query gave: that may be anything.
        """
        table = self.interpreter.table
        if not table.knows(path):
            return False
        base = path.rpartition(".")[0]
        return not (base.endswith("()") and table.blocks(base[:-2]) == "database")

    def _called(self, atom: Atom, call: ast.Call, args: Args, edges: Edges) -> None:
        if isinstance(atom, Func):
            self._edge(atom, args, call.lineno, edges)
        elif isinstance(atom, Ext):
            if not (PATIENT.fullmatch(atom.path) and _does_not_wait(call, atom.path)):
                self._leaf(atom.path, call.func, atom.level, edges)
            if atom.path in ("eval", "exec", "execfile"):
                edges.dark.append((call.lineno, atom.path))
            if _CALLERS.fullmatch(atom.path):
                self._passed_on(call, args, edges)
        elif isinstance(atom, Cls):
            obj = self.interpreter.object_of(atom.cls, args)
            self._method(obj, "__init__", call, edges, args)
            self._method(obj, "__post_init__", call, edges)
            for base in self.interpreter.mro(atom.cls):
                if isinstance(base, str):
                    self._leaf(base, call.func, atom.level, edges)
        elif isinstance(atom, Obj):
            self._method(atom, "__call__", call, edges, args)

    def _edge(self, func: Func, args: Args, line: int, edges: Edges) -> None:
        frame = self.interpreter.frame_for(func, args)
        edges.calls.append(Edge(frame, line, func.level))

    def _leaf(self, path: str, node: ast.expr, level: int, edges: Edges) -> None:
        kind = self.interpreter.table.blocks(path)
        if kind:
            self._add_leaf(node, kind, path, level, edges)

    def _add_leaf(
        self, node: ast.expr, kind: str, path: str, level: int, edges: Edges
    ) -> None:
        what = _brief(node)
        line = getattr(node, "end_lineno", None) or node.lineno
        line = line if isinstance(node, ast.Attribute) else node.lineno
        edges.leaves.append(Leaf(line, node.col_offset + 1, kind, what, path, level))

    def _method(
        self,
        obj: Obj,
        name: str,
        node: Any,
        edges: Edges,
        args: Optional[Args] = None,
    ) -> None:
        cls = obj.cls
        for base in self.interpreter.mro(cls):
            if isinstance(base, Class):
                if name in base.frame.scope.bindings:
                    for atom in self.interpreter.attribute(obj, name):
                        if isinstance(atom, Func):
                            passed = args or self.interpreter.no_args
                            self._edge(atom, passed, node.lineno, edges)
                        elif isinstance(atom, Ext):  # __call__ = requests.get
                            self._leaf(atom.path, node, atom.level, edges)
                    return
            elif name not in ("__init__", "__call__"):
                step = "[]" if name == "__getitem__" else f".{name}"
                path = self.interpreter.table.step(f"{base}()", step)
                self._leaf(path, node, obj.level, edges)

    def _passed_on(self, call: ast.Call, args: Args, edges: Edges) -> None:
        values = [*args.placed, *(value for _, value in args.named)]
        for value in values:
            for atom in value:
                if isinstance(atom, Func):
                    self._edge(atom, self.interpreter.no_args, call.lineno, edges)
        named = dict(args.named)
        starred = any(isinstance(node, ast.Starred) for node in call.args)
        given = [] if starred else list(zip(call.args, args.placed))
        given += [(k.value, named.get(k.arg or "", ())) for k in call.keywords]
        for node, value in given:
            if isinstance(node, (ast.Name, ast.Attribute)):
                for atom in value:
                    if isinstance(atom, Ext) and atom.path[-1] not in ")]":
                        self._leaf(atom.path, node, atom.level, edges)

    def _property(self, load: ast.Attribute, frame: Frame, edges: Edges) -> None:
        for atom in self.interpreter.eval(load.value, frame):
            if isinstance(atom, (Obj, Super)):
                for func in self._getters(atom, load.attr):
                    self._edge(func, self.interpreter.no_args, load.lineno, edges)

    def _getters(self, atom: Any, name: str) -> Iterator[Func]:
        """Yield the functions that reading an attribute calls."""
        interpreter = self.interpreter
        obj = atom.obj if isinstance(atom, Super) else atom
        if not isinstance(obj, Obj):
            return
        hooks = {"current_user": "get_current_user", "locale": "get_user_locale"}
        for cls in interpreter.mro(obj.cls):
            if isinstance(cls, Class):
                node = self._getter_of(cls, name)
                if node is None and name in cls.methods:
                    return
                node = node or cls.methods.get(hooks.get(name, ""))
                if node is not None:
                    make = interpreter.atoms.make
                    yield make(Func, node, cls.frame, cls, obj)
                    return

    @staticmethod
    def _getter_of(cls: Class, name: str) -> Any:
        """Return the getter of a property; there may be a setter of that name."""
        for each in cls.frame.scope.functions:
            if each.name == name and is_property(each):
                return each
        return None

    def _protocol(
        self,
        node: ast.expr,
        names: tuple[str, ...],
        frame: Frame,
        edges: Edges,
        level: int = SEEN,
    ) -> None:
        for atom in self.interpreter.eval(node, frame):
            for name in names:
                if isinstance(atom, Obj):
                    self._method(atom, name, node, edges)
                elif isinstance(atom, Ext) and not name.startswith("__a"):
                    path = self._step(atom, f".{name}")
                    self._leaf(path, node, max(atom.level, level), edges)

    def _authenticated(self, frame: Frame, edges: Edges) -> None:
        if "authenticated" not in decorator_names(frame.node):
            return
        for atom in next(iter(frame.params.values()), ()):
            for func in self._getters(atom, "current_user"):
                line = frame.node.decorator_list[0].lineno
                self._edge(func, self.interpreter.no_args, line, edges)

    # --- what nobody's request runs ------------------------------------------------

    def scheduled(self, module: Module) -> Iterator[Frame]:
        """Yield what a module's code gives to the loop, and its coroutines."""
        interpreter = self.interpreter
        for frame in interpreter.plain_frames(module):
            if isinstance(frame.node, FunctionNode) and is_async(frame.node):
                yield frame
            for call in frame.scope.calls:
                name = _last_name(call)
                if _CALLERS.fullmatch(f".{name}") is None:
                    continue
                args = interpreter.args(call, frame)
                for value in (*args.placed, *(value for _, value in args.named)):
                    for atom in value:
                        if isinstance(atom, Func):
                            yield interpreter.frame_for(atom, interpreter.no_args)

    # --- what only a name tells ----------------------------------------------------

    def _by_its_name(
        self,
        call: ast.Call,
        func: ast.Attribute,
        args: Args,
        frame: Frame,
        edges: Edges,
    ) -> None:
        name = func.attr
        kind = TELLING.get(name, "")
        if not kind and name in HINTED and HINTS.search(_last_name(func.value)):
            cached = re.search("redis|rds", _last_name(func.value), re.IGNORECASE)
            kind = "network" if cached else "database"
        if is_session(func.value) and name in _NOT_OF_SESSIONS:
            kind = ""
        if kind:
            if id(call) not in frame.scope.awaited:
                self._add_leaf(func, kind, "", LIKELY, edges)
            return
        for unique in self._only_one(name, call):
            self._edge(unique, args, call.lineno, edges)

    def _only_one(self, name: str, call: ast.Call) -> Iterator[Func]:
        """Yield the function of that name, if there is just one, and it fits."""
        if (
            _COMMON.fullmatch(name)
            or len(name) < 5
            or not ("_" in name or len(name) > 8)
        ):
            return
        found = self._named(name)
        if len(found) != 1:
            return
        node, frame, cls = found[0]
        if not _fits(node, call, cls is not None):
            return
        bound = self.interpreter.object_of(cls) if cls is not None else None
        yield self.interpreter.atoms.make(Func, node, frame, cls, bound, LIKELY)

    def _named(self, name: str) -> list[tuple[Any, Frame, Optional[Class]]]:
        if self._by_name is None:
            self._by_name = {}
            for module in self.interpreter.project.modules:
                for node in module.frame.scope.functions:
                    found = self._by_name.setdefault(node.name, [])
                    found.append((node, module.frame, None))
                for definition in module.frame.scope.classes:
                    cls = self.interpreter.class_of(definition, module.frame)
                    for method in cls.methods.values():
                        found = self._by_name.setdefault(method.name, [])
                        found.append((method, cls.frame, cls))
        return self._by_name.get(name, [])

    # --- all that can be reached ---------------------------------------------------

    def search(self, starts: Iterable[Frame]) -> tuple[list[Found], list[Frame]]:
        """Return what blocks, each once, by the surest and shortest way.

        Returns:
            What was found, and all frames that were reached.
        """
        found: dict[tuple[str, int, str], Found] = {}
        frames: dict[Frame, tuple[Optional[Frame], int]] = {}
        for frame in starts:
            frames[frame] = (None, 0)
        levels = dict.fromkeys(frames, SEEN)
        later: list[list[tuple[Frame, Edge]]] = [[], [], []]
        for level in (SEEN, LIKELY, UNKNOWN):
            todo = deque(frames if level == SEEN else [])
            for origin, edge in later[level]:
                if edge.frame not in frames:
                    frames[edge.frame] = (origin, edge.line)
                    levels[edge.frame] = level
                    todo.append(edge.frame)
            while todo:
                frame = todo.popleft()
                edges = self.edges(frame)
                self._collect(frame, edges, level, frames, found)
                for edge in edges.calls:
                    if edge.frame in frames:
                        continue
                    if edge.level > level:
                        later[edge.level].append((frame, edge))
                        continue
                    frames[edge.frame] = (frame, edge.line)
                    levels[edge.frame] = level
                    todo.append(edge.frame)
        return list(found.values()), list(frames)

    def _collect(
        self,
        frame: Frame,
        edges: Edges,
        level: int,
        frames: dict[Frame, tuple[Optional[Frame], int]],
        found: dict[tuple[str, int, str], Found],
    ) -> None:
        opened = False
        for leaf in edges.leaves:
            # The first of `open`, `read`, `write` is enough.
            if leaf.kind == "file" and _OPENED.search(leaf.path):
                if opened:
                    continue
                opened = True
            key = (frame.module.path, leaf.line, leaf.kind)
            sure = max(level, leaf.level)
            if key not in found or found[key].level > sure:
                found[key] = Found(leaf, _way(frame, leaf.line, frames), sure)


def _way(
    frame: Frame, line: int, frames: dict[Frame, tuple[Optional[Frame], int]]
) -> tuple[Step, ...]:
    steps: list[Step] = []
    place: Optional[Frame] = frame
    while place is not None:
        steps.insert(0, Step(place.name, place.module.path, line))
        place, line = frames[place]
    return tuple(steps)


def _brief(node: ast.expr) -> str:
    """Return an expression without what is passed to its calls."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_brief(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_brief(node.func)}()"
    if isinstance(node, ast.Subscript):
        return f"{_brief(node.value)}[]"
    return "(...)"


def _does_not_wait(call: ast.Call, path: str) -> bool:
    """Tell whether a call says that it shall not wait: `lock.acquire(False)`."""
    by_number = not path.startswith(("os.", "fcntl."))  # those have flags
    told = [*call.args, *(k.value for k in call.keywords if k.arg in PATIENCE)]
    for node in told:
        if isinstance(node, ast.Constant):
            number = isinstance(node.value, (bool, int, float)) and by_number
            if number and not node.value:
                return True
        elif isinstance(node, (ast.BinOp, ast.Attribute)):
            if AT_ONCE.search(ast.unparse(node)):
                return True
    return False


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _fits(node: Any, call: ast.Call, is_method: bool) -> bool:
    """Tell whether a function takes what a call passes."""
    spec = node.args
    if any(isinstance(arg, ast.Starred) for arg in call.args):
        return True
    names = [arg.arg for arg in spec.posonlyargs + spec.args]
    bound = is_method and "staticmethod" not in decorator_names(node)
    places = len(names) - bound
    needed = places - len(spec.defaults)
    given = len(call.args) + len(call.keywords)
    if len(call.args) > places and spec.vararg is None:
        return False
    keywords = {keyword.arg for keyword in call.keywords}
    known = {*names, *(arg.arg for arg in spec.kwonlyargs)}
    if spec.kwarg is None and None not in keywords and not keywords <= known:
        return False
    return None in keywords or given >= needed


__all__ = ["Edge", "Found", "Leaf", "Moved", "Reach", "Step"]
