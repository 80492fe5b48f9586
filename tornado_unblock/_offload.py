"""The only way from the loop thread to a worker: limit, context, hop, completion.

# Threads: `Offload.run` is the worker's part; all else runs on the loop thread.
# Guarantees:
# - the function starts at once when its limiter allows, else it waits in line;
# - its token is given back once, when the function has really ended;
# - the Future gets one outcome: the function's, a rejection or a timeout;
# - the caller's context variables go in, and changes come back to who awaits;
# - no exception that could stop the loop or a worker leaves either.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any, Callable, Optional, Protocol

from tornado.log import app_log

from tornado_unblock._errors import (
    AbandonedError,
    LoopClosedError,
    RejectedError,
    RunTimeoutError,
    crossing_error,
)
from tornado_unblock._executors import options_of
from tornado_unblock._loop_calls import copy_outcome
from tornado_unblock._offload_future import OffloadFuture
from tornado_unblock._portal import Lease, Portal, current_lease, set_current_lease
from tornado_unblock._sites import Site
from tornado_unblock._workers import WorkerExecutor


class Keeper(Protocol):
    """Who hands over more than a function: a handler, say."""

    def left(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` ended, with ``error`` or well; loop thread."""

    def abandoned(self, offload: Offload) -> None:
        """Nobody waits for ``offload`` any more, and it runs on; loop thread."""

    def gone(self, offload: Offload) -> bool:
        """Whether the client has left; any thread."""


