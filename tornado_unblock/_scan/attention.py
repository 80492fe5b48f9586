"""What will need attention when bodies run side by side.

Looked at is what sync methods of handlers reach: those are what a worker runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional

from tornado_unblock._scan.findings import Note
from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.handlers import is_async
from tornado_unblock._scan.interpret import Interpreter
from tornado_unblock._scan.project import Class
from tornado_unblock._scan.values import Cls, Ext, FunctionNode, Mod, Obj

GLOBALS = "faq.md#are-my-globals-safe"
#: Where the documentation says what to do, by rule.
LINKS = {
    "global-write": GLOBALS,
    "global-connection": GLOBALS,
    "class-write": GLOBALS,
    "self-stored": GLOBALS,
    "thread-local": "how-it-works.md#what-changes",
    "context-token": "shim.md#context-variables",
    "signal": "deployment.md#signals",
    "asyncio": "faq.md#can-a-body-use-the-event-loop",
}
_LINKS_OF_KINDS = {"requests.session()": "faq.md#what-about-requestssession"}

#: Objects that two threads must not use at once.
_UNSHARED = {
    "dbapi.connection()": "a database connection",
    "dbapi.cursor()": "a database cursor",
    "torndb.connection()": "a database connection",
    "SA.session()": "an ORM session",
    "SA.connection()": "a database connection",
    "requests.session()": "a requests session",
    "smtplib.client()": "an SMTP connection",
    "ldap.client()": "an LDAP connection",
    "pika.connection()": "a RabbitMQ connection",
    "pika.channel()": "a RabbitMQ channel",
    "paramiko.SSHClient()": "an SSH connection",
}
_CHANGES = {
    "append", "extend", "insert", "remove", "pop", "popitem", "clear", "add", "discard",
    "update", "setdefault", "appendleft", "popleft",
}  # fmt: skip
_MAKES_CONTAINER = {"dict", "list", "set", "defaultdict", "OrderedDict", "deque"}
_MAKES_CONTAINER |= {"Counter", "WeakSet", "WeakValueDictionary"}
_LOCK = re.compile(r"lock|mutex|semaphore|condition", re.IGNORECASE)
_SIGNAL = re.compile(
    r"signal\.(signal|alarm|setitimer|siginterrupt|set_wakeup_fd|pthread_sigmask)"
    r"|asyncio\..*\.add_signal_handler"
)
_ASYNCIO = re.compile(
    r"asyncio\.(create_task|get_running_loop|run|new_event_loop|current_task|all_tasks"
    r"|get_event_loop\(\)\.run_until_complete|set_event_loop)"
)


class Seen(NamedTuple):
    """One thing in one function."""

    rule: str
    line: int
    message: str
    link: str = ""


def notes_of(interpreter: Interpreter, entries: Iterable[Any]) -> list[Note]:
    """Return what the sync methods among `entries` reach, each place once."""
    found: dict[tuple[str, str, int], tuple[Seen, dict[str, None]]] = {}
    known: dict[Frame, list[Seen]] = {}
    for entry in entries:
        if isinstance(entry.node, FunctionNode) and is_async(entry.node):
            continue
        early = entry.name in ("prepare", "initialize")
        for frame in entry.frames:
            if frame not in known:
                known[frame] = list(_Look(interpreter, frame).all())
            for seen in known[frame]:
                if seen.rule != "thread-local" or early:
                    key = (seen.rule, frame.module.path, seen.line)
                    _, endpoints = found.setdefault(key, (seen, {}))
                    endpoints[entry.endpoint] = None
    return [
        Note(rule, path, line, seen.message, seen.link or LINKS[rule], tuple(endpoints))
        for (rule, path, line), (seen, endpoints) in sorted(
            found.items(), key=lambda item: item[0][1:]
        )
    ]


class _Look:
    """Looks at one function."""

    def __init__(self, interpreter: Interpreter, frame: Frame) -> None:
        self.interpreter = interpreter
        self.frame = frame
        self.scope = frame.scope
        self.shared = frame.module.frame.scope.bindings
        self.locked = [
            (node.lineno, node.end_lineno or node.lineno)
            for node in ast.walk(frame.node)
            if isinstance(node, (ast.With, ast.AsyncWith))
            and any(_LOCK.search(ast.unparse(item.context_expr)) for item in node.items)
        ]
        args = getattr(frame.node, "args", None)
        places = args.posonlyargs + args.args if args is not None else []
        self.self_name = places[0].arg if places and frame.cls is not None else ""

    def all(self) -> Iterator[Seen]:
        """Yield everything."""
        yield from self._globals()
        yield from self._stores()
        yield from self._calls()
        yield from self._connections()

    def _guarded(self, line: int) -> bool:
        return any(first <= line <= last for first, last in self.locked)

    # --- writes --------------------------------------------------------------------

    def _globals(self) -> Iterator[Seen]:
        for name in sorted(self.scope.globals):
            for binding in self.scope.bindings.get(name, ()):
                line = binding.node.lineno
                if not self._guarded(line):
                    text = f"the global {name} is assigned by requests"
                    yield Seen("global-write", line, text)

    def _stores(self) -> Iterator[Seen]:
        for target, binding in self.scope.items:
            line = target.lineno
            rule = self._shared_container(target.value)
            if rule is None or self._guarded(line):
                continue
            what = ast.unparse(target.value)
            if self._is_self(binding.node):
                yield Seen("self-stored", line, f"{what} keeps the handler")
            else:
                yield Seen(rule, line, f"{what} is changed by requests")
        for target, binding in self.scope.attributes:
            yield from self._attribute_store(target, binding)

    def _attribute_store(self, target: ast.Attribute, binding: Any) -> Iterator[Seen]:
        text = ast.unparse(target)
        line = target.lineno
        for atom in self.interpreter.eval(target.value, self.frame):
            if isinstance(atom, Cls) and not self._guarded(line):
                message = f"the class attribute {text} is assigned by requests"
                yield Seen("class-write", line, message)
            elif isinstance(atom, Mod) and not self._guarded(line):
                message = f"the global {text} is assigned by requests"
                yield Seen("global-write", line, message)
            elif self._is_local(atom):
                message = f"{text} is kept for the thread that runs this"
                yield Seen("thread-local", line, message)
        if self._token(binding.node):
            message = f"{text} keeps the token of a context variable"
            yield Seen("context-token", line, message)

    def _is_local(self, atom: Any) -> bool:
        if isinstance(atom, Obj):
            return "threading.local" in self.interpreter.mro(atom.cls)
        return isinstance(atom, Ext) and atom.path == "threading.local()"

    def _token(self, node: Any) -> bool:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return False
        base = self.interpreter.eval(node.func.value, self.frame)
        return node.func.attr == "set" and any(
            isinstance(atom, Ext) and atom.path == "contextvars.ContextVar()"
            for atom in base
        )

    def _is_self(self, node: Any) -> bool:
        return isinstance(node, ast.Name) and node.id == self.self_name != ""

    def _shared_container(self, node: ast.expr) -> Optional[str]:
        """Return the rule for a change of a container, None if it is nobody else's."""
        if isinstance(node, ast.Name):
            own = node.id in self.scope.bindings and node.id not in self.scope.globals
            if own or node.id in self.frame.params:
                return None
            return "global-write" if _is_container(self.shared.get(node.id)) else None
        if not isinstance(node, ast.Attribute):
            return None
        for atom in self.interpreter.eval(node.value, self.frame):
            if isinstance(atom, Mod):
                bindings = atom.module.frame.scope.bindings.get(node.attr)
                return "global-write" if _is_container(bindings) else None
            if isinstance(atom, (Obj, Cls)):
                shared = self._class_container(atom.cls, node.attr)
                return "class-write" if shared else None
        return None

    def _class_container(self, cls: Class, name: str) -> bool:
        classes = [c for c in self.interpreter.mro(cls) if isinstance(c, Class)]
        if any(name in each.stored() for each in classes):
            return False  # each instance has its own
        return any(_is_container(c.frame.scope.bindings.get(name)) for c in classes)

    # --- calls ---------------------------------------------------------------------

    def _calls(self) -> Iterator[Seen]:
        is_coroutine = not isinstance(self.frame.node, ast.Lambda) and is_async(
            self.frame.node
        )
        for call in self.scope.calls:
            yield from self._change(call)
            for atom in self.interpreter.eval(call.func, self.frame):
                if not isinstance(atom, Ext):
                    continue
                text = f"{ast.unparse(call.func)} is called"
                if _SIGNAL.fullmatch(atom.path):
                    message = f"{text}: signals belong to the main thread"
                    yield Seen("signal", call.lineno, message)
                elif _ASYNCIO.fullmatch(atom.path) and not is_coroutine:
                    message = f"{text} by a function that is no coroutine"
                    yield Seen("asyncio", call.lineno, message)

    def _change(self, call: ast.Call) -> Iterator[Seen]:
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr not in _CHANGES:
            return
        rule = self._shared_container(func.value)
        if rule is None or self._guarded(call.lineno):
            return
        what = ast.unparse(func.value)
        if any(self._is_self(arg) for arg in call.args):
            yield Seen("self-stored", call.lineno, f"{what} keeps the handler")
        else:
            yield Seen(rule, call.lineno, f"{what} is changed by requests")

    # --- what only one thread may use ----------------------------------------------

    def _connections(self) -> Iterator[Seen]:
        for load in self.scope.loads:
            base = load.value
            if self._guarded(load.lineno):
                continue
            if self._is_global(base) or self._is_of_class(base):
                yield from self._connection(base)

    def _is_global(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Name):
            return False
        name = node.id
        own = name in self.scope.bindings and name not in self.scope.globals
        return name in self.shared and not own and name not in self.frame.params

    def _is_of_class(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Attribute):
            return False
        for atom in self.interpreter.eval(node.value, self.frame):
            if isinstance(atom, Mod):
                return True
            if isinstance(atom, (Obj, Cls)):
                mro = self.interpreter.mro(atom.cls)
                classes = [c for c in mro if isinstance(c, Class)]
                bindings = [
                    binding
                    for c in classes
                    for binding in c.frame.scope.bindings.get(node.attr, ())
                ]
                own = any(node.attr in c.stored() for c in classes)
                return not own and any(
                    not isinstance(binding.node, FunctionNode) for binding in bindings
                )
        return False

    def _connection(self, node: ast.expr) -> Iterator[Seen]:
        for atom in self.interpreter.eval(node, self.frame):
            if isinstance(atom, Ext) and atom.path in _UNSHARED:
                message = (
                    f"{ast.unparse(node)} is {_UNSHARED[atom.path]} for all requests"
                )
                link = _LINKS_OF_KINDS.get(atom.path, "")
                yield Seen("global-connection", node.lineno, message, link)


def _is_container(bindings: Optional[list[Any]]) -> bool:
    """Tell whether a name is bound to a list, dict or set."""
    for binding in bindings or ():
        node = binding.node
        if isinstance(node, (ast.List, ast.Dict, ast.Set)):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
            if name in _MAKES_CONTAINER:
                return True
    return False
