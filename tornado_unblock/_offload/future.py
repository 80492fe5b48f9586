"""The Future that stands for work on a worker.

# Threads: the loop thread only, as any `asyncio.Future`.
# Guarantees:
# - awaiting it brings the context variables that the work changed to who awaits;
# - what the work returns to be awaited is awaited in the place of it, by the same task;
# - cancelling it abandons the work.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Coroutine, Generator, Sequence
from typing import Any, Optional, Protocol

from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.lease import Lease, current_lease, running_loop


class Abandonable(Protocol):
    """What a Future stands for."""

    def abandon(self, why: str) -> object:
        """Nobody waits for it any more."""

    def is_answered(self) -> bool:
        """Whether it has sent its response, and only has to end."""


class OffloadFuture(asyncio.Future):  # type: ignore[type-arg]
    """The Future of one offload; awaiting it brings its context changes back."""

    offload: Optional[Abandonable] = None
    # Whether nothing comes after it but the end of its request.
    is_last = False
    # The context variables that the function changed, with their new values.
    changes: Sequence[tuple[contextvars.ContextVar[object], object]] = ()
    # How many await it.
    awaiters = 0
    # What the function has returned for the one who awaits it to await in turn.
    rest: Optional[Awaitable[object]] = None

    def __await__(self) -> Generator[object, None, Any]:
        # What `asyncio.Future` does, in one frame instead of two.
        try:
            if not self.done():
                self._asyncio_future_blocking = True
                self.awaiters += 1
                yield self
            result = self.result()
        except BaseException:
            if self.rest is not None:
                _drop(self.rest)
                self.rest = None
            raise
        finally:
            for variable, value in self.changes:
                variable.set(value)
            rest, self.rest = self.rest, None
            # error -> traceback -> this frame -> Future -> error: no cycle.
            del self
        return result if rest is None else (yield from rest.__await__())

    __iter__ = __await__

    def cancel(self, *args: object, **kwargs: object) -> bool:
        """Stop waiting; what has started runs on, abandoned. Loop thread only.

        A request that is answered ends well: there is nothing left to cancel, and
        Tornado before 6.5 would log an error.
        """
        offload = self.offload if self.is_last and not self.done() else None
        if offload is not None and offload.is_answered():
            self.set_result(None)
            return True
        cancelled = super().cancel(*args, **kwargs)
        if cancelled and self.offload is not None:
            self.offload.abandon("whoever awaited it was cancelled")
        return cancelled


def _drop(work: Awaitable[object]) -> None:
    """Let go of what nobody will await, without a warning if it is a coroutine."""
    if isinstance(work, Coroutine):
        work.close()


class WorkerFuture(OffloadFuture):
    """The Future of an offload that a worker asked for."""

    def result(self, timeout: Optional[float] = None) -> object:
        """Return the outcome; in a worker, wait for it first.

        Args:
            timeout: Seconds to wait; None for ever. On the loop thread nothing
                waits.

        Raises:
            asyncio.InvalidStateError: There is no outcome yet, on the loop thread.
            asyncio.TimeoutError: None came in time.
        """
        lease = current_lease()
        if not self.done() and running_loop() is None and lease is not None:
            self._wait(lease, timeout)
        return super().result()

    def _wait(self, lease: Lease, timeout: Optional[float]) -> None:
        latch = Latch()
        lease.portal.call_soon(self.add_done_callback, latch.open)
        with lease.lending():
            if not latch.wait(lease.portal.loop, timeout):
                raise asyncio.TimeoutError(
                    f"no result within {timeout:g} s; the work goes on"
                )
