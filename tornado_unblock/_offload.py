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
import functools
import sys
import threading
import traceback
from typing import Any, Callable, Generator, Iterator, Optional

from tornado.log import app_log

from tornado_unblock._errors import (
    AbandonedError,
    BodyExitError,
    LoopClosedError,
    LoopThreadError,
    RejectedError,
    RunTimeoutError,
)
from tornado_unblock._executors import options_of
from tornado_unblock._limiter import Limiter
from tornado_unblock._portal import (
    Latch,
    Lease,
    Portal,
    copy_outcome,
    current_lease,
    running_loop,
    set_current_lease,
)
from tornado_unblock._workers import WorkerExecutor

# What asyncio says to a body that treats its worker as the loop thread, and
# what to do instead.
_ADVICE = {
    "no running event loop": (
        "no event loop runs in a worker: use IOLoop.current().spawn_callback(...) "
        "or asyncio.ensure_future(...), which start it on the loop thread"
    ),
    "This event loop is already running": (
        "the application's event loop is running already: a worker cannot run it "
        "again; wait for a coroutine with "
        "asyncio.run_coroutine_threadsafe(coroutine, loop).result()"
    ),
    "Result is not set.": (
        "this Future of the event loop has no result yet, and a worker cannot "
        "wait for it with result(): return it from the body to have it awaited"
    ),
}


class OffloadFuture(asyncio.Future):  # type: ignore[type-arg]
    """The Future of one offload; awaiting it brings its context changes back."""

    offload: Optional[Offload] = None
    # The context variables that the function changed, with their new values.
    changes: tuple[tuple[contextvars.ContextVar[Any], Any], ...] = ()

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            return (yield from super().__await__())
        finally:
            for variable, value in self.changes:
                variable.set(value)

    __iter__ = __await__

    def cancel(self, *args: Any, **kwargs: Any) -> bool:
        """Stop waiting; what has started runs on, abandoned. Loop thread only."""
        cancelled = super().cancel(*args, **kwargs)
        if cancelled and self.offload is not None:
            self.offload.abandon("whoever awaited it was cancelled")
        return cancelled


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
        "gone",
        "on_abandon",
        "on_end",
        "route",
        "started",
        "timeout",
    )

    def __init__(
        self,
        portal: Portal,
        executor: concurrent.futures.Executor,
        route_name: str,
        fn: Callable[[], Any],
        timeout: Optional[float],
        future_type: type[OffloadFuture] = OffloadFuture,
    ) -> None:
        self.portal = portal
        self.revoked = None
        self._executor = executor
        self._limiter = limiter_for(portal, executor)
        self.route = self._limiter.route(route_name)
        self._fn: Optional[Callable[[], Any]] = fn
        self.timeout = timeout
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
        # Set by who hands over more than a function: told of the end and of
        # being abandoned, on the loop thread; asked, in the worker, whether
        # the result still matters.
        self.on_end: Optional[
            Callable[[Offload, Optional[BaseException]], object]
        ] = None
        self.on_abandon: Optional[Callable[[], object]] = None
        self.gone: Optional[Callable[[], bool]] = None
        future = future_type(loop=portal.loop)
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

    def abandon(self, why: str) -> None:
        """Stop waiting for it. What reaches the loop from it is refused from now on."""
        if self._future is None or self.revoked is not None:
            return
        if not self.withdraw(AbandonedError(why), "cancelled"):
            self.revoked = f"{self.route.name}: {why}; nothing more can be sent"
            if self.on_abandon is not None:
                self.on_abandon()

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
        app_log.warning(
            "%s: still running after %g s; its client is answered without it. "
            "It is at\n%s",
            self.route.name,
            self.timeout,
            self.stack(),
        )
        future = self._future
        self.abandon(f"its timeout of {self.timeout:g} s is over")
        if future is not None and not future.done():
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
        if holds_token:
            self.route.completed += 1
            self._limiter.give_back(self.route)
        if self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end(self, self._error)
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
        return tuple(
            item for item in self._context.items() if before(item[0], self) is not item[1]
        )

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
            self._error = _sane(error, self.route.name)
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
        self.portal.call_soon(self._limiter.lend, 1)
        try:
            if isinstance(executor, WorkerExecutor):
                with executor.lend():
                    yield
            else:
                yield
        finally:
            self.portal.call_soon(self._limiter.lend, -1)

    def _run_at_end(self) -> None:
        assert self._at_end is not None
        try:
            self._context.run(self._at_end)
        except Exception:
            app_log.error("%s: clean-up failed", self.route.name, exc_info=True)
        self._at_end = None


def limiter_for(portal: Portal, executor: concurrent.futures.Executor) -> Limiter:
    """Return the limiter before ``executor`` on the portal's loop."""
    limiter: Optional[Limiter] = portal.locals.get(executor)
    if limiter is None:
        options = options_of(executor)
        limiter = portal.locals[executor] = Limiter(
            options.max_workers, options.max_waiting, options.max_route_share
        )
    return limiter


def _sane(error: BaseException, route: str) -> Exception:
    """Return what can be raised on the loop thread for ``error``.

    `SystemExit` and `KeyboardInterrupt` there stop the server, and a Future
    cannot carry `StopIteration`.
    """
    if not isinstance(error, Exception) or isinstance(error, StopIteration):
        exit_error = BodyExitError(
            f"{route} raised {error!r} in a worker; only its request ends"
        )
        exit_error.__cause__ = error
        return exit_error
    if isinstance(error, (RuntimeError, asyncio.InvalidStateError)):
        advice = _ADVICE.get(str(error))
        if advice is not None:
            error.args = (f"{error}: {advice}",)
    return error


def cancelled() -> bool:
    """Whether the work of this worker is still wanted; for bodies to ask.

    Returns:
        True once the client has left, or the request was answered without the
        body (a timeout, a cancelled caller). False elsewhere than in a worker.
    """
    lease = current_lease()
    if not isinstance(lease, Offload):
        return False
    gone = lease.gone
    return lease.revoked is not None or (gone is not None and gone())
