"""The only way from the loop thread to a worker: limits, the hop, giving it up.

# Threads: all but `run_next` runs on the loop thread; the worker's half is in `_body`,
# the end in `_ending`.
# Guarantees:
# - the function starts at once when its limiter allows, else it waits in line;
# - what is abandoned sends nothing any more, and is told so.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import Callable, Optional

from tornado.log import app_log

from tornado_unblock._errors import (
    AbandonedError,
    LoopClosedError,
    RejectedError,
    RunTimeoutError,
)
from tornado_unblock._executors.threads import WorkerExecutor
from tornado_unblock._offload.ending import Ending
from tornado_unblock._offload.future import OffloadFuture

helper: contextvars.ContextVar[Optional[Callable[[Offload], bool]]] = (
    contextvars.ContextVar("tornado_unblock helper", default=None)
)
"""Where a thread waits for what runs in this context: it takes an offload that
would have to wait in line, and says whether it did."""


class Offload(Ending):
    """One function on its way to a worker and back: the loop thread's half."""

    __slots__ = ()

    @property
    def future(self) -> OffloadFuture:
        """The Future it will settle."""
        assert self._future is not None
        return self._future

    def admit(self, nested: bool = False) -> OffloadFuture:
        """Start now, or wait in line.

        Args:
            nested: What asks is a body, or a request that has had one already.

        Raises:
            RejectedError: There is no room in line either, or all is shut down.
        """
        future = self._future
        assert future is not None
        limiter = self._limiter
        closing = limiter.closing
        if closing is not None and not closing.admits(nested):
            raise self._turn_away("shutdown", "the application is shutting down")
        if limiter.borrow(self.endpoint):
            self._go()
        elif self._take_help():
            pass
        elif limiter.wait(self):
            if limiter.queue_timeouts is not None:
                limiter.queue_timeouts.add(self)
        else:
            raise self._turn_away(
                "full",
                f"{len(self.endpoint.waiting)} requests of this endpoint and "
                f"{limiter.waiting} in all wait already, "
                f"max_waiting={limiter.max_waiting}",
            )
        return future

    def admit_always(self) -> OffloadFuture:
        """Start now, whatever the limits say: for clean-up that must not be lost."""
        future = self.future
        self._limiter.take_again(self.endpoint)
        self.start()
        return future

    def start_at(self, place: Callable[[Callable[[], object]], object]) -> None:
        """Start in a thread that waits for just this, which needs no token.

        Args:
            place: Called with the job, to have that thread run it.
        """
        self.waiting_thread = place
        self.started = True
        place(self.run)

    def start(self) -> None:
        """Go to a worker, after waiting in line maybe; the token is held."""
        self._stop_waiting()
        self._go()

    def _go(self) -> None:
        self.started = True
        self._limiter.running.add(self)
        try:
            at_once = self._put()
        except RuntimeError as error:
            # Later: giving back here would start the next one inside this one.
            self.portal.loop.call_soon(self._refused, str(error))
            return
        if not at_once:
            # Its worker is busy, on a token that others have. Later: as above.
            self.portal.loop.call_soon(self._limiter.lend, self.endpoint)
        elif self.timeout is not None:
            self._start_timer()

    def run_next(self) -> None:
        """Run on the calling worker, after what else is put; in a worker."""
        executor = self.executor
        try:
            if isinstance(executor, WorkerExecutor):
                executor.put(self.run, wake=False)
            else:
                executor.submit(self.run)
        except RuntimeError as error:
            # The token is its own already: it is given back where it is known.
            with contextlib.suppress(LoopClosedError):
                self.portal.call_soon(self._refused, str(error))

    def inherit(self) -> None:
        """Take note that a worker gave it the token of a body that has ended."""
        self._limiter.passed_on(self.endpoint)
        if self.reserved_worker is not None:
            self.start()
            return
        self._stop_waiting()
        self.started = True
        self._limiter.running.add(self)
        self._start_timer()

    def withdraw(self, error: BaseException, reason: str) -> bool:
        """Leave the line with ``error``; False when it has started."""
        if self.started or self._future is None or not self._limiter.leave(self):
            return False
        self._stop_waiting()
        self.endpoint.rejected[reason] += 1
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
            if self.owner is not None:
                self.owner.answered(self)
            return False
        self.revoked = f"{self.endpoint.name}: {why}; nothing more can be sent"
        self.endpoint.abandoned += 1
        if self.awaiting is not None:
            self.awaiting.cancel()
        if self.owner is not None:
            self.owner.abandoned(self)
        return True

    def after_end(self, fn: Callable[[], object]) -> None:
        """Have a worker call ``fn`` now; the body has ended."""
        self._at_end = fn
        self.executor.submit(self._run_at_end)

    def shut_down(self, why: str) -> bool:
        """Answer for it with a 503 now; False when it needs no answer any more."""
        rejection = self._limiter.rejection(self.endpoint, why, "shutdown")
        if self.withdraw(rejection, "shutdown"):
            return True
        future = self._future
        wanted = future is not None and self.revoked is None
        if wanted and self.abandon(why) and future is not None and not future.done():
            message = f"{self.endpoint.name}: {why}"
            future.set_exception(RunTimeoutError(message, status_code=503))
        return wanted

    def _take_help(self) -> bool:
        help_with = helper.get()
        return help_with is not None and help_with(self)

    def _put(self) -> bool:
        """Have it run; returns whether it starts before what else runs ends."""
        executor = self.executor
        if not isinstance(executor, WorkerExecutor):
            executor.submit(self.run)
        elif self.reserved_worker is not None:
            return executor.put_on(self.reserved_worker, self.run, self.run_late)
        elif self.owner is None or self.endpoint.takes_long():
            # It starts at once, whatever this thread does next.
            executor.put(self.run, alone=self.endpoint.takes_long())
        else:
            # Later: a worker that wakes now would contend with this thread.
            executor.put(self.run, wake=False)
            self.portal.turns.wake_at_end(executor)
        return True

    def _begun(self) -> None:
        self._limiter.take_again(self.endpoint)
        self._start_timer()

    def _start_timer(self) -> None:
        if self.timeout is not None:
            self._timer = self.portal.loop.call_later(self.timeout, self._time_out)

    def _stop_waiting(self) -> None:
        if self._limiter.queue_timeouts is not None:
            self._limiter.queue_timeouts.discard(self)

    def give_up(self) -> None:
        """Turn away what has waited too long; called by its `QueueTimeouts`."""
        limiter, reason = self._limiter, "queue_timeout"
        what = f"no worker came free within {limiter.options.queue_timeout:g} s"
        self.withdraw(limiter.rejection(self.endpoint, what, reason), reason)

    def _turn_away(self, reason: str, what: str) -> RejectedError:
        """Return the error to raise instead of letting it in."""
        assert self._future is not None
        self._future.offload = None
        self._future = None
        return self._rejection(reason, what)

    def _time_out(self) -> None:
        self._timer = None
        future = self.future
        self.endpoint.timed_out += 1
        answered = not self.abandon(f"its timeout of {self.timeout:g} s is over")
        app_log.warning(
            "%s: still running after %g s%s. It is at\n%s",
            self.endpoint.name,
            self.timeout,
            ", its response sent" if answered else "; its client is answered for it",
            self.stack(),
        )
        if not answered and not future.done():
            message = f"{self.endpoint.name} ran longer than {self.timeout:g} s"
            status = self._limiter.options.timeout_status
            future.set_exception(RunTimeoutError(message, status_code=status))
