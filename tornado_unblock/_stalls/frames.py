"""What a loop's thread is doing, read from its frames.

# Threads: the watcher's. It holds the interpreter while it walks, so that what it walks
# over stands still.
# Guarantees: no code of the program is run: no property, `repr` or `__getattr__`.
"""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import functools
import gc
import inspect
import linecache
import os
import re
import sys
import types
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

import tornado
from tornado.web import RequestHandler, _HandlerDelegate

from tornado_unblock._loop.frames import frame_of
from tornado_unblock._stalls.owner import Owner, mark_of, owner_in
from tornado_unblock._stalls.records import Place

# A deeper recursion tells nothing more but whose it is.
_DEEPEST = 3000
# Of a line of source, in characters.
_LONGEST_SOURCE = 160
_HANDLE_RUN = asyncio.Handle._run.__code__
_EXECUTE = inspect.unwrap(RequestHandler._execute).__code__
_MAKE_HANDLER = _HandlerDelegate.execute.__code__
_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TORNADO = os.path.dirname(os.path.abspath(tornado.__file__))
_STANDARD = os.path.join(os.path.dirname(os.path.realpath(os.__file__)), "")
# What stands before the first name, a name, a call in a line, and what may hide or
# close a bracket.
_LEADING = re.compile(r"^(?:[\s(]|(?:async|await|with|not|yield|from|return)\b)+")
_NAME = re.compile(r"\s*\.?\s*([^\W\d]\w*)")
_CALLS = re.compile(r"[^\W\d][\w.]*(?=\()|(?<=\bwith )[^\W\d][\w.]*(?=:)")
_BRACKETS = re.compile(r"[()\[\]{}]|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_LOOP_METHODS = ("_run_once", "run_forever", "run_until_complete", "run", "_run")
# Methods of a socket's handler that the socket's own task calls.
SOCKET_METHODS = frozenset(
    ["on_message", "on_close", "on_ping", "on_pong", "open", "on_connection_close"]
)
# Tornado calls it, and awaits it, from where it reads the request.
STREAM_METHOD = "data_received"


class Step(NamedTuple):
    """One frame, without holding it."""

    file: str
    line: int
    name: str
    # Qualified, where Python knows it (3.11 on).
    function: str
    coroutine: bool = False


class Sample(NamedTuple):
    """What a thread was doing at one moment.

    Attributes:
        steps: Its frames, outermost first.
        begins: Index of the first that is not the loop's or Tornado's own machinery.
        owner: Whose work it is, if a request's.
        serving: Whether Tornado is serving that request, rather than running what its
            handler has started.
        task: The name of the coroutine of the task that runs, or "".
        work: What tells one callback or task from the next.
        called: What the innermost frame may be calling, dotted: ``time.sleep``. One
            where Python knows the expression (3.11 on), else all of its line.
    """

    steps: tuple[Step, ...]
    begins: int
    owner: Optional[Owner]
    serving: bool
    task: str
    work: int
    called: tuple[str, ...]


class _At(NamedTuple):
    """What the innermost frame is at, and what its names mean there."""

    code: types.CodeType
    line: int
    last_instruction: int
    names: tuple[Mapping[str, Any], ...]


def take(
    thread: int, loop: asyncio.AbstractEventLoop, valid: Callable[[], bool]
) -> Optional[Sample]:
    """Look at ``thread``, on which ``loop`` runs.

    Args:
        thread: Its number.
        loop: The loop.
        valid: Asked after the look: whether the thread is still where it was before.

    Returns:
        What was seen; None if the thread is not there, or has gone on.
    """
    frame = frame_of(thread)
    if frame is None:
        return None
    innermost = _At(
        frame.f_code,
        frame.f_lineno or 0,
        frame.f_lasti,
        (dict(frame.f_locals), frame.f_globals, vars(builtins)),
    )
    walk = _walk(frame)
    if not valid():
        return None
    # From here on the thread may go on: a file is read.
    steps, handle = walk.steps, walk.handle
    # The loop itself calls a function of C: its callback.
    called = handle._callback if innermost.code is _HANDLE_RUN else None
    task = _task(loop)
    # A frame of Tornado's has the request itself, a context what was noted of it.
    found = walk.request or owner_in(_context(handle, task))
    begins = 1 if handle is not None else _below_loop(steps)
    return Sample(
        tuple(steps),
        len(steps) - walk.serving if walk.serving else begins,
        found,
        bool(walk.serving),
        _coroutine_name(task),
        id(handle) if handle is not None else id(task),
        _called(innermost) if called is None else (_describe(None, called, "?"),),
    )


class _Walk(NamedTuple):
    """What a walk over frames has found."""

    # Outermost first; the first is the handle's own, if there is one.
    steps: list[Step]
    # The loop's handle that runs, if it is one of Python's.
    handle: Any
    # Whose request a frame of Tornado's serves, and how many frames that begins.
    request: Optional[Owner]
    serving: int


def _walk(frame: types.FrameType) -> _Walk:
    steps: list[Step] = []
    handle: Any = None
    request: Optional[Owner] = None
    serving = 0
    walked: Optional[types.FrameType] = frame
    while walked is not None:
        code = walked.f_code
        if len(steps) < _DEEPEST:
            steps.append(_step(walked))
        if code is _EXECUTE or code is _MAKE_HANDLER:
            request = request or _delegate_in(walked)
            serving = serving or (len(steps) if request is not None else 0)
        elif code.co_name == STREAM_METHOD and request is None:
            request = _handler_in(walked)
            serving = len(steps) if request is not None else 0
        elif code is _HANDLE_RUN:
            handle = walked.f_locals.get("self")
            break  # below are the loop, and what runs it
        walked = walked.f_back
    steps.reverse()
    return _Walk(steps, handle, request, serving)


def _step(frame: types.FrameType) -> Step:
    code, file = frame.f_code, frame.f_code.co_filename
    if file.startswith("<") and not file.startswith("<frozen"):
        file = _generated_by(frame.f_globals) or file
    function = getattr(code, "co_qualname", code.co_name)
    coroutine = bool(code.co_flags & inspect.CO_COROUTINE)
    line = frame.f_lineno or code.co_firstlineno
    return Step(file, line, code.co_name, function, coroutine)


def _generated_by(names: dict[str, Any]) -> str:
    """Return the file of the library that has made a piece of code; "": none has.

    What a program's own module has made keeps its name: it is the program's, and its
    lines are not those of the module.
    """
    # Exact types: of others, methods may be the program's.
    file, name = dict.get(names, "__file__"), dict.get(names, "__name__")
    if file is None and type(name) is str:
        module = sys.modules.get(name)
        if type(module) is types.ModuleType:
            file = vars(module).get("__file__")
    return file if type(file) is str and module_kind(file) != "user" else ""


def _delegate_in(frame: types.FrameType) -> Optional[Owner]:
    """Return whose request a frame of Tornado's serves, unless it is no such frame."""
    me = frame.f_locals.get("self")
    if isinstance(me, _HandlerDelegate):
        return _owner_of(me)
    if isinstance(me, RequestHandler) and frame.f_code is _EXECUTE:
        return _owner_of(_Delegate(me))
    return None


def _handler_in(frame: types.FrameType) -> Optional[Owner]:
    """Return whose request a method of a handler is for, unless it is no such."""
    me: Any = frame.f_locals.get("self")
    return _owner_of(_Delegate(me)) if _is(me, RequestHandler) else None


def _owner_of(delegate: Any) -> Owner:
    owner = Owner(mark_of(delegate))
    owner.ask(delegate.request)
    return owner


class _Delegate:
    """What an `Owner` wants to know, of a handler that was made before the watch."""

    def __init__(self, handler: RequestHandler) -> None:
        self.application = handler.application
        self.request = handler.request
        self.handler_class = type(handler)


def _task(loop: asyncio.AbstractEventLoop) -> Optional[asyncio.Task[Any]]:
    try:
        return asyncio.current_task(loop)
    except RuntimeError:  # pragma: no cover - changed while it was looked at
        return None


def _context(
    handle: Any, task: Optional[asyncio.Task[Any]]
) -> Optional[Mapping[Any, Any]]:
    context = getattr(handle, "_context", None)
    if context is None and task is not None:
        if hasattr(task, "get_context"):  # pragma: no cover - Python 3.12 on
            context = task.get_context()
        else:
            found = (o for o in gc.get_referents(task) if _is_context(o))
            context = next(found, None)
    return context if _is_context(context) else None


def _is_context(value: Any) -> bool:
    return _is(value, contextvars.Context)


def _coroutine_name(task: Optional[asyncio.Task[Any]]) -> str:
    coroutine = None if task is None else task.get_coro()
    if _is(coroutine, types.CoroutineType, types.GeneratorType):
        return str(coroutine.__qualname__)  # type: ignore[union-attr]
    return "" if coroutine is None else type(coroutine).__qualname__


def _is(value: Any, *kinds: type) -> bool:
    """Whether it is of one of these types; `isinstance` may run code of the value's."""
    return issubclass(type(value), kinds)


def _below_loop(steps: list[Step]) -> int:
    """Return the index after the last frame of the loop, where no handle tells."""
    for index in range(len(steps) - 1, -1, -1):
        path, name = steps[index].file.replace(os.sep, "/"), steps[index].name
        if "/asyncio/" in path and name in _LOOP_METHODS:
            return index + 1
        if "/uvloop/" in path:
            return index + 1
    return 0


# -- places ------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def module_kind(file: str) -> str:
    """Return whose code a file is: "user", "tornado", "library", "stdlib", "site"."""
    if file.startswith("<"):
        # Templates are the program's; frozen modules are the interpreter's.
        return "stdlib" if file.startswith("<frozen") else "user"
    path = os.path.realpath(file)
    if path.startswith(_LIBRARY + os.sep):
        return "library"
    if path.startswith(_TORNADO + os.sep) and "/tornado/test/" not in path:
        return "tornado"
    parts = path.split(os.sep)
    if "site-packages" in parts or "dist-packages" in parts:
        return "site"
    return "stdlib" if path.startswith(_STANDARD) else "user"


@functools.lru_cache(maxsize=4096)
def package_of(file: str) -> str:
    """Return the top package of a file, such as ``requests``; "" for the user's own."""
    parts = os.path.normpath(file).split(os.sep)
    for marker in ("site-packages", "dist-packages"):
        if marker in parts:
            after = parts[len(parts) - parts[::-1].index(marker) :]
            return after[0].partition(".")[0] if after else ""
    kind = module_kind(file)
    if kind == "tornado":
        return "tornado"
    if kind == "stdlib":
        path = os.path.realpath(file)
        rest = path[len(_STANDARD) :] if path.startswith(_STANDARD) else file
        return rest.split(os.sep)[0].partition(".")[0].strip("<>").split(" ")[-1]
    return ""


def is_own(step: Step, home: str = "") -> bool:
    """Whether a frame is the program's own code, not that of a library.

    Args:
        step: The frame.
        home: A package that is the program's own though it is installed.
    """
    kind = module_kind(step.file)
    if kind == "user":
        return True
    return bool(home) and kind == "site" and package_of(step.file) == home


def place(step: Step) -> Place:
    """Return where a frame stands; reads the source file."""
    source = linecache.getline(step.file, step.line).strip()
    return Place(step.file, step.line, step.function, source[:_LONGEST_SOURCE])


# -- what is called ----------------------------------------------------------------


def _called(at: _At) -> tuple[str, ...]:
    """Return what the innermost frame may be calling, as ``module.name``.

    C functions have no frame: the source says which one it is, and the names in it
    are looked up as the interpreter would, but without running anything. It is read
    by hand: CPython's `ast` is not safe beside another thread that parses.
    """
    text, exact = _expression(at)
    texts = [text] if exact else _CALLS.findall(text)
    return tuple(filter(None, (_resolve(_chain(part), at) for part in texts)))


def _expression(at: _At) -> tuple[str, bool]:
    """Return the source of what the frame is at, and whether it is just that."""
    code = at.code
    if hasattr(code, "co_positions"):  # pragma: no branch - Python 3.11 on
        positions = list(code.co_positions())
        start, end, left, right = positions[at.last_instruction // 2]
        if start and end and left is not None and right is not None:
            lines = linecache.getlines(code.co_filename)[start - 1 : end]
            if lines:
                lines[-1] = lines[-1].encode()[:right].decode(errors="replace")
                lines[0] = lines[0].encode()[left:].decode(errors="replace")
                return "".join(lines), True
    return linecache.getline(code.co_filename, at.line), False


def _chain(text: str) -> list[str]:
    """Return the links of ``a.b(...).c``: names, and "()" for what is in brackets."""
    text = _LEADING.sub("", text)
    links: list[str] = []
    position = 0
    while position < len(text):
        name = _NAME.match(text, position)
        if name is not None:
            links.append(name[1])
            position = name.end()
        elif links and text[position] in "([":
            links.append("()")
            position = _after_bracket(text, position)
        else:
            break
    if links and links[-1] == "()":
        links.pop()  # the call itself
    return links


def _after_bracket(text: str, position: int) -> int:
    """Return where the bracket that opens at ``position`` has been closed."""
    depth = 0
    for found in _BRACKETS.finditer(text, position):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if not depth:
            return found.end()
    return len(text)


def _resolve(links: list[str], at: _At) -> str:
    """Return whose function the links lead to; what a call returns is not known."""
    if not links:
        return ""
    if "()" in links:
        last = links.index("()")
        rest = "".join(link if link == "()" else f".{link}" for link in links[last:])
        return _resolve(links[:last], at) + rest
    value = _look_up(links[0], at)
    for index, name in enumerate(links[1:], 1):
        inner = inspect.getattr_static(value, name, None)
        if _is(inner, types.MemberDescriptorType, types.GetSetDescriptorType):
            inner = None
        if inner is None or index == len(links) - 1:
            return _describe(value, inner, name)
        value = inner
    return _describe(None, value, links[0])


def _look_up(name: str, at: _At) -> Any:
    for names in at.names:
        if name in names:
            return names[name]
    return None


def _describe(holder: Any, value: Any, name: str) -> str:
    while _is(value, functools.partial):
        value = value.func
    function = _is(value, types.FunctionType, types.BuiltinFunctionType)
    if _is(holder, types.ModuleType):
        module = value.__module__ if function or _is(value, type) else None
        own = value.__name__ if _is(value, types.BuiltinFunctionType) else name
        where = module if _is(module, str) else vars(holder).get("__name__", "?")
        return f"{where}.{own}"
    if holder is not None:
        cls = holder if _is(holder, type) else type(holder)
        return f"{cls.__module__}.{cls.__qualname__}.{name}"
    if function or _is(value, type):
        # A method of an object in C has its object, and no module.
        of = value.__module__ or type(getattr(value, "__self__", None)).__module__
        return f"{of}.{value.__qualname__}"
    if value is None:
        return f"?.{name}"
    return f"{type(value).__module__}.{type(value).__qualname__}"


def from_dump(steps: tuple[Step, ...], owner: Optional[Owner]) -> Sample:
    """Return the sample that `faulthandler` took, when nobody else could."""
    serving = [i for i, s in enumerate(steps) if _serves(s)]
    begins = serving[-1] if serving else _below_loop(list(steps))
    return Sample(steps, begins, owner, bool(serving), "", 0, ())


def _serves(step: Step) -> bool:
    return step.name == "_execute" and module_kind(step.file) == "tornado"
