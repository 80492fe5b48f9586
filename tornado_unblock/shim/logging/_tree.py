"""`unblock_logging`: every handler there is, until it is undone or the process ends.

# Threads: any one thread at a time.
# Guarantees: at exit and after a fork nothing that was queued is lost, and nothing is
# written twice.
"""

from __future__ import annotations

import atexit
import io
import logging
import logging.handlers
import threading
from collections.abc import Iterable, Iterator
from typing import Optional

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim.logging._listener import Listener
from tornado_unblock.shim.logging._unblocked import UnblockedLogging

_current: Optional[UnblockedLogging] = None


class _Forking(threading.local):
    """What this thread holds while it forks."""

    listener: Optional[Listener] = None


_forking = _Forking()


def unblock_logging(
    capacity: int = 10_000, *, leave: Iterable[logging.Handler] = ()
) -> UnblockedLogging:
    """Move every handler that may block behind one queue and one thread.

    That is each handler of each logger there is now, and logging's last resort, but
    for those that only keep a record or pass it on to another thread:
    ``NullHandler``, ``QueueHandler``, and a ``StreamHandler`` that writes to an
    ``io.StringIO``. Called again, it moves the handlers that were added meanwhile, and
    returns the same object.

    What is queued is written before the process ends; and, if an event loop runs here,
    before `tornado_unblock.shutdown` returns on that loop. A forked child has a queue
    and a thread of its own.

    Args:
        capacity: Records that may wait, 10,000 by default. One more is dropped, and
            the number of those is logged once there is room again.
        leave: Handlers to leave alone.

    Returns:
        What undoes it, by a call or at the end of a ``with`` block, and has
        ``flush``, ``flush.aio`` and ``statistics``.

    Raises:
        ConfigurationError: ``capacity`` is no positive integer.
    """
    global _current
    if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
        raise ConfigurationError(f"capacity must be a positive int, not {capacity!r}")
    left = set(map(id, leave))
    if _current is None or not _current.active:
        _current = UnblockedLogging(capacity)
    _current.listener.capacity = capacity
    _current.move(h for h in _handlers() if _may_block(h) and id(h) not in left)
    if running_loop() is not None:
        current_portal().before_close.append(_current.flush.aio)
    return _current


def _handlers() -> Iterator[logging.Handler]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            yield from logger.handlers
    if logging.lastResort is not None:
        yield logging.lastResort


def _may_block(handler: logging.Handler) -> bool:
    if isinstance(handler, (logging.NullHandler, logging.handlers.QueueHandler)):
        return False
    return not isinstance(getattr(handler, "stream", None), io.StringIO)


def _undo_at_exit() -> None:
    # logging.shutdown comes after this: it closes handlers that nobody waits for.
    if _current is not None:
        _current.undo()


def _before_fork() -> None:
    if _current is not None and _current.listener.before_fork():
        _forking.listener = _current.listener


def _after_fork() -> None:
    listener, _forking.listener = _forking.listener, None
    if listener is not None:
        listener.after_fork()


def _forget_parent() -> None:
    _forking.listener = None
    if _current is not None:
        _current.listener.forget_parent()


atexit.register(_undo_at_exit)
at_fork(Step.LOGGING, _forget_parent, before=_before_fork, in_parent=_after_fork)