class Offload(Lease):
    """One function on its way to a worker and back."""

    __slots__ = (
        "_alive",
        "_at_end",
        "_before",
        "_context",
        "_error",
        "_executor",
        "_fn",
        "_future",
        "_limiter",
        "_thread_id",
        "_timer",
        "_value",
        "keeper",
        "parting",
        "route",
        "started",
        "subject",
        "timeout",
    )

    def __init__(
        self,
        portal: Portal,
        site: Site,
        fn: Callable[[], Any],
        future: Optional[OffloadFuture] = None,
    ) -> None:
        super().__init__(portal)
        self._executor, self._limiter, self.route, self.timeout = site
        self._fn: Optional[Callable[[], Any]] = fn
        self._before = contextvars.copy_context()
        self._context = self._before.copy()
        self.started = False
        self._timer: Optional[asyncio.TimerHandle] = None
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._thread_id: Optional[int] = None
        # Popped by the worker when the body ends or by the loop thread when it
        # leaves something to do at the end: list.pop is atomic, one of them wins.
        self._alive = [True]
        self._at_end: Optional[Callable[[], object]] = None
        # Set by who hands over more than a function.
        self.keeper: Optional[Keeper] = None
        self.subject: Any = None
        # Set by the worker: what the loop thread does first when it is told of
        # the end. Saves waking it twice.
        self.parting: Optional[Callable[[], object]] = None
        if future is None:
            future = OffloadFuture(loop=portal.loop)
        future.offload = self
        self._future: Optional[OffloadFuture] = future

    # --- loop thread -----------------------------------------------------

    @property
    def future(self) -> OffloadFuture:
        """The Future it will settle."""
        assert self._future is not None
        return self._future

    def admit(self) -> OffloadFuture:
        """Start now, or wait in line.

        Raises:
            RejectedError: There is no room in line either.
        """
        future = self.future
        limiter = self._limiter
        if limiter.borrow(self.route):
            self.start()
        elif limiter.wait(self):
            patience = options_of(self._executor).queue_timeout
            if patience is not None:
                self._timer = self.portal.loop.call_later(
                    patience, self._reject_late, patience
                )
        else:
            self._future = None
            future.offload = None
            raise self._rejection(
                "full",
                f"{len(self.route.waiting)} requests of this route and "
                f"{limiter.waiting} in all wait already, "
                f"max_waiting={limiter.max_waiting}",
            )
        return future

    def admit_always(self) -> OffloadFuture:
        """Start now, whatever the limits say: for clean-up that must not be lost."""
        future = self.future
        self._limiter.take_again(self.route)
        self.start()
        return future

    def start(self) -> None:
        """Go to a worker; the token is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.started = True
        try:
            self._put()
        except RuntimeError as error:
            rejection = self._rejection("no_thread", str(error))
            # Later: giving back here would start the next one inside this one.
            self.portal.loop.call_soon(self._end_unstarted, rejection, True)
            return
        if self.timeout is not None:
            self._timer = self.portal.loop.call_later(self.timeout, self._time_out)

    def _put(self) -> None:
        executor = self._executor
        if isinstance(executor, WorkerExecutor):
            executor.put(self.run)
        else:
            executor.submit(self.run)

    def withdraw(self, error: BaseException, reason: str) -> bool:
        """Leave the line with ``error``; False when it has started."""
        if self.started or self._future is None:
            return False
        self._limiter.leave(self)
        self.route.rejected[reason] += 1
        self._end_unstarted(error, False)
        return True

    def abandon(self, why: str) -> bool:
        """Stop waiting for it. What reaches the loop from it is refused from now on.

        Returns:
            False when it has finished its response already, and keeps it.
        """
        if self._future is None or self.revoked is not None:
            return True
        if self.withdraw(AbandonedError(why), "cancelled"):
            return True
        if not self.take_right_to_finish():
            return False
        self.revoked = f"{self.route.name}: {why}; nothing more can be sent"
        if self.keeper is not None:
            self.keeper.abandoned(self)
        return True

    def at_end(self, fn: Callable[[], object]) -> bool:
        """Have its worker call ``fn`` when the body ends; False if it has ended."""
        self._at_end = fn
        try:
            self._alive.pop()
        except IndexError:
            return False
        return True

    def after_end(self, fn: Callable[[], object]) -> None:
        """Have a worker call ``fn`` now; the body has ended."""
        self._at_end = fn
        self._executor.submit(self._run_at_end)

    def stack(self) -> str:
        """Return where the body is right now, as text; empty when it has ended."""
        frame = sys._current_frames().get(self._thread_id or 0)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    def _reject_late(self, patience: float) -> None:
        rejection = self._rejection(
            "queue_timeout", f"no worker came free within {patience:g} s"
        )
        self.withdraw(rejection, "queue_timeout")

    def _rejection(self, reason: str, what: str) -> RejectedError:
        if reason != "queue_timeout":  # withdraw() counts that one
            self.route.rejected[reason] += 1
        name = getattr(self._executor, "name", type(self._executor).__name__)
        return RejectedError(
            f"{self.route.name}: executor {name!r} has no worker for it: {what}",
            reason=reason,
            retry_after=1,
        )

    def _time_out(self) -> None:
        self._timer = None
        future = self.future
        answered = not self.abandon(f"its timeout of {self.timeout:g} s is over")
        app_log.warning(
            "%s: still running after %g s%s. It is at\n%s",
            self.route.name,
            self.timeout,
            ", its response sent" if answered else "; its client is answered for it",
            self.stack(),
        )
        if not answered and not future.done():
            message = f"{self.route.name} ran longer than {self.timeout:g} s"
            future.set_exception(RunTimeoutError(message))

    def _end_unstarted(self, error: BaseException, holds_token: bool) -> None:
        self._error = error
        self._settle(holds_token)

    def _settle(self, holds_token: bool = True) -> None:
        """Take the outcome; the last thing that happens to an offload."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        future, self._future = self._future, None
        self._fn = None
        if self.parting is not None:
            parting, self.parting = self.parting, None
            parting()
        if holds_token:
            self.route.completed += 1
            self._limiter.give_back(self.route)
        if self.keeper is not None:
            self.keeper.left(self, self._error)
            self.keeper = self.subject = None
        value, self._value = self._value, None
        error, self._error = self._error, None
        assert future is not None
        future.offload = None
        future.changes = self._changes()
        if future.done():
            self._report_unheard(error)
        elif error is not None:
            future.set_exception(error)
        else:
            self._deliver(future, value)
        # error -> traceback -> this frame: no cycle may stay behind.
        del error, value

    def _changes(self) -> tuple[tuple[contextvars.ContextVar[Any], Any], ...]:
        before = self._before.get
        after = self._context.items()
        return tuple(item for item in after if before(item[0], self) is not item[1])

    def _deliver(self, future: OffloadFuture, value: Any) -> None:
        if isinstance(value, asyncio.Future):
            copy_outcome(value, future)
        elif isinstance(value, concurrent.futures.Future):
            copy_outcome(asyncio.wrap_future(value, loop=self.portal.loop), future)
        elif hasattr(value, "__await__"):
            self._context.run(self._await, value, future)
        else:
            future.set_result(value)

    def _await(self, value: Any, future: OffloadFuture) -> None:
        copy_outcome(asyncio.ensure_future(value), future)

    def _report_unheard(self, error: Optional[BaseException]) -> None:
        if error is None or isinstance(error, AbandonedError):
            return
        app_log.error(
            "%s: the body failed after it was abandoned",
            self.route.name,
            exc_info=(type(error), error, error.__traceback__),
        )

    # --- worker ----------------------------------------------------------

    def run(self) -> None:
        """Run the function; the job that a worker executes."""
        set_current_lease(self)
        self._thread_id = threading.get_ident()
        asyncio.set_event_loop(self.portal.loop)
        try:
            if self.revoked is None:
                assert self._fn is not None
                self._value = self._context.run(self._fn)
        except BaseException as error:
            self._error = crossing_error(error, self.route.name)
        try:
            self._alive.pop()
        except IndexError:
            self._run_at_end()
        self._thread_id = None
        asyncio.set_event_loop(None)
        set_current_lease(None)
        self._post_end()

    def _post_end(self) -> None:
        try:
            self.portal.call_soon(self._settle)
        except LoopClosedError:
            self._error = self._value = self._fn = None
            app_log.warning(
                "%s: the event loop was closed before the body ended", self.route.name
            )

    @contextlib.contextmanager
    def lending(self) -> Iterator[None]:
        """While this worker waits for other work, let one more body run."""
        executor = self._executor
        self.portal.call_soon(self._limiter.lend, self.route)
        try:
            if isinstance(executor, WorkerExecutor):
                with executor.lend():
                    yield
            else:
                yield
        finally:
            self.portal.call_soon(self._limiter.take_again, self.route)

    def _run_at_end(self) -> None:
        assert self._at_end is not None
        try:
            self._context.run(self._at_end)
        except Exception:
            app_log.error("%s: clean-up failed", self.route.name, exc_info=True)
        self._at_end = None


def cancelled() -> bool:
    """Whether the work of this worker is still wanted; for bodies to ask.

    Returns:
        True once the client has left, or the request was answered without the
        body (a timeout, a cancelled caller). False elsewhere than in a worker.
    """
    lease = current_lease()
    if not isinstance(lease, Offload):
        return False
    keeper = lease.keeper
    return lease.revoked is not None or (keeper is not None and keeper.gone(lease))
