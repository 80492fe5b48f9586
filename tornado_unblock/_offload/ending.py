"""How an offload ends, on the loop thread.

# Threads: the loop thread only.
# Guarantees:
# - its token is given back or passed on once, when the function has really ended;
# - the Future gets one outcome: the function's, a rejection or a timeout;
# - changes of the caller's context variables come back to who awaits;
# - all that happens to it is counted, once; an error that nobody hears of is logged.
"""

from __future__ import annotations

from typing import Optional

from tornado.log import app_log

from tornado_unblock._errors import AbandonedError, RejectedError, is_failure
from tornado_unblock._loop.futures import deliver
from tornado_unblock._offload.body import Body
from tornado_unblock._offload.future import OffloadFuture


class Ending(Body):
    """The end of one function, after its stay on a worker or without one."""

    __slots__ = ()

    def _refused(self, why: str) -> None:
        """No thread runs it; it holds a token."""
        self._end_unstarted(self._rejection("no_thread", why), True)

    def _rejection(self, reason: str, what: str) -> RejectedError:
        """Count that it gets no worker, and return the error that says so."""
        self.endpoint.rejected[reason] += 1
        return self._limiter.rejection(self.endpoint, what, reason)

    def _end_unstarted(self, error: BaseException, holds_token: bool) -> None:
        self._error = error
        self._settle(holds_token, ran=False)

    def _settle(self, holds_token: bool = True, ran: bool = True) -> None:
        """Take the outcome; the last thing that happens to an offload."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        future, self._future = self._future, None
        assert future is not None
        self._fn = None
        if self.before_settle is not None:
            before_settle, self.before_settle = self.before_settle, None
            before_settle()
        limiter, endpoint, error = self._limiter, self.endpoint, self._error
        if ran:
            endpoint.count(
                self.started_at - self.requested_at, self.ended_at - self.started_at
            )
            if error is not None and is_failure(error):
                endpoint.failed += 1
        if holds_token and self.waiting_thread is None:
            limiter.running.discard(self)
            successor, self.successor = self.successor, None
            if successor is None:
                limiter.give_back(endpoint)
            else:
                successor.inherit()
        self._hand_back(future, error)
        if limiter.closing is not None:
            limiter.closing.ended()
        del error  # error -> traceback -> this frame: no cycle may stay behind

    def _hand_back(self, future: OffloadFuture, error: Optional[BaseException]) -> None:
        """Tell who handed it over, and who awaits it."""
        if self.owner is not None:
            self.owner.offload_ended(self, error)
            self.owner = self.handler = None
        value, self._value = self._value, None
        self._error = None
        future.offload = None
        if self._context:
            # By identity: values that are equal, or refuse to be compared, count too.
            was = self._before.get
            after = self._context.items()
            future.changes = [
                item for item in after if was(item[0], self) is not item[1]
            ]
        if future.done():
            self._report_not_awaited(error)
        elif error is not None:
            future.set_exception(error)
        elif value is None:  # nearly always
            future.set_result(None)
        else:
            deliver(value, future, self._context)
        del error, value  # as above

    def _report_not_awaited(self, error: Optional[BaseException]) -> None:
        if error is None or isinstance(error, AbandonedError):
            return
        app_log.error(
            "%s: the body failed after it was abandoned",
            self.endpoint.name,
            exc_info=error,
        )
