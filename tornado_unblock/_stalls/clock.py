"""How a loop measures itself.

asyncio's own loops ask their selector for events once a turn: a wrapped ``select``
knows when a turn begins and ends, exactly, and wakes nobody. Other loops (uvloop) have
no selector: there a timer beats, and is late when the loop is.

# Threads: a loop's own thread writes, others read; one attribute at a time, so no lock.
# Guarantees:
# - a turn that ends above the threshold is always told of;
# - a loop that stands because nobody runs it is not stalled.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import math
import select
import selectors
import threading
import time
from typing import Any, Callable, NamedTuple, Optional

from tornado_unblock._loop.lease import running_loop
from tornado_unblock._stalls.evidence import Reading, ThreadCounts
from tornado_unblock._stalls.owner import Owner, latest

now = time.perf_counter

# How many long garbage collections are remembered: those of one turn.
_COLLECTIONS = 16
# So long a collection is worth remembering, in seconds.
_LONG_COLLECTION = 0.01


class LongTurn(NamedTuple):
    """A turn of the loop that took as long as the threshold, or longer."""

    began: float
    ended: float
    # Seconds of it in the garbage collector.
    collecting: float
    # The request whose handler was made in it last.
    owner: Optional[Owner]
    # What the loop's thread last read of itself before it.
    before: Optional[Reading] = None


class LoopClock:
    """What one loop measures of itself.

    Args:
        loop: Whose.
        threshold: Seconds from which on a turn is told of.
        wake: Called on the loop's thread after such a turn.
        beat: Seconds between two heartbeats, for loops that need them.
    """

    __slots__ = (
        # Constant.
        *("_beat", "_limit", "_remove", "_wake", "loop", "measured_by", "since"),
        # Written on the loop's thread.
        *("bound", "busy", "collecting_since", "collections", "ended", "longest"),
        *("baseline", "previous", "run", "squares", "started", "turns", "_beating"),
        # Written by the watcher.
        *("counts", "lateness", "name", "paused", "_removed"),
        # Set by the watcher, and taken back on the loop's thread.
        "_is_baseline_wanted",
        # As given; below zero to have the next turn told of, whatever it takes.
        "threshold",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        threshold: float,
        wake: Callable[[], object],
        beat: float,
    ) -> None:
        self.loop = loop
        self._limit = self.threshold = threshold
        self.bound = 0.0
        self.since = now()
        self._wake = wake
        self._beat = beat
        # When the turn began that is under way; 0 while the loop waits for events.
        self.started = 0.0
        # When the one before it began.
        self.previous = 0.0
        # The thread that runs the loop. Another object each time it is run.
        self.run: Optional[int] = None
        self.turns = 0
        self.busy = self.squares = self.longest = 0.0
        # What the system has counted of that thread, read at the end of some turn.
        self.baseline: Optional[Reading] = None
        self.counts: Optional[ThreadCounts] = None
        # How long the watcher has stood, and was kept from the interpreter.
        self.lateness = (0.0, 0.0)
        self._is_baseline_wanted = False
        self.ended: collections.deque[LongTurn] = collections.deque()
        self.collections: collections.deque[tuple[float, float]] = collections.deque(
            maxlen=_COLLECTIONS
        )
        self.collecting_since = 0.0
        self._beating: Any = None
        self.paused = self._removed = False
        self.name = ""
        self._remove: Optional[Callable[[], None]] = None
        self.measured_by = ""
        self._install()

    @property
    def thread(self) -> Optional[int]:
        """The number of the thread that runs the loop, or None."""
        return self.run if self.loop.is_running() else None

    def stalled_since(self) -> float:
        """Return when the turn began that is under way, or 0; any thread."""
        started = self.started
        if not started:
            return 0.0
        if not self.loop.is_running():
            self.paused = True
            return 0.0
        if self.measured_by == "heartbeat":
            # It is when the next beat is due. When in the beat before the loop came to
            # stand cannot be told: half of it is fair.
            return started - self._beat / 2 if started < now() else 0.0
        return started

    def end_turn(self) -> None:
        """Have the turn that is under way end here; the loop's thread."""
        began, self.started = self.stalled_since(), 0.0
        if began and now() - began >= self.threshold:
            self._tell(began, now())

    def end_run(self) -> None:
        """Have the turn end here in which the loop was stopped; its thread."""
        began, self.started = self.started, 0.0
        if began and self.measured_by == "selector" and not self._removed:
            self._end(began, now())

    def ask_for_baseline(self) -> None:
        """Have the loop's thread read its counts when its turn ends; the watcher.

        To read them gives up the interpreter. That is dear for a thread that has to
        fight for it, as the watcher has while the loop is busy, and cheap for the loop.
        """
        self._is_baseline_wanted = True
        self.bound = -1.0

    def read_on(self, counts: Optional[ThreadCounts]) -> None:
        """Use these counts of the thread that runs the loop; the watcher."""
        self.baseline = None
        self.counts = counts

    def counts_of(self, thread: Optional[int]) -> Optional[ThreadCounts]:
        """Return its counts, if they are those of ``thread``; any thread."""
        counts = self.counts
        return counts if counts is not None and counts.thread == thread else None

    def _read_baseline(self) -> None:
        self._is_baseline_wanted = False
        counts = self.counts_of(self.run)
        self.baseline = None if counts is None else counts.read(*self.lateness)

    def after_fork(self) -> None:
        """Begin anew in a forked child: the end of its first turn wakes the watcher."""
        self.read_on(None)
        self.started = self.collecting_since = 0.0
        self.turns = 0
        self.busy = self.squares = self.longest = 0.0
        self.since = now()
        self.ended.clear()
        self.threshold = self.bound = -1.0

    def remove(self) -> None:
        """Leave the loop as it was; any thread."""
        if self._remove is not None:
            self._remove()
            self._remove = None
        self.started = 0.0

    # -- a selector ------------------------------------------------------------

    def _install(self) -> None:
        selector = getattr(self.loop, "_selector", None)
        if hasattr(selector, "select") and hasattr(self.loop, "_thread_id"):
            try:
                self._wrap(selector)
            except AttributeError:  # it takes no attributes
                pass
            else:
                if running_loop() is self.loop:
                    self._begin()
                elif self.loop.is_running():
                    # It may wait in the selector's own `select`, once more.
                    self.loop.call_soon_threadsafe(self._begin)
                return
        self.measured_by = "heartbeat"
        self.loop.call_soon_threadsafe(self._first_beat)

    def _wrap(self, selector: Any) -> None:
        own, clock, loop, time_now = selector.select, self, self.loop, now
        poll, keys = _poll_of(selector)
        before = vars(selector).get("select")

        def look(timeout: Optional[float] = None) -> Any:
            # It happens in every turn: as few steps as can be.
            ended = time_now()
            turn = ended - clock.started
            if turn < clock.bound and clock.run is loop._thread_id:  # type: ignore[attr-defined]
                clock.turns += 1
                clock.busy += turn
                clock.squares += turn * turn
                clock.previous = clock.started
            else:
                clock._end_unusual(ended)
            if timeout == 0:
                # It does not wait: the next turn begins where this one ends.
                clock.started = ended
                if poll is None:
                    return own(timeout)
                events = poll(0, len(keys) or 1)
                return _ready(events, keys) if events else events
            clock.started = 0.0
            try:
                return own(timeout)
            finally:
                clock.run = loop._thread_id  # type: ignore[attr-defined]
                clock.started = time_now()

        def remove() -> None:
            clock._removed = True
            clock.bound = -math.inf
            # Unless another one has wrapped it since: then it just passes on.
            if vars(selector).get("select") is look:
                del selector.select
                if before is not None:
                    selector.select = before

        selector.select, self._remove, self.measured_by = look, remove, "selector"

    def _end_unusual(self, ended: float) -> None:
        """End a turn that is longer than all before it, or is to be noted.

        Or there was none.
        """
        # Nobody is to see what is done here.
        began, self.started = self.started, 0.0
        run = self.loop._thread_id  # type: ignore[attr-defined]
        if not began or self.run is not run or self._removed:
            self.run = run
            return
        self._end(began, ended)
        if self._is_baseline_wanted:
            self._read_baseline()
        self.bound = min(self.longest, self.threshold)
        self.previous = began

    def _end(self, began: float, ended: float) -> None:
        turn = ended - began
        self.turns += 1
        self.busy += turn
        self.squares += turn * turn
        self.longest = max(self.longest, turn)
        if turn >= self.threshold:
            self._tell(began, ended)

    def _begin(self) -> None:
        """Measure the turn that is under way."""
        if not self.started and self._remove is not None:
            self.run = self.loop._thread_id  # type: ignore[attr-defined]
            self.started = now()

    def _tell(self, began: float, ended: float) -> None:
        if self.threshold < 0:
            self.threshold = self._limit
            self._wake()
            return
        turn = ended - began
        self.longest = max(self.longest, turn)
        collecting = sum(
            max(0.0, min(ended, end) - max(began, start))
            for start, end in self.collections
        )
        # A handler is made in one turn, and begins to run in the next.
        since = time.time() - (now() - (self.previous or began))
        owner = self._latest_owner(since)
        before = self.baseline if self.counts_of(self.run) is not None else None
        self.ended.append(LongTurn(began, ended, collecting, owner, before))
        self._wake()

    def _latest_owner(self, since: float) -> Optional[Owner]:
        """Return the request that came last, if it came here, and later than that."""
        mark = latest.mark
        if mark is None or mark[-1] < since:
            return None
        # Of several loops that run, it may be another one's.
        running = [clock for clock in clocks if clock.loop.is_running()]
        return Owner(mark) if len(running) < 2 else None

    # -- a heartbeat -----------------------------------------------------------

    def _first_beat(self) -> None:
        self._remove = self._stop_beating
        self._schedule()

    def _schedule(self) -> None:
        self.run = threading.get_ident()
        self.paused = False
        self.started = now() + self._beat
        self._beating = self.loop.call_later(self._beat, self._on_beat)

    def _on_beat(self) -> None:
        due, at = self.started, now()
        if due and not self.paused:
            began = due - self._beat / 2
            self.turns += 1
            self.squares += (at - due) ** 2
            self.longest = max(self.longest, at - due)
            if at - began >= self.threshold:
                self._tell(began, at)
        if self._is_baseline_wanted:
            self._read_baseline()
        self._schedule()

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()

    # -- the garbage collector -------------------------------------------------

    def collection(self, phase: str) -> None:
        """Note that a collection begins or ends on the loop's thread."""
        if phase == "start":
            self.collecting_since = now()
            return
        began, self.collecting_since = self.collecting_since, 0.0
        if began and now() - began >= _LONG_COLLECTION:
            self.collections.append((began, now()))


