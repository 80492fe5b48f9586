"""One function on its way to a worker and back: the state machine of an offload.

All that changes the state of an offload stands here; so the file is long.

# Threads: `run` and what they call run in the worker, all else on the
# loop thread. Each attribute has one writer at a time: the loop thread until the
# function is put, then the worker until it posts the end, then the loop thread.
# Guarantees:
# - the function starts at once when its limiter allows, else it waits in line;
# - it runs in the caller's context variables, and what it changes comes back to
#   who awaits it; where that is the coroutine of a request, in its very Context;
# - its token is given back or passed on once, when it has really ended;
# - its Future gets one outcome: the function's, a rejection or a timeout; an error
#   that nobody hears of is logged;
# - it is counted once, and its owner is told once;
# - what is abandoned sends nothing any more, and is told so;
# - no exception that could stop the loop or a worker leaves either.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import enum
import logging
import threading
import time
import traceback
from collections.abc import Awaitable
from typing import Any, Callable, Optional, Protocol, Union, cast

from tornado_unblock._errors import (
    AbandonedError,
    LoopClosedError,
    RejectedError,
    RunTimeoutError,
    crossing_error,
    is_failure,
    log,
)
from tornado_unblock._executors.threads import ReservedWorker, WorkerExecutor
from tornado_unblock._limits.placement import Placement
from tornado_unblock._loop import thread_loop
from tornado_unblock._loop.frames import frame_of
from tornado_unblock._loop.futures import deliver, is_work
from tornado_unblock._loop.lease import Lease, here
from tornado_unblock._loop.portal import Portal
from tornado_unblock._loop.shared_context import Place, SharedContext
from tornado_unblock._offload import remote
from tornado_unblock._offload.future import OffloadFuture

helper: contextvars.ContextVar[Optional[Callable[[Offload, bool], bool]]] = (
    contextvars.ContextVar("tornado_unblock helper", default=None)
)
"""Where a thread waits for what runs in this context: it takes an offload that
would have to wait in line, and says whether it did. The second argument: only if it
can begin at once."""

WaitingThread = Callable[[Callable[[], object]], object]
"""A thread that waits for just one offload: called with its job, it runs it."""


class State(enum.IntEnum):
    """How far an offload is; see `Offload`."""

    NEW = enum.auto()
    WAITING = enum.auto()
    STARTED = enum.auto()
    ABANDONED = enum.auto()
    ENDED = enum.auto()
    REFUSED = enum.auto()


# Names of the module: an attribute of an enum takes four times as long.
NEW, WAITING, STARTED, ABANDONED, ENDED, REFUSED = State


class Owner(Protocol):
    """Who hands over more than a function: a handler, say. Told on the loop thread."""

    def offload_ended(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` ended, with ``error`` or well, or was refused."""

    def revoke(self, offload: Offload, why: str) -> bool:
        """Take the response from ``offload``; False when it has finished it."""

    def is_answered(self, offload: Offload) -> bool:
        """Whether the response of ``offload`` is sent, or all but its end."""

    def client_gone(self, offload: Offload) -> bool:
        """Whether the client has left; any thread."""


class Observer(Protocol):
    """Is told of every offload. It must not raise."""

    def began(self, offload: Offload) -> object:
        """It begins; called in the context of its function, by its worker.

        By the loop thread where an executor elsewhere is to run it.
        """

    def abandoned(self, offload: Offload, why: str) -> object:
        """Nobody waits for it any more; loop thread."""

    def ended(self, offload: Offload, error: Optional[BaseException]) -> object:
        """It was counted, and ended with ``error`` or well; loop thread."""


_observer: Optional[Observer] = None


def observe(observer: Optional[Observer]) -> None:
    """Have ``observer`` be told from now on, in place of the one before; any thread."""
    global _observer
    _observer = observer


