"""Notices a connection that several threads use at once.

# Threads: any; `_Watch` is guarded by its lock, which is never held over a call.
# Guarantees: one warning for each guarded connection, and no other change.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional, TypeVar, cast

import wrapt
from tornado.log import app_log

if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy

_T = TypeVar("_T")


class _Watch:
    """Who uses one connection now."""

    def __init__(self, subject: Any, name: Optional[str], place: str) -> None:
        self._subject, self._name, self._place = subject, name, place
        self._lock = threading.Lock()
        # Calls under way by thread; guarded by _lock.
        self._busy: dict[threading.Thread, int] = {}
        self._has_warned = False

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """While the calling thread uses it."""
        me = threading.current_thread()
        with self._lock:
            other = next((t for t in self._busy if t is not me), None)
            warns = other is not None and not self._has_warned
            self._has_warned = self._has_warned or warns
            self._busy[me] = self._busy.get(me, 0) + 1
        try:
            if warns and other is not None:
                self._warn(me, other)
            yield
        finally:
            with self._lock:
                self._busy[me] -= 1
                if not self._busy[me]:
                    del self._busy[me]

    def _warn(self, me: threading.Thread, other: threading.Thread) -> None:
        kind = type(self._subject)
        app_log.warning(
            "%s, a %s.%s made at %s, is used by threads %r and %r at once, and one "
            "connection serves one thread at a time. Give each thread its own: "
            "shim.session.per_thread(lambda: connect(...)), or use the pool of "
            "shim.db.Database",
            self._name or _global_name(self._subject) or "a shared connection",
            kind.__module__,
            kind.__qualname__,
            self._place,
            other.name,
            me.name,
            stack_info=True,
        )


class _Guarded(_Proxy):
    """A connection, or a cursor of one."""

    def __init__(self, wrapped: Any, watch: _Watch) -> None:
        super().__init__(wrapped)
        self._self_watch = watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if not callable(value) or isinstance(value, type):
            return value
        watch = self._self_watch

        def call(*args: Any, **kwargs: Any) -> Any:
            with watch.used():
                result = value(*args, **kwargs)
            return _guarded(result, self, watch)

        return call

    def __enter__(self) -> Any:
        with self._self_watch.used():
            entered = self.__wrapped__.__enter__()
        return _guarded(entered, self, self._self_watch)

    def __exit__(self, *exc_info: Any) -> Any:
        with self._self_watch.used():
            return self.__wrapped__.__exit__(*exc_info)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__wrapped__)


def _guarded(result: Any, proxy: Any, watch: _Watch) -> Any:
    """Return what a call gave, guarded as well if it leads to the connection."""
    if result is proxy.__wrapped__:
        return proxy
    return _Guarded(result, watch) if hasattr(result, "execute") else result


def guard(connection: _T, name: Optional[str] = None) -> _T:
    """Warn when several threads use one connection at once; any thread.

        db = guard(pymysql.connect(...))

    One warning is logged for each guarded connection, with its name, both threads
    and the stack of the later one. All else is as before, so it can stay where it
    is until the warning has told what there is to change.

    Args:
        connection: A DB-API connection, or anything else with methods that one
            thread may call at a time.
        name: What to call it. Default: the module global that holds it.

    Returns:
        The connection, watched.
    """
    caller = sys._getframe(1)
    place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
    return cast(_T, _Guarded(connection, _Watch(connection, name, place)))


def _global_name(subject: Any) -> Optional[str]:
    for module_name, module in list(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if type(value) is _Guarded and value.__wrapped__ is subject:
                return f"{module_name}.{name}"
    return None
