"""One function on its way to a worker and back: its state, and the worker's half.

# Threads: `run`, `lending` and what they call run in the worker, all else on the
# loop thread. Each attribute has one writer at a time: the loop thread until the
# body is put, then the worker until it posts the end.
# Guarantees:
# - the function runs in the caller's context variables;
# - what is left to do at the end of a body is done once, in a worker;
# - who is next in line gets its token at once, where that is fair;
# - no exception that could stop the loop or a worker leaves either.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, Callable, Optional, Protocol

from tornado.log import app_log

from tornado_unblock._errors import AbandonedError, LoopClosedError, crossing_error
from tornado_unblock._executors.threads import ReservedWorker, WorkerExecutor
from tornado_unblock._limits.limiter import Endpoint
from tornado_unblock._limits.placement import ExecutorLimiter, Placement
from tornado_unblock._loop.lease import Lease, here
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.future import OffloadFuture


class Owner(Protocol):
    """Who hands over more than a function: a handler, say."""

    def offload_ended(self, offload: Any, error: Optional[BaseException]) -> None:
        """``offload`` ended, with ``error`` or well; loop thread."""

    def abandoned(self, offload: Any) -> None:
        """Nobody waits for ``offload`` any more, and it runs on; loop thread."""

    def answered(self, offload: Any) -> None:
        """``offload`` has sent its response, and nobody waits for it; loop thread."""

    def complete(self, offload: Any) -> bool:
        """Finish the response of ``offload`` if all of it is sent; loop thread."""

    def client_gone(self, offload: Any) -> bool:
        """Whether the client has left; any thread."""


class Body(Lease):
    """A function, its context and its outcome; what runs in the worker."""

    __slots__ = (
        *("__weakref__", "_alive", "_at_end", "_before", "_context", "_error", "_fn"),
        *("_future", "_limiter", "_thread_id", "_timer", "_value", "endpoint"),
        *("ended_at", "executor", "handler", "owner", "requested_at"),
        *("reserved_worker", "started", "started_at", "successor", "timeout"),
        "waiting_thread",
    )

    executor: concurrent.futures.Executor
    endpoint: Endpoint
    _limiter: ExecutorLimiter
    _timer: Optional[asyncio.TimerHandle]
    _error: Optional[BaseException]
    _thread_id: Optional[int]
    _at_end: Optional[Callable[[], object]]
    # Who runs it in place of a worker: a thread that waits for just this.
    # It needs no token then, having that of what waits.
    waiting_thread: Optional[Callable[[Callable[[], object]], object]]
    # The worker that is to run it; None: any.
    reserved_worker: Optional[ReservedWorker]
    # Set by who hands over more than a function.
    owner: Optional[Owner]
    handler: Any
    # Who has its token, now that it has ended: an offload. Set by the worker.
    successor: Any
    # When the body began and ended in its worker.
    started_at: float
    ended_at: float

    def __init__(
        self,
        portal: Portal,
        site: Placement,
        fn: Callable[[], Any],
        future: Optional[OffloadFuture] = None,
    ) -> None:
        Lease.__init__(self, portal)
        self.executor, self._limiter, self.endpoint, self.timeout = site
        self._fn: Optional[Callable[[], Any]] = fn
        self._before = contextvars.copy_context()
        self._context = self._before.copy()
        # When a worker was asked for.
        self.requested_at = time.monotonic()
        # Popped by the worker when the body ends or by the loop thread when it
        # leaves something to do at the end: list.pop is atomic, one of them wins.
        self._alive = [True]
        self._future: Optional[OffloadFuture] = future or OffloadFuture(
            loop=portal.loop
        )
        self._future.offload = self
        self.started = False
        self._timer = self._error = self._thread_id = self._at_end = None
        self._value: Any = None
        self.waiting_thread = self.reserved_worker = self.owner = self.handler = (
            self.successor
        ) = None
        self.started_at = self.ended_at = 0.0

    # --- loop thread -----------------------------------------------------

    def at_end(self, fn: Callable[[], object]) -> bool:
        """Have its worker call ``fn`` when the body ends; False if it has ended."""
        self._at_end = fn
        try:
            self._alive.pop()
        except IndexError:
            return False
        return True

    def stack(self) -> str:
        """Return where the body is right now, as text; empty when it has ended."""
        frame = sys._current_frames().get(self._thread_id or 0)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    def answered(self) -> bool:
        """Whether the response is sent; then its handler knows. With a owner only."""
        assert self.owner is not None
        if self._right_to_finish:
            return self.owner.complete(self)
        self.owner.answered(self)
        return True

    def abandon(self, why: str) -> bool:
        """Stop waiting for it; see `Offload`."""
        raise NotImplementedError  # pragma: no cover - overridden by every offload

    def _settle(self) -> None:
        """Take the outcome; see `Ending`."""
        raise NotImplementedError  # pragma: no cover - overridden by every offload

    # --- worker ----------------------------------------------------------

    def run(self) -> None:
        """Run the function; the job that a worker executes."""
        outer, inner = here.lease, here.innermost
        here.lease, here.innermost = outer or self, self
        self._thread_id = threading.get_ident()
        if self.waiting_thread is None:
            asyncio.set_event_loop(self.portal.loop)
        self.started_at = time.monotonic()
        try:
            if self.revoked is None:
                assert self._fn is not None
                self._value = self._context.run(self._fn)
        except BaseException as error:
            self._error = crossing_error(error, self.endpoint.name)
        try:
            self._alive.pop()
        except IndexError:
            self._run_at_end()
        self.ended_at = time.monotonic()
        self._thread_id = None
        if self.waiting_thread is None:
            asyncio.set_event_loop(None)
        here.lease, here.innermost = outer, inner
        # Asked here too: nearly always nobody waits, and a call is saved.
        if (
            self._limiter.sole_waiting_endpoint is self.endpoint
            and self.waiting_thread is None
        ):
            self._pass_on()
        else:
            self._post_end()

    def run_late(self) -> None:
        """Run the function on its worker, that was busy; see `Offload`."""
        with contextlib.suppress(LoopClosedError):
            self.portal.call_soon(self._begun)
        self.run()

    def _begun(self) -> None:
        """Take note that its worker has come to it; see `Offload`."""
        raise NotImplementedError  # pragma: no cover - overridden by every offload

    def _pass_on(self) -> None:
        """End, and have who is next in line run, without a way round the loop."""
        successor: Any = self._limiter.pass_on(self.endpoint)
        self.successor = successor
        self._post_end()
        # One that is for a certain worker is the loop's to place.
        if (
            successor
            and successor.reserved_worker is None
            and not self.portal.loop.is_closed()
        ):
            successor.run_next()

    def _post_end(self) -> None:
        try:
            self.portal.call_soon(self._settle)
        except LoopClosedError:
            error, self._error = self._error, None
            self._value = self._fn = None
            # No loop thread is left to do it.
            self._limiter.running.discard(self)
            # Nobody misses a body that has sent its response or was abandoned, nor
            # clean-up, nor the hook of a socket: their handlers are finished.
            missed = self.revoked is None and self.take_right_to_finish()
            missed = missed and not getattr(self.handler, "_finished", False)
            if missed or not isinstance(error, (AbandonedError, type(None))):
                app_log.warning(
                    "%s: the event loop was closed before the body ended",
                    self.endpoint.name,
                    exc_info=error,
                )
            del error

    def cancelled(self) -> bool:
        """Whether what it does is no longer wanted; any thread."""
        owner = self.owner
        return self.revoked is not None or (
            owner is not None and owner.client_gone(self)
        )

    @contextlib.contextmanager
    def lending(self) -> Iterator[None]:
        """While this worker waits for other work, let one more body run."""
        executor = self.executor
        if self.waiting_thread is not None:  # it holds no token
            yield
            return
        self.portal.call_soon(self._limiter.lend, self.endpoint)
        try:
            if isinstance(executor, WorkerExecutor):
                with executor.lend():
                    yield
            else:
                yield
        finally:
            self.portal.call_soon(self._limiter.take_again, self.endpoint)

    def _run_at_end(self) -> None:
        assert self._at_end is not None
        try:
            self._context.run(self._at_end)
        except BaseException:
            app_log.error("%s: clean-up failed", self.endpoint.name, exc_info=True)
        self._at_end = None