class Offload(Lease):
    """One function, from its admission to its end.

    ``state`` is written on the loop thread only::

        NEW       admit: a token is free, or a thread waits for it   -> STARTED
                  admit: room in line                                -> WAITING
                  admit: full | shutdown                             -> REFUSED
                  cancelled before it was admitted                   -> REFUSED
        WAITING   token granted or passed on                         -> STARTED
                  queue_timeout | client_gone | cancelled | shutdown -> REFUSED
                  as STARTED, once a worker has popped it            -> ABANDONED
        STARTED   no thread                                          -> REFUSED
                  timeout | cancelled | shutdown | error page, and
                  the right to finish won              -> ABANDONED (keeps its token)
                  the worker posts the end                           -> ENDED
        ABANDONED no thread                                          -> REFUSED
                  the worker posts the end                           -> ENDED

    In ENDED and REFUSED it has been counted once, its token is back, its Future has
    one outcome, and its owner was told once.

    Not in the state, on purpose: "in line" is true of ``endpoint.waiting`` alone, since
    a worker that ends may pop what waits there before the loop thread hears of it.
    """

    __slots__ = (
        # Set once, before it is admitted.
        *("_before", "_cleans_up", "_fn", "_limiter", "_shared_context"),
        "_shows_loop",
        *("endpoint", "executor"),
        *("handler", "owner", "requested_at", "reserved_worker", "timeout"),
        "waiting_thread",
        # The loop thread's.
        *("__weakref__", "_future", "_holds_token", "_is_lent", "_timer"),
        "state",
        # The worker's, until it posts the end.
        *("_context", "_error", "_thread_id", "_value", "ended_at", "started_at"),
        "successor",
        # Taken by one of them: list.pop is atomic.
        *("_alive", "_at_end"),
        # For `current_hop`, any thread under its lock; 0: nobody has asked for it yet.
        "hop_id",
    )

    # Who hands over more than a function, and what it hands over.
    owner: Optional[Owner]
    handler: Any
    # Who runs it in place of a worker. It needs no token then, having that of what
    # waits.
    waiting_thread: Optional[WaitingThread]
    # The worker that is to run it; None: any.
    reserved_worker: Optional[ReservedWorker]
    # Who has its token, now that it has ended.
    successor: Optional[Offload]
    # Where it runs, once it does.
    _context: Union[contextvars.Context, Place, None]
    _future: Optional[OffloadFuture]
    _timer: Optional[asyncio.TimerHandle]
    _fn: Optional[Callable[[], object]]
    _error: Optional[BaseException]
    _thread_id: Optional[int]
    _at_end: Optional[Callable[[], object]]

    def __init__(
        self,
        portal: Portal,
        where: Placement,
        fn: Callable[[], object],
        future: Optional[OffloadFuture] = None,
    ) -> None:
        Lease.__init__(self, portal)
        self.executor, self._limiter, self.endpoint, self.timeout, self._shows_loop = (
            where
        )
        self._fn = fn
        self._before = contextvars.copy_context()
        self._shared_context = portal.shared_context
        self.state: State = NEW
        # Whether its worker waits, and others have its token.
        self._is_lent = False
        self.requested_at = time.monotonic()
        # Popped by the worker when the function ends, or by the loop thread when it
        # leaves something to do at the end.
        self._alive = [True]
        self._future = future or OffloadFuture(loop=portal.loop)
        self._future.offload = self
        self._timer = self._error = self._thread_id = self._at_end = None
        self._value: object = None
        self._holds_token = self._cleans_up = False
        self._context = None
        self.waiting_thread = self.reserved_worker = None
        self.owner = self.handler = self.successor = None
        self.started_at = self.ended_at = 0.0
        self.hop_id = 0

    @property
    def future(self) -> OffloadFuture:
        """The Future it will settle."""
        assert self._future is not None
        return self._future

    # --- loop thread: NEW -> STARTED, WAITING or REFUSED ----------------------

    def admit(self, nested: bool = False) -> OffloadFuture:
        """Start now, or wait in line.

        Args:
            nested: What asks is a body, or a request that has had one already.

        Raises:
            RejectedError: There is no room in line either, or all is shut down.
        """
        future = self.future
        limiter = self._limiter
        closing = limiter.closing
        if closing is not None and not closing.admits(nested):
            raise self._turn_away("shutdown", "the application is shutting down")
        is_new = not nested and self.owner is not None
        if limiter.is_lending_all() and self._take_help(at_once=True):
            pass  # rather than the token of just that thread, and one thread more
        elif limiter.borrow(self.endpoint, is_new=is_new):
            self._go()
        elif self._take_help():
            pass
        elif limiter.wait(self):
            self.state = WAITING
            if limiter.queue_timeouts is not None:
                limiter.queue_timeouts.add(self)
        else:
            raise self._turn_away(
                "full",
                f"{len(self.endpoint.waiting)} requests of this endpoint and "
                f"{limiter.waiting} in all wait already, {limiter.lent_tokens} have "
                f"begun and wait for other work, max_waiting={limiter.max_waiting}",
            )
        return future

    def admit_always(self) -> OffloadFuture:
        """Start now, whatever the limits say: for clean-up that must not be lost."""
        future = self.future
        self._cleans_up = True
        self._limiter.take_again(self.endpoint)
        self._go()
        return future

    def start_at(self, waiting_thread: WaitingThread) -> None:
        """Start in a thread that waits for just this, which needs no token."""
        self.waiting_thread = waiting_thread
        self.state = STARTED
        waiting_thread(self.run)

    def start(self) -> None:
        """Go to a worker, after waiting in line maybe; the token is held."""
        self._stop_waiting()
        self._go()

    def inherit(self) -> None:
        """Take note that a worker gave it the token of a body that has ended."""
        self._limiter.passed_on(self.endpoint)
        if self.reserved_worker is not None:
            self.start()
            return
        self._stop_waiting()
        self._mark_started()
        self._start_timer()

    def _take_help(self, at_once: bool = False) -> bool:
        help_with = helper.get()
        return help_with is not None and help_with(self, at_once)

    def _turn_away(self, reason: str, what: str) -> RejectedError:
        """Return the error to raise instead of letting it in."""
        self.state = REFUSED
        self.future.offload = None
        self._future = self._fn = None
        error = self._rejection(reason, what)
        self._tell_owner(error)
        return error

    def _rejection(self, reason: str, what: str) -> RejectedError:
        """Count that it gets no worker, and return the error that says so."""
        self.endpoint.rejected[reason] += 1
        return self._limiter.rejection(self.endpoint, what, reason)

    def _stop_waiting(self) -> None:
        if self._limiter.queue_timeouts is not None:
            self._limiter.queue_timeouts.discard(self)

    def _mark_started(self) -> None:
        if self.state is not ABANDONED:  # while a worker took it out of the line
            self.state = STARTED
        self._limiter.running.add(self)

    def _go(self) -> None:
        self._mark_started()
        try:
            at_once = self._put()
        except RuntimeError as error:
            # Later: giving back here would start the next one inside this one.
            self.portal.loop.call_soon(self._refused, str(error))
            return
        if not at_once:
            # Its worker is busy, on a token that others have. Later: as above.
            self.portal.loop.call_soon(self._limiter.give_back, self.endpoint)
        elif self.timeout is not None:
            self._start_timer()

    def _put(self) -> bool:
        """Have it run; returns whether it starts before what else runs ends."""
        executor = self.executor
        if not isinstance(executor, WorkerExecutor):
            if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
                executor.submit(self.run)
            else:
                self._tell_began()
                remote.send(self)
        elif self.reserved_worker is not None:
            return executor.put_on(self.reserved_worker, self.run, self._run_late)
        elif self.owner is None:
            # It starts at once, whatever this thread does next.
            executor.put(self.run)
        else:
            # Later: a worker that wakes now would contend with this thread.
            executor.put(self.run, wake=False)
            self.portal.turns.wake_at_end(executor)
        return True

    def _begun(self) -> None:
        """Take note that its busy worker has come to it."""
        self._limiter.take_again(self.endpoint)
        self._start_timer()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _start_timer(self) -> None:
        # What was abandoned before its worker came to it has no more time to run out.
        if self.timeout is not None and self.state is STARTED:
            self._timer = self.portal.loop.call_later(self.timeout, self._time_out)

    # --- loop thread: its worker waits, and goes on ---------------------------

    def lend(self) -> None:
        """Let others have its token, and a thread in place of its worker."""
        # A thread that waits for just this has the token of what it waits for.
        if self._is_lent or self.waiting_thread is not None:
            return
        self._is_lent = self._limiter.lend(self.endpoint)
        if self._is_lent and isinstance(self.executor, WorkerExecutor):
            self.executor.lend()

    def end_loan(self) -> None:
        """Take its token again: its worker goes on."""
        if self._is_lent:
            self._is_lent = False
            self._limiter.end_loan(self.endpoint)
            if isinstance(self.executor, WorkerExecutor):
                self.executor.end_loan()

    # --- loop thread: WAITING -> REFUSED, STARTED -> ABANDONED ----------------

    def withdraw(self, error: BaseException, reason: str) -> bool:
        """Leave the line with ``error``; False when it has started."""
        if self.state is not WAITING or not self._limiter.leave(self):
            return False
        self._stop_waiting()
        self.endpoint.rejected[reason] += 1
        self._refuse(error, False)
        return True

    def give_up(self) -> None:
        """Turn away what has waited too long; called by its `QueueTimeouts`."""
        limiter, reason = self._limiter, "queue_timeout"
        what = f"no worker came free within {limiter.options.queue_timeout:g} s"
        self.withdraw(limiter.rejection(self.endpoint, what, reason), reason)

    def abandon(self, why: str) -> bool:
        """Stop waiting for it. What reaches the loop from it is refused from now on.

        Returns:
            False when it has finished its response already, and keeps it.
        """
        if self.state in (ABANDONED, ENDED, REFUSED):
            return True
        if self.state is NEW:
            self.endpoint.rejected["cancelled"] += 1
            self._refuse(AbandonedError(why), False)
            return True
        if self.withdraw(AbandonedError(why), "cancelled"):
            return True
        refusal = f"{self.endpoint.name}: {why}; nothing more can be sent"
        if self.owner is not None and not self.owner.revoke(self, refusal):
            return False
        self.revoked = refusal
        self.state = ABANDONED
        self.endpoint.abandoned += 1
        self._stop_timer()
        if _observer is not None:
            _observer.abandoned(self, why)
        if self.awaiting is not None:
            self.awaiting.cancel()
        return True

    def shut_down(self, why: str) -> bool:
        """Answer for it with a 503 now; False when it needs no answer any more."""
        rejection = self._limiter.rejection(self.endpoint, why, "shutdown")
        if self.withdraw(rejection, "shutdown"):
            return True
        future = self._future
        wanted = future is not None and self.state is not ABANDONED
        if wanted and self.abandon(why) and future is not None and not future.done():
            message = f"{self.endpoint.name}: {why}"
            future.set_exception(RunTimeoutError(message, status_code=503))
        return wanted

    def fail(self, error: BaseException, why: str) -> None:
        """Stop waiting for it: ``error`` is what comes of it."""
        future = self._future
        if future is not None and self.abandon(why) and not future.done():
            future.set_exception(error)

    def refuse(self, reason: str, what: str) -> None:
        """End it with a `RejectedError`: its waiting thread has not come to it.

        Args:
            reason: As it is counted.
            what: What is the matter, and what to do.
        """
        self._refuse(self._rejection(reason, what), False)

    def is_answered(self) -> bool:
        """Whether its response is sent, and it only has to end."""
        return self.owner is not None and self.owner.is_answered(self)

    def at_end(self, fn: Callable[[], object]) -> None:
        """Have a worker call ``fn`` when the function ends, or now if it has ended."""
        self._at_end = fn
        try:
            self._alive.pop()
        except IndexError:
            self.executor.submit(self._run_at_end)

    def stack(self) -> str:
        """Return where the function is right now, as text; empty if unknown."""
        frame = frame_of(self._thread_id)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    def steps(self) -> list[tuple[str, int, str]]:
        """Return where the function is right now, in values; any thread.

        Returns:
            File, line and function of each frame, the outermost first; none when it
            has ended, or not begun.
        """
        thread = self._thread_id
        frame = frame_of(thread)
        found = []
        while frame is not None:
            code = frame.f_code
            name = getattr(code, "co_qualname", code.co_name)  # 3.11 on
            found.append((code.co_filename, frame.f_lineno or 0, name))
            frame = frame.f_back
        # Its thread may have begun something else meanwhile.
        return found[::-1] if self._thread_id == thread else []

    def _time_out(self) -> None:
        self._timer = None
        if not self._alive and self.state is STARTED:
            return  # it ended in time; word of it is on the way
        future = self.future
        self.endpoint.timed_out += 1
        answered = not self.abandon(f"its timeout of {self.timeout:g} s is over")
        log(
            logging.WARNING,
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

    # --- worker ----------------------------------------------------------------

    def run(self) -> None:
        """Run the function; the job that a worker executes.

        Whatever raises: this thread is as it was, and the loop thread hears of the end.
        """
        outer, inner = here.lease, here.innermost
        try:
            here.lease, here.innermost = outer or self, self
            self._thread_id = threading.get_ident()
            if self.waiting_thread is None:
                thread_loop.enter(self.portal.loop, self._shows_loop)
            self.started_at = time.monotonic()
            if self.revoked is None:
                assert self._fn is not None
                context = self._context = (
                    self._before.copy()
                    if self._shared_context is None
                    else self._find_place(self._shared_context)
                )
                if _observer is not None:  # asked here too: a call is saved
                    self._tell_began()
                self._value = context.run(self._fn)
        except BaseException as error:
            self._error = error
        try:
            self._leave(outer, inner)
        except BaseException as error:
            self._fault(error)  # so it is told; what raises again has been
            with contextlib.suppress(BaseException):
                self._leave(outer, inner)
        try:
            # Asked here too: nearly always nobody waits, and a call is saved.
            if (
                self._limiter.sole_waiting_endpoint is self.endpoint
                and self.waiting_thread is None
            ):
                self._pass_on()
            else:
                self._post_end()
        except BaseException as error:
            self._fault(error)
            self._post_end()

    def _find_place(self, shared: SharedContext) -> Union[contextvars.Context, Place]:
        """Return where it is to run: in that of who awaits it, or in a copy."""
        before, cleans_up = self._before, self._cleans_up
        place = shared.place_for(self._future, before, cleans_up=cleans_up)
        return before.copy() if place is None else place

    def _leave(self, outer: Optional[Lease], inner: Optional[Lease]) -> None:
        """Leave the thread as it was; once more, if it was interrupted."""
        self._fn = None
        if self._error is not None:
            self._error = crossing_error(self._error, self.endpoint.name)
        try:
            self._alive.pop()
        except IndexError:
            self._run_at_end()
        if self.ended_at == 0.0:
            self.ended_at = time.monotonic()
        self._thread_id = None
        here.lease, here.innermost = outer, inner
        if self.waiting_thread is None:
            thread_loop.leave()

    def _own_context(self) -> Union[contextvars.Context, Place]:
        # Elsewhere it has none.
        return self._before if self._context is None else self._context

    def _tell_began(self) -> None:
        observer = _observer
        if observer is not None:
            self._own_context().run(observer.began, self)

    def _fault(self, error: BaseException) -> None:
        """Take note of an error that is not the function's."""
        if self._error is None:
            self._error = crossing_error(error, self.endpoint.name)

    def run_next(self) -> None:
        """Run on the calling worker, after what else is put."""
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

    def cancelled(self) -> bool:
        """Whether what it does is no longer wanted; any thread."""
        owner = self.owner
        return self.revoked is not None or (
            owner is not None and owner.client_gone(self)
        )

    def _run_late(self) -> None:
        """Run the function on its worker, that was busy."""
        with contextlib.suppress(LoopClosedError):
            self.portal.call_soon(self._begun)
        self.run()

    def _run_at_end(self) -> None:
        at_end, self._at_end = self._at_end, None
        try:
            if at_end is not None:
                self._own_context().run(at_end)
        except BaseException as error:
            name = self.endpoint.name
            log(logging.ERROR, "%s: clean-up failed", name, error=error)

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
            self.portal.call_soon(self._end)
        except LoopClosedError:
            self._lose()

    def _lose(self) -> None:
        """End without a loop thread that could do it."""
        error, self._error = self._error, None
        self._value = self._fn = None
        self._limiter.running.discard(self)
        # Nobody misses what has sent its response or was abandoned, nor clean-up, nor
        # the hook of a socket: their handlers are finished.
        missed = self.revoked is None and not getattr(self.handler, "_finished", False)
        if self.response is not None:
            missed = missed and self.response.may_finish
        if missed or not issubclass(type(error), (AbandonedError, type(None))):
            log(
                logging.WARNING,
                "%s: the event loop was closed before the body ended",
                self.endpoint.name,
                error=error,
            )
        del error  # error -> traceback -> this frame: no cycle may stay behind

    # --- an executor elsewhere; see `remote` ------------------------------------

    @property
    def call(self) -> object:
        """The function with its arguments, as a `functools.partial`."""
        return self._fn

    def end_elsewhere(self, value: object, error: Optional[BaseException]) -> None:
        """End with what an executor elsewhere made of it; any thread."""
        self.ended_at = time.monotonic()
        self._value, self._error = value, error
        self._post_end()

    def refuse_elsewhere(self, error: BaseException) -> None:
        """End it, since its executor did not take it; any thread."""
        with contextlib.suppress(LoopClosedError):
            self.portal.call_soon(self._refused_elsewhere, error)

    def _refused_elsewhere(self, error: BaseException) -> None:
        if type(error) is RuntimeError:
            self._refused(str(error))
        else:
            self._refuse(crossing_error(error, self.endpoint.name), True)

    # --- loop thread: -> ENDED or REFUSED ----------------------------------------

    def _refused(self, why: str) -> None:
        """No thread runs it; it holds a token."""
        self._refuse(self._rejection("no_thread", why), True)

    def _refuse(self, error: BaseException, holds_token: bool) -> None:
        self._error = error
        self.state, self._holds_token = REFUSED, holds_token
        self._settle()

    def _end(self) -> None:
        """Take the outcome that the worker has posted; what is kept from it, again."""
        if self.state >= ENDED:
            return  # it was posted twice, since something raised in between
        self.state = ENDED
        self._holds_token = self.waiting_thread is None
        try:
            self.endpoint.count(
                self.started_at - self.requested_at, self.ended_at - self.started_at
            )
            if self._error is not None and is_failure(self._error):
                self.endpoint.failed += 1
            if _observer is not None:
                _observer.ended(self, self._error)
            self._settle()
        except BaseException:
            self._settle()
            raise

    def _settle(self) -> None:
        """Give the token back and the outcome on; the last thing that happens to it.

        Each step is done whatever the others raise. What raised is done again when this
        is called again, and nothing else is.
        """
        self._fn = None
        try:
            self._stop_timer()
            if self.before_settle is not None:
                self.before_settle()
                self.before_settle = None
        finally:
            try:
                if self._holds_token:
                    self._limiter.running.discard(self)
                    self._holds_token = False
                    successor, self.successor = self.successor, None
                    if successor is None:
                        self._limiter.give_back(self.endpoint)
                    else:
                        successor.inherit()
            finally:
                try:
                    if self._future is not None:
                        self._hand_back(self._future)
                finally:
                    if self._limiter.closing is not None:
                        self._limiter.closing.ended()

    def _hand_back(self, future: OffloadFuture) -> None:
        """Tell who handed it over, and who awaits it."""
        error = self._error
        self._tell_owner(error)
        future.offload = None
        context = self._context
        if type(context) is contextvars.Context:
            # By identity: values that are equal, or refuse to be compared, count too.
            was = self._before.get
            after = context.items()
            future.changes = [
                item for item in after if was(item[0], self) is not item[1]
            ]
        if future.done():
            self._report_not_awaited(error)
        elif error is not None:
            future.set_exception(error)
        elif self._value is None:  # nearly always
            future.set_result(None)
        elif future.awaiters == 1 and is_work(self._value):
            future.rest = cast("Awaitable[object]", self._value)
            future.set_result(None)
        else:
            deliver(self._value, future, self._own_context())
        self._future = self._error = self._value = None
        del error  # error -> traceback -> this frame: no cycle

    def _tell_owner(self, error: Optional[BaseException]) -> None:
        if self.owner is not None:
            self.owner.offload_ended(self, error)
            self.owner = self.handler = None

    def _report_not_awaited(self, error: Optional[BaseException]) -> None:
        if error is None or issubclass(type(error), AbandonedError):
            return
        log(
            logging.ERROR,
            "%s: the body failed after it was abandoned",
            self.endpoint.name,
            error=error,
        )
