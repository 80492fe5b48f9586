"""`UnblockedLogging`: handlers behind one queue.

A handler stays where it is, with its level, its filters and its name; only its
`handle` and `close` are hidden, on this one object. So nothing that looks at the tree
of loggers sees a difference, and undoing it is taking the two away again.

# Threads: `move` and `undo` any one thread at a time; logging any.
# Guarantees:
# - levels and filters are asked in the thread that logs, as ever;
# - records are written in the order in which they were logged, all by one thread, and
#   in the context (`contextvars`) in which they were logged;
# - logging never waits for a handler;
# - `undo` loses nothing of what is queued.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import logging
import threading
from collections.abc import Iterable
from typing import Any, Callable, Union

from tornado_unblock._errors import LoopClosedError
from tornado_unblock._handlers.hooks import Hook, install_hook, remove_hook
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock.shim._crossing.dual import pair
from tornado_unblock.shim.logging._listener import Listener
from tornado_unblock.shim.logging._records import settled

# How long `flush` and `undo` wait for slow handlers, in seconds.
FLUSH_SECONDS = 5.0

Record = logging.LogRecord


@dataclasses.dataclass(frozen=True)
class LoggingStatistics:
    """What became of the records.

    Attributes:
        written: Those that handlers were given, counted once for each handler.
        waiting: Those in the queue now.
        dropped: Those that found the queue full.
    """

    written: int
    waiting: int
    dropped: int


class UnblockedLogging:
    """What `unblock_logging` returns: call it to undo it, or use it in ``with``."""

    def __init__(self, capacity: int) -> None:
        self.listener = Listener(capacity)
        self.active = True
        self._moved: list[logging.Handler] = []
        self._hooks: set[Hook] = set()

    def statistics(self) -> LoggingStatistics:
        """Return what became of the records; any thread."""
        listener = self.listener
        return LoggingStatistics(listener.written, listener.waiting(), listener.dropped)

    def _flush(self, timeout: float = FLUSH_SECONDS) -> bool:
        """Wait until what was logged so far is written; not on a loop thread.

        Args:
            timeout: Seconds to wait, 5 by default.

        Returns:
            Whether it is; False after the timeout.

        Raises:
            LoopThreadError: An event loop runs here: ``await flush.aio()``.
        """
        if not self.listener.runs() or self.listener.is_here():
            return True
        done = threading.Event()
        self.listener.post(done.set)
        return done.wait(timeout)

    async def _flush_aio(self, timeout: float = FLUSH_SECONDS) -> bool:
        if not self.listener.runs():
            return True
        future = asyncio.get_running_loop().create_future()
        self.listener.post(functools.partial(_tell, current_portal(), future))
        done, _ = await asyncio.wait((future,), timeout=timeout)
        return bool(done)

    flush = pair(_flush, _flush_aio)
    """Wait until what was logged so far is written."""

    def undo(self, timeout: float = FLUSH_SECONDS) -> None:
        """Write what is queued, and let the handlers write by themselves again.

        Any thread, again and again. What a stuck handler keeps waiting is written
        when it can be.

        Args:
            timeout: Seconds to wait for what is queued, 5 by default.
        """
        self.active = False
        if self._moved:
            self._flush(timeout)
            self._uncover()
            self._flush(timeout)
            self.listener.end()

    __call__ = undo

    def __enter__(self) -> UnblockedLogging:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()

    async def __aenter__(self) -> UnblockedLogging:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._flush_aio()
        self.undo()

    def move(self, handlers: Iterable[logging.Handler]) -> None:
        """Have these handlers write in the listener's thread."""
        for handler in handlers:
            if handler not in self._moved:
                self._moved.append(handler)
                self._cover(handler, "handle", self._handle)
                self._cover(handler, "close", self._close)

    def _cover(self, handler: logging.Handler, name: str, instead: Any) -> None:
        hook = Hook(instead, handler, getattr(handler, name))
        self._hooks.add(hook)
        install_hook(handler, name, hook)

    def _uncover(self) -> None:
        # Whoever wrapped one of the hooks meanwhile still calls it: see _handle.
        moved, self._moved = self._moved, []
        for handler in moved:
            for name in ("handle", "close"):
                if vars(handler).get(name) in self._hooks:
                    remove_hook(handler, name)
        self._hooks.clear()

    def _handle(
        self, handler: logging.Handler, original: Any, record: Record
    ) -> Union[bool, Record]:
        # What a handler logs while it writes goes its old way, or it would never end.
        if not self._moved or self.listener.is_here():
            return original(record)  # type: ignore[no-any-return]
        write: Callable[[Record], object] = original
        taken: Any = True
        if getattr(original, "__func__", None) is logging.Handler.handle:
            write = functools.partial(_emit, handler)
            taken = handler.filter(record)
            if not taken:
                return taken  # type: ignore[no-any-return]
            if isinstance(taken, Record):  # pragma: no cover - from Python 3.12 on
                record = taken
        try:
            queued = settled(record)
        except Exception:
            handler.handleError(record)
            return taken  # type: ignore[no-any-return]
        context = contextvars.copy_context()

        def job() -> bool:
            return context.run(_write, handler, write, queued)

        if not self.listener.offer(job):
            job()
        return taken  # type: ignore[no-any-return]

    def _close(self, handler: logging.Handler, original: Callable[[], object]) -> None:
        # In its turn: what was logged before is written before. Waiting for that here
        # could be for ever, as logging.shutdown() holds the handler's lock meanwhile.
        later = bool(self._moved) and not self.listener.is_here()
        if not later or not self.listener.post(
            functools.partial(_close_now, handler, original)
        ):
            original()


def _emit(handler: logging.Handler, record: Record) -> None:
    handler.acquire()
    try:
        handler.emit(record)
    finally:
        handler.release()


def _write(handler: logging.Handler, write: Any, record: Record) -> bool:
    """Do what may raise anything, in a thread that must go on; the listener."""
    try:
        write(record)
    except BaseException:
        logging.Handler.handleError(handler, record)
    return True


def _close_now(handler: logging.Handler, close: Callable[[], object]) -> None:
    try:
        close()
    except BaseException:
        what = {"msg": "closing %r", "args": (handler,)}
        logging.Handler.handleError(handler, logging.makeLogRecord(what))


def _tell(portal: Portal, future: asyncio.Future[None]) -> None:
    try:
        portal.call_soon(future.set_result, None)
    except LoopClosedError:
        pass
