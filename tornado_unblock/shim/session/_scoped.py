"""One SQLAlchemy session for each request, whichever threads serve it.

# Threads: any. A session is used by one at a time, as its request is.
# Guarantees:
# - what a request does in several hops, and in both colours, has one session;
# - two requests never share one, nor do two threads outside of requests.
"""

from __future__ import annotations

import contextvars
import threading
from typing import Any, Callable, Generic, Optional, TypeVar

try:
    import sqlalchemy.orm
except ImportError as _error:  # pragma: no cover - shown by a child process
    raise ImportError(
        "shim.session.scoped_session needs SQLAlchemy: "
        "pip install 'tornado-unblock[db]'"
    ) from _error

from sqlalchemy.util import ScopedRegistry

from tornado_unblock._loop.lease import current_lease, running_loop

_S = TypeVar("_S", bound="sqlalchemy.orm.Session")
_T = TypeVar("_T")


class scoped_session(sqlalchemy.orm.scoped_session[_S]):
    """`sqlalchemy.orm.scoped_session`, with the request for a scope; any thread.

    In a handler, and in what it calls in whatever thread or colour, the session is
    that of the request; ``remove()`` in ``on_finish`` closes it. A script, or a
    thread of your own, has one for each thread, as ever.

    Args:
        session_factory: What makes a session: a `sqlalchemy.orm.sessionmaker`.
        scopefunc: If given, what it returns is the scope instead.
    """

    def __init__(
        self, session_factory: Any, scopefunc: Optional[Callable[[], Any]] = None
    ) -> None:
        super().__init__(session_factory, scopefunc)
        if scopefunc is None:
            self.registry = _Registry(session_factory)


class _Box(Generic[_T]):
    """Holds the session, so that removing it removes it for all of the request."""

    value: Optional[_T] = None


class _Registry(ScopedRegistry[_T]):
    def __init__(self, make: Callable[[], _T]) -> None:
        self.createfunc = make
        self._of_context: contextvars.ContextVar[Optional[_Box[_T]]] = (
            contextvars.ContextVar("tornado_unblock session", default=None)
        )
        self._of_thread = threading.local()

    def __call__(self) -> _T:
        box = self._box()
        if box.value is None:
            box.value = self.createfunc()
        return box.value

    def has(self) -> bool:
        return self._box().value is not None

    def set(self, obj: _T) -> None:
        self._box().value = obj

    def clear(self) -> None:
        self._box().value = None

    def _box(self) -> _Box[_T]:
        if not _in_request():
            # Not the context: requests that start later would inherit it.
            here = vars(self._of_thread)
            return here.setdefault("box", _Box())  # type: ignore[no-any-return]
        box = self._of_context.get()
        if box is None:
            box = _Box()
            self._of_context.set(box)
        return box


def _in_request() -> bool:
    """Whether what runs here may run on in another thread."""
    lease = current_lease()
    if running_loop() is not None or lease is None:
        return running_loop() is not None
    # With a place, it runs in a thread of its own that waits for it.
    return getattr(lease, "waiting_thread", None) is None
