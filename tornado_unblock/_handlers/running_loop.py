"""Which bodies are shown the running loop, and which may run loops of their own.

Inline, a handler's code finds the loop running: `asyncio.create_task` and
`get_running_loop` work, `asyncio.run` does not. In a worker it is the other way round,
unless the body is shown its application's loop as the running one. One body cannot
have both. So its code is asked: what names calls that need a running loop is shown it,
and so are the hooks of WebSockets, which keep tasks and queues with their loop, unless
they name calls that need a loop of their own.

# Threads: any; nothing is kept.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Optional, cast

from tornado_unblock._handlers.methods import is_socket_class

_NEED_RUNNING = frozenset(["create_task", "get_running_loop", "current_task"])
_NEED_OWN = frozenset(["run_until_complete", "run_forever", "HTTPClient"])


def shows_loop(cls: type, *names: str) -> bool:
    """Whether the bodies of ``cls`` called ``names`` are shown the running loop."""
    codes = [code for name in names for code in _codes(cls, name)]
    used = {name for code in codes for name in code.co_names}
    if used & _NEED_RUNNING:
        return True
    own = bool(used & _NEED_OWN) or any(map(_calls_run, codes))
    return is_socket_class(cls) and not own


def _codes(cls: type, name: str) -> list[CodeType]:
    """Return the code of a method, and of the class's own methods that it names."""
    found: dict[CodeType, None] = {}
    left = [name]
    while left:
        function = _function(inspect.getattr_static(cls, left.pop(), None))
        if function is None or str(function.__module__).startswith("tornado."):
            continue
        for code in _with_inner(function.__code__):
            if code not in found:
                found[code] = None
                left.extend(code.co_names)
    return list(found)


def _function(found: Any) -> Optional[FunctionType]:
    """Return the function that stands in a class, below its decorators, if it is one.

    Types are asked: what else stands in a class may answer anything.
    """
    import wrapt  # by now it is there: something has been unblocked

    while True:
        kind = type(found)
        if kind is staticmethod or kind is classmethod:
            found = found.__func__
        elif issubclass(kind, (wrapt.ObjectProxy, wrapt.FunctionWrapper)):
            found = found.__wrapped__
        elif kind is not FunctionType:
            return None
        elif "__wrapped__" in vars(found):
            found = vars(found)["__wrapped__"]
        else:
            return cast(FunctionType, found)


def _with_inner(code: object) -> Iterator[CodeType]:
    if isinstance(code, CodeType):
        yield code
        for inner in code.co_consts:
            yield from _with_inner(inner)


def _calls_run(code: CodeType) -> bool:
    """Whether it names ``asyncio.run``."""
    before = None
    for instruction in dis.get_instructions(code):
        if before == "asyncio" and instruction.argval in ("run", "Runner"):
            return True
        before = instruction.argval
    return False