def _poll_of(selector: Any) -> tuple[Any, Any]:
    """Return what a selector of the standard library asks the system with, or None.

    asyncio looks without waiting in most turns. To ask the system at once, as the
    selector's own method would, saves more than it costs to read the clock.
    """
    plain = getattr(selectors, "EpollSelector", None)
    if type(selector) is not plain or "select" in vars(selector):
        return None, None
    if plain.select.__module__ != selectors.__name__:
        return None, None
    poll = getattr(getattr(selector, "_selector", None), "poll", None)
    keys = getattr(selector, "_fd_to_key", None)
    return (poll, keys) if type(keys) is dict and poll is not None else (None, None)


def _ready(
    events: list[tuple[int, int]], keys: dict[int, selectors.SelectorKey]
) -> list[tuple[selectors.SelectorKey, int]]:
    """Return what the system has told of, in a selector's own words."""
    ready = []
    for number, told in events:
        key = keys.get(number)
        if key is not None:
            # An error or the end is for whoever waits, to read or to write.
            mask = selectors.EVENT_READ if told & ~select.EPOLLOUT else 0
            mask |= selectors.EVENT_WRITE if told & ~select.EPOLLIN else 0
            ready.append((key, mask & key.events))
    return ready


clocks: list[LoopClock] = []
"""The clocks of the loops that are watched. Appended to and removed from as a whole."""


def _on_collection(phase: str, info: dict[str, Any]) -> None:
    if not info["generation"]:
        return  # the youngest objects only: short, and often
    thread = threading.get_ident()
    for clock in list(clocks):
        if clock.run == thread:
            clock.collection(phase)


def watch_collector() -> None:
    """Be told of garbage collections."""
    if _on_collection not in gc.callbacks:
        gc.callbacks.append(_on_collection)


def leave_collector() -> None:
    """Undo `watch_collector`."""
    if _on_collection in gc.callbacks:
        gc.callbacks.remove(_on_collection)
