"""What `initialize` makes for its thread, which is not the thread of the request.

Tornado calls it when it makes a handler, on the loop thread: what it opens for its
thread there, all requests share, and their bodies do not find it.

# Threads: any.
"""

from __future__ import annotations

import dis
import inspect
import sys
import threading
import types
import warnings
from collections.abc import Iterator

from tornado.web import RequestHandler

# `scoped_session.registry.registry` is the deepest that is known.
_DEPTH = 2


def warn_of_initialize(cls: type[RequestHandler], stacklevel: int) -> None:
    """Warn if `initialize` of ``cls`` uses what is bound to its thread.

    Args:
        cls: Its requests run on workers.
        stacklevel: Whose line is shown; as for `warnings.warn`.
    """
    for base in cls.__mro__:
        method = vars(base).get("initialize")
        method = inspect.unwrap(method) if method is not None else None
        if not isinstance(method, types.FunctionType):
            continue
        names = sorted(set(_thread_bound(method)))
        if names:
            code = method.__code__
            warnings.warn(
                f"{base.__qualname__}.initialize ({code.co_filename}:"
                f"{code.co_firstlineno}) uses {', '.join(names)}, which each thread "
                "has for itself. It runs on the loop thread, the rest of the request "
                "on a worker: use it in prepare instead, which runs on that worker",
                stacklevel=stacklevel + 1,
            )


def _thread_bound(method: types.FunctionType) -> Iterator[str]:
    used = method.__code__.co_names
    steps = dis.get_instructions(method.__code__)
    for name in {step.argval for step in steps if step.opname == "LOAD_GLOBAL"}:
        value = method.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            if value is sys.modules.get("sqlite3") and "connect" in used:
                yield f"{name}.connect"
            for attribute in used:
                if _is_thread_bound(vars(value).get(attribute), _DEPTH):
                    yield f"{name}.{attribute}"
        elif _is_thread_bound(value, _DEPTH):
            yield name


def _is_thread_bound(value: object, depth: int) -> bool:
    """Whether it is a `threading.local`, or has one, as a ``scoped_session`` has."""
    kind = type(value)
    if issubclass(kind, threading.local):
        return True
    if depth == 0 or issubclass(kind, (type, types.FunctionType, types.ModuleType)):
        return False
    try:
        parts = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False
    return any(_is_thread_bound(part, depth - 1) for part in list(parts.values()))
