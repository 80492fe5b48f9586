"""A connection for each thread, behind one name.

# Threads: any. What a thread holds, it alone uses.
# Guarantees:
# - a connection is opened when its thread first uses it, and closed when the thread
#   ends;
# - a forked child opens its own, and leaves those of its parent alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from types import TracebackType
from typing import Any, Callable, Generic, Optional, TypeVar, cast

_T = TypeVar("_T")


class _Held(Generic[_T]):
    """One thread's connection; freed with the thread."""

    def __init__(self, connection: _T) -> None:
        self.connection = connection
        self._process = os.getpid()

    def is_ours(self) -> bool:
        return self._process == os.getpid()

    def __del__(self) -> None:
        if self.is_ours():
            with contextlib.suppress(Exception):
                cast(Any, self.connection).close()
        else:
            # The parent's. Never freed: some drivers then tell the server.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.connection))


class _PerThread(Generic[_T]):
    """Stands for the calling thread's connection."""

    __slots__ = ("_self_connect", "_self_local")
    _self_connect: Callable[[], _T]
    _self_local: Any

    def __init__(self, connect: Callable[[], _T]) -> None:
        object.__setattr__(self, "_self_connect", connect)
        object.__setattr__(self, "_self_local", threading.local())

    @property
    def __wrapped__(self) -> _T:
        """The connection itself."""
        here = vars(self._self_local)
        held = here.get("held")
        if held is None or not held.is_ours():
            held = here["held"] = _Held(self._self_connect())
        return held.connection  # type: ignore[no-any-return]

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self.__wrapped__)

    def close(self) -> None:
        """Close this thread's connection; the next use opens another one."""
        vars(self._self_local).pop("held", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__wrapped__, name)

    def __enter__(self) -> Any:
        return cast(Any, self.__wrapped__).__enter__()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> Any:
        return cast(Any, self.__wrapped__).__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<per_thread {self._self_connect!r}>"


def per_thread(connect: Callable[[], _T]) -> _T:
    """Give each thread a connection of its own, under one name; any thread.

        db = per_thread(lambda: pymysql.connect(...))    # was: pymysql.connect(...)

    For code that shares one global connection, which one thread may use at a time.
    A thread's connection is opened when it first uses ``db``, and closed when it
    ends. ``db.close()`` closes the calling thread's; its next use opens another.
    What one connection sees of the others' changes is up to their transactions:
    commit, or connect with autocommit.

    Args:
        connect: Opens a connection.

    Returns:
        What passes all on to the calling thread's connection. Where a library
        insists on the real thing, ``db.__wrapped__`` is it.
    """
    return cast(_T, _PerThread(connect))
