"""A thread that waits for the loop, and runs meanwhile what the loop gives it.

A worker that waits for a coroutine is free for the sync functions that this
coroutine calls in turn. They run there, one at a time, so that

- a full executor cannot deadlock: what is waited for always has a thread;
- what belongs to a thread (a thread-local session, an SQLite connection, an open
  transaction) is the same all the way down, whatever colour is in between.

While a worker just waits, others have its token: what it waits for may need one. It
takes the token again before it runs anything, so a thread is held, but no place.

One at a time means that a function waits for its turn while another one has the thread.
Two that wait for each other would do so for ever. So a turn is waited for no longer
than a worker is, ``queue_timeout``, and then whoever is in the way is told.

# Threads: `serve` runs in the waiting thread, all else on the loop thread.
# Guarantees:
# - what was put is run, in order, before `serve` returns, or refused;
# - nothing is put once the lane is shut;
# - while the thread waits in `serve` its worker's token is lent, and at no other time;
# - `serve` ends: when the lane is shut, when the loop closes, or when the
#   interpreter goes down.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import queue
import threading
from collections.abc import Iterator
from typing import Callable, Optional, Protocol

from tornado_unblock._errors import LoopClosedError
from tornado_unblock._limits.placement import limiter_of
from tornado_unblock._limits.queue_timeout import QueueTimeouts
from tornado_unblock._loop.latch import interpreter_is_ending
from tornado_unblock._loop.lease import Lease
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.offload import Offload, helper

Job = Callable[[], object]

# How often a waiting thread looks whether its loop still lives, in seconds.
_LOOK_AGAIN = 0.5

_ENTANGLED = (
    "sync functions that one coroutine runs side by side take turns in the thread that "
    "waits for it, so none can wait for what another one does later; await them one "
    "after the other, or make the one that waits async"
)


class Wait(Protocol):
    """What a thread waits for in a lane."""

    def fail(self, why: str) -> None:
        """End it with an error, so that the thread goes on; loop thread."""


class _Here(threading.local):
    # The lane that this thread serves, the innermost one.
    lane: Optional[Lane] = None


_here = _Here()


def serving_lane() -> Optional[Lane]:
    """Return the lane that this thread serves, and whose job it runs."""
    return _here.lane


class Lane:
    """One waiting thread, as the loop sees it.

    Args:
        portal: The way to the loop.
        outer: The lane that the thread serves already, whose job it runs now.
    """

    def __init__(self, portal: Portal, outer: Optional[Lane] = None) -> None:
        self.portal = portal
        # Of another loop it is none of this one's business.
        self._outer = outer if outer is not None and outer.portal is portal else None
        self._jobs: queue.SimpleQueue[Optional[Job]] = queue.SimpleQueue()
        # How many jobs were put, and how many the thread has done. Written on the loop
        # thread, and by the waiting thread.
        self._put = self._done = 0
        # Loop thread only, all of these.
        self.is_open = False
        # Whose token the thread has, if it has one.
        self._holder: Optional[Lease] = None
        self._is_lending = False
        # What the thread waits for here, and within a job of this lane.
        self._wait: Optional[Wait] = None
        self._inner: Optional[Lane] = None
        self.is_stuck = False
        """Whether something has waited too long for its turn, and still does."""

    # --- loop thread -----------------------------------------------------

    def open(self, holder: Optional[Lease] = None, wait: Optional[Wait] = None) -> None:
        """Take jobs from now on; a thread serves, or will at once.

        Args:
            holder: Whose token the thread has, if it has one.
            wait: What the thread waits for, if that can be made to fail.
        """
        self.is_open = True
        self._holder, self._wait = holder, wait
        if self._outer is not None:
            self._outer._inner = self

    def shut(self) -> None:
        """Take no more jobs, and let the thread go on once those are done."""
        self.is_open = False
        self._wait = None
        if self._outer is not None:
            self._outer._inner = None
        self.give(None)

    def start(self, offload: Offload) -> None:
        """Have the thread run ``offload``; the lane is open."""
        timeouts = limiter_of(self.portal, offload.executor).queue_timeouts
        if timeouts is None or self._put == self._done:
            offload.start_at(self.give)
            return
        turn = _Turn(self, offload, timeouts)
        offload.start_at(turn.wait)

    def help_with(self, offload: Offload, at_once: bool) -> bool:
        """Run what would have to wait for a worker; False when this cannot.

        Args:
            offload: What to run.
            at_once: Whether not to, unless it can begin now.
        """
        in_threads = isinstance(offload.executor, concurrent.futures.ThreadPoolExecutor)
        can = in_threads and self.is_open and offload.portal is self.portal
        if not can or (at_once and self._put != self._done):
            return False
        self.start(offload)
        return True

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """While this lasts, sync functions called in this context run here."""
        before = _lane.get(), helper.get()
        self.make_current()
        try:
            yield
        finally:
            _lane.set(before[0])
            helper.set(before[1])

    def make_current(self) -> None:
        """Have sync functions called in this context run here."""
        _lane.set(self)
        helper.set(self.help_with)

    def end_inner_wait(self, what: str) -> bool:
        """End what the thread waits for within a job; ``what`` is to have its turn.

        Returns:
            False when there is no such wait: the thread works, or is blocked.
        """
        innermost = self
        while innermost._inner is not None:
            innermost = innermost._inner
        wait = innermost._wait
        if innermost is self or wait is None or innermost._put != innermost._done:
            return False
        wait.fail(f"{what} cannot have its turn while this waits: {_ENTANGLED}")
        return True

    def give(self, job: Optional[Job]) -> None:
        """Have the thread run ``job``, or go on for None."""
        self._put += 1
        if self._is_lending and self._holder is not None:
            self._is_lending = False
            self._holder.end_loan()
        self._jobs.put(job)

    def rests(self, done: int = 0) -> None:
        """Take note that the thread has nothing to do, having done so many jobs."""
        self.is_stuck = False
        if self._put == done and self._holder is not None:
            self._is_lending = True
            self._holder.lend()

    # --- the waiting thread ----------------------------------------------

    def serve(self) -> None:
        """Run what is put, until the lane is shut; the waiting thread.

        Raises:
            LoopClosedError: The loop closed, or the interpreter is ending.
        """
        outer, _here.lane = _here.lane, self
        try:
            while True:
                job = self._next_job()
                if job is None:
                    return
                job()
                del job  # a waiting thread must not keep its last job alive
                self._done += 1
        finally:
            _here.lane = outer

    def _next_job(self) -> Optional[Job]:
        if self._jobs.empty():
            self.portal.call_soon(self.rests, self._done)
        while True:
            try:
                return self._jobs.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                if self.portal.loop.is_closed() or interpreter_is_ending():
                    raise LoopClosedError(
                        "the event loop this thread waits for is closed"
                    ) from None


class _Turn:
    """An offload that waits for its turn in a lane, while another has the thread.

    Args:
        lane: Where.
        offload: What.
        timeouts: Who tells when it has waited too long.
    """

    def __init__(self, lane: Lane, offload: Offload, timeouts: QueueTimeouts) -> None:
        self._lane, self._offload, self._timeouts = lane, offload, timeouts
        self._job: Job
        # One token, and list.pop is atomic: the thread begins it, or it is refused.
        self._undecided = [True]
        timeouts.add(self)
        # It is begun in the waiting thread, which cannot say so here.
        offload.future.add_done_callback(lambda _: timeouts.discard(self))

    def wait(self, job: Job) -> None:
        """Have the thread begin ``job`` when it comes to it; loop thread."""
        self._job = job
        self._lane.give(self._begin)

    def give_up(self) -> None:
        """Do something about it: it has waited too long; loop thread."""
        if not self._undecided:
            return
        if self._lane.end_inner_wait(self._offload.endpoint.name):
            self._timeouts.add(self)
        elif self._decide():  # pragma: no branch - unless it is begun just now
            self._lane.is_stuck = True
            what = f"it had no turn within {self._timeouts.seconds:g} s: {_ENTANGLED}"
            self._offload.refuse("queue_timeout", what)

    def _begin(self) -> None:
        if self._decide():
            self._job()

    def _decide(self) -> bool:
        try:
            return self._undecided.pop()
        except IndexError:
            return False


_lane: contextvars.ContextVar[Optional[Lane]] = contextvars.ContextVar(
    "tornado_unblock lane", default=None
)

HIDDEN: frozenset[contextvars.ContextVar[object]] = frozenset((_lane, helper))  # type: ignore[arg-type]
"""Variables that say who waits for a context: they do not leave it."""


def current_lane() -> Optional[Lane]:
    """Return the lane that waits for what runs in this context; loop thread."""
    lane = _lane.get()
    if lane is None or not lane.is_open:
        return None
    return lane if asyncio.get_running_loop() is lane.portal.loop else None
