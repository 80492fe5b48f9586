"""The watcher: one thread that looks at every loop, and tells of those that stand.

# Threads: `look` runs on the watcher's thread; loops come and go on any, under `_lock`.
# Guarantees:
# - while no loop stands, a look reads a few numbers of each, and no stack; of a loop
#   that is busy none that would give up the interpreter;
# - what fails in here is logged once, and ends neither the program nor the watch;
# - it waits for no lock that a loop thread holds while it runs the program's code;
# - in a forked child the thread starts again when the child's loop first turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.frames import sees_frames
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._stalls import counts, evidence, frames, hooks
from tornado_unblock._stalls.clock import LongTurn, LoopClock, clocks, now
from tornado_unblock._stalls.counts import StallCounts
from tornado_unblock._stalls.evidence import OwnCounts, Reading, ThreadCounts
from tornado_unblock._stalls.frames import Sample
from tornado_unblock._stalls.held import Dumps, HeldDump, Steps
from tornado_unblock._stalls.records import LoopStatistics, Stall
from tornado_unblock._stalls.reports import Reporter, Story, logger

Samples = dict[int, tuple[float, float, Sample, bool]]
"""By the loop's `id`: when the turn began, when it was looked at, what was seen, and
whether that was in the garbage collector."""

_Result = TypeVar("_Result")

# Seconds between two looks, at most.
_LOOK = 0.025
# That many in the shortest stall that is told of.
_LOOKS_IN_STALL = 4
# Seconds between two times that the stalls are written to a file.
_WRITE_EVERY = 10.0
_STOP_PATIENCE = 5.0


class Settings(NamedTuple):
    """What was asked of `watch`."""

    threshold: float
    log_every: float
    faulthandler: bool
    write: Optional[str]

    @property
    def look(self) -> float:
        """Seconds between two looks while a turn takes long."""
        return min(_LOOK, self.threshold / _LOOKS_IN_STALL)

    @property
    def rest(self) -> float:
        """Seconds between two looks else: most of what a watch costs is waking up.

        A turn that is younger than half a look is left alone for so long; it is looked
        at again before it is a stall.
        """
        return 3 * self.look


def check_seconds(where: str, name: str, value: Any, *, zero: bool = False) -> float:
    """Return ``value`` as a number of seconds.

    Args:
        where: Who asks.
        name: What for.
        value: What was given.
        zero: Whether it may be 0.

    Raises:
        ConfigurationError: It is none, or too small.
    """
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value < 0 or not (value or zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigurationError(
            f"{where}: {name} is a number of seconds, {least}, not {value!r}"
        )
    return float(value)


def settings_of(
    threshold: float,
    log_every: float,
    faulthandler: bool,
    write: Union[str, os.PathLike[str], None],
) -> Settings:
    """Return what was asked of `watch`.

    Raises:
        ConfigurationError: A value makes no sense.
    """
    return Settings(
        check_seconds("watch()", "threshold", threshold),
        check_seconds("watch()", "log_every", log_every, zero=True),
        bool(faulthandler),
        None if write is None else _check_file(write),
    )


def _check_file(write: Any) -> str:
    try:
        path = os.fsdecode(write)
    except TypeError:
        path = ""
    if not path or "\0" in path or os.path.isdir(path):
        raise ConfigurationError(
            f"watch(): write is the path of a file, or None, not {write!r}"
        )
    return os.path.abspath(path)


class _Watched:
    """One loop, as the watcher sees it. The watcher's thread only, but `_totals`."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.before: Optional[Reading] = None
        # How many turns there had been then.
        self.turns = -1
        self.story: Optional[Story] = None
        self.stall: Optional[Stall] = None
        self.stalled = self.starved = 0.0
        self.stalls = 0

    def read(self, stood: float, kept: float = 0.0) -> Optional[Reading]:
        """Read what the system has counted of its thread."""
        thread = self.clock.thread
        # If nobody runs the loop now, its last thread may be there.
        if thread is not None and self.clock.counts_of(thread) is None:
            found = next((t for t in threading.enumerate() if t.ident == thread), None)
            self.clock.name = found.name if found is not None else "?"
            native = found.native_id if found is not None else None
            self.clock.read_on(ThreadCounts(thread, native))
            self.before = None
        counts = self.clock.counts
        return None if counts is None else counts.read(stood, kept)

    def note_rest(self, own: OwnCounts) -> bool:
        """Note that nothing is the matter; False if counts have to be read for that."""
        clock = self.clock
        if clock.counts_of(clock.thread) is None:
            return False
        if clock.started:
            clock.ask_for_baseline()
            return True
        if self.before is None or self.turns != clock.turns:
            return False
        # It has not turned since: its thread has done nothing.
        at, process = now(), evidence.process_time()
        self.before = self.before._replace(
            at=at, process=process, stood=own.stood, kept=own.kept
        )
        return True

    def latest_before(
        self, other: Optional[Reading], until: float
    ) -> Optional[Reading]:
        """Return the later one of what was read before a turn; not after ``until``."""
        known = [one for one in (self.before, other) if one is not None]
        known = [one for one in known if one.at <= until] or known[:1]
        return max(known, key=lambda one: one.at, default=None)

    def waits_for_processor(self) -> bool:
        """Whether its thread may be in the line for a processor this moment."""
        counts = self.clock.counts
        return counts is not None and counts.waits_for_processor()

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        self.before = self.story = self.stall = None
        self.turns = -1
        self.stalled = self.starved = 0.0
        self.stalls = 0
        self.clock.after_fork()


class Watcher:
    """Watches loops.

    Args:
        settings: What was asked for.
        counts: Where stalls are counted.
        tell: Called with each stall that is over, and with each first warning, on the
            watcher's thread, besides the log.
        log: Whether to log at all.
    """

    def __init__(
        self,
        settings: Settings,
        counts: StallCounts,
        tell: Optional[Callable[[Stall], object]] = None,
        *,
        log: bool = True,
    ) -> None:
        self.settings = settings
        self._counts = counts
        # A forked child writes to a file of its own.
        self._pid = os.getpid()
        self._tell = tell
        self._log = log
        self._reporter = Reporter(settings.log_every)
        self._held: Optional[HeldDump] = None
        self._failed = False
        # Whether there is something to write, and when there may be.
        self._unwritten = False
        self._next_write = 0.0
        self._start_empty()

    def _start_empty(self) -> None:
        # A process that attaches interrupts whatever the main thread is doing.
        self._lock = threading.RLock()
        # Guarded by _lock.
        self._watched: dict[int, _Watched] = {}
        self._thread: Optional[threading.Thread] = None
        # Held, and released to wake the thread.
        self._wake = _held_lock()
        self._stopping = False

    def start(self) -> None:
        """Watch every loop that there is, or will be; any thread."""
        hooks.join(self)

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch ``loop`` too, unless it is watched already; any thread."""
        with self._lock:
            known = self._watched.get(id(loop))
            if self._stopping or (known is not None and known.clock.loop is loop):
                return
            # First: to wait for a thread to start is no stall of the program's.
            self._start()
            clock = LoopClock(
                loop, self.settings.threshold, self._wake_up, self.settings.look
            )
            one = self._watched[id(loop)] = _Watched(clock)
            one.before = one.read(0.0)
            clocks.append(clock)

    def after_fork(self) -> None:
        """Begin anew in a forked child: the thread starts when a loop has turned."""
        self._lock = threading.RLock()
        self._wake = _held_lock()
        self._thread = None
        for one in self._watched.values():
            one.after_fork()

    def _start(self) -> None:
        """Start the thread, if it does not run; holds `_lock`."""
        if self._thread is None and not self._stopping:
            self._thread = start_thread(self._run, "unblock-watch")

    def _wake_up(self) -> None:
        if self._thread is None:  # in a forked child
            with self._lock:
                self._start()
        try:
            self._wake.release()
        except RuntimeError:  # woken already
            pass

    def stop(self) -> None:
        """Leave every loop as it was, and wait for the thread; any thread but that."""
        hooks.leave(self)
        with self._lock:
            for one in self._watched.values():
                if running_loop() is one.clock.loop:
                    one.clock.end_turn()
            self._stopping = True
            thread = self._thread
        self._wake_up()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_PATIENCE)
        with self._lock:
            watched = list(self._watched.values())
            self._watched.clear()
        for one in watched:
            clocks.remove(one.clock)
            one.clock.remove()

    def statistics(self) -> tuple[LoopStatistics, ...]:
        """Return what is known of each loop; any thread."""
        with self._lock:
            watched = list(self._watched.values())
        return tuple(_statistics(one) for one in watched)

    # -- the watcher's thread --------------------------------------------------

    def _run(self) -> None:
        own = OwnCounts()
        pause = self.settings.rest
        if self.settings.faulthandler and sees_frames():
            self._held = self._safely(HeldDump, self.settings.threshold)
        going = True
        while going:
            going = not self._stopping
            own.begin()
            self._wake.acquire(timeout=pause)
            # At once: C code that held the interpreter may be about to go on, and
            # whatever lets go of the interpreter lets it.
            samples = self._samples()
            own.end(pause)
            self._look_at_all(samples, own)
            pause = self._pause()
            if self._unwritten and (now() >= self._next_write or not going):
                self._safely(self._write)
        if self._held is not None:
            self._held.close()
            self._held = None

    def _write(self) -> None:
        self._unwritten = False
        self._next_write = now() + _WRITE_EVERY
        path = str(self.settings.write)
        if os.getpid() != self._pid:
            path = f"{path}.{os.getpid()}"
        try:
            counts.write(self._counts.get(), path)
        except OSError as error:
            logger.error("The stalls could not be written to %s: %s", path, error)

    def _samples(self) -> Samples:
        samples: Samples = {}
        for key, one in list(self._watched.items()):
            clock = one.clock
            began = clock.stalled_since()
            if began and now() - began >= self.settings.look:
                # Now: when it is looked at closer, the collector may be done.
                collecting = bool(clock.collecting_since)
                sample = self._safely(_sample, clock, began)
                if sample is not None:
                    samples[key] = (began, now(), sample, collecting)
        return samples

    def _pause(self) -> float:
        """Return how long to sleep, in seconds."""
        look = self.settings.look
        turns = [one.clock.stalled_since() for one in list(self._watched.values())]
        since = now() - look / 2
        return look if any(0 < began < since for began in turns) else self.settings.rest

    def _look_at_all(self, samples: Samples, own: OwnCounts) -> None:
        with self._lock:
            watched = list(self._watched.values())
        held = self._held
        dumps = (self._safely(held.rearm) if held is not None else None) or {}
        for one in watched:
            self._safely(self._look, one, own, samples, dumps)
            if one.clock.loop.is_closed() and not one.clock.ended:
                self._forget(one)

    def _safely(self, fn: Callable[..., _Result], *args: Any) -> Optional[_Result]:
        """Call ``fn``; what it raises is logged, once: a log handler may raise all."""
        try:
            return fn(*args)
        except BaseException:
            if not self._failed:
                self._failed = True
                # What is logged to may be what has failed.
                with contextlib.suppress(BaseException):
                    logger.error(
                        "Watching for stalls failed; it goes on", exc_info=True
                    )
            return None

    def _forget(self, one: _Watched) -> None:
        with self._lock:
            if self._watched.pop(id(one.clock.loop), None) is None:
                return
            clocks.remove(one.clock)
        one.clock.remove()

    def _look(
        self, one: _Watched, own: OwnCounts, samples: Samples, dumps: Dumps
    ) -> None:
        clock = one.clock
        clock.lateness = (own.stood, own.kept)
        seen = samples.get(id(clock.loop))
        at_rest = seen is None and one.story is None and not clock.ended
        if at_rest and one.note_rest(own):
            return
        turns = clock.turns
        reading = one.read(own.stood, own.kept)
        if one.before is None:
            one.before = reading
        held = dumps.get(clock.run or 0)
        if seen is not None and (one.story is None or one.story.began != seen[0]):
            # What it was in before has ended.
            self._finish_ended(one, reading, held, before=seen[0])
            one.story = Story(seen[0])
        if seen is not None and one.story is not None:
            one.story.add_all(seen[2], seen[1], held, seen[3])
        self._finish_ended(one, reading, held)
        began = clock.stalled_since()
        story = one.story
        if story is not None and story.began != began:
            if not any(turn.began == story.began for turn in clock.ended):
                one.story = one.stall = None  # it was shorter than the threshold
        elif story is not None and reading is not None:
            self._go_on(one, story, reading)
        if reading is not None and one.story is None and not clock.ended:
            one.before, one.turns = reading, turns

    def _finish_ended(
        self,
        one: _Watched,
        reading: Optional[Reading],
        held: Optional[Steps],
        before: float = math.inf,
    ) -> None:
        """Report the turns that have ended, and began ``before`` some time."""
        ended = one.clock.ended
        # Those that have ended since the counts were read are for the next look.
        until = reading.at if reading is not None else math.inf
        while ended and ended[0].began < before and ended[0].ended <= until:
            self._finish(one, ended.popleft(), reading, held)

    def _go_on(self, one: _Watched, story: Story, reading: Reading) -> None:
        """Warn of a stall that goes on, once it is one."""
        seconds = reading.at - story.began
        if seconds < self.settings.threshold:
            return
        before = one.latest_before(one.clock.baseline, reading.at) or reading
        verdict = self._judge(story.began, reading.at, before, reading)
        if verdict.active < self.settings.threshold:
            return
        computed = reading.computed - before.computed
        if computed < self.settings.threshold and one.waits_for_processor():
            return  # what it has waited for that is not counted yet
        stall = story.tell(
            seconds,
            over=False,
            computing=verdict.computing,
            collecting=0.0,
            owner=None,
            loop=one.clock.name,
        )
        one.stall = stall
        first, story.is_stall = not story.is_stall, True
        # The handler that is logged to may be what stalls the loop.
        if not first or stall.cause == "logging":
            return
        if self._tell is not None:
            self._tell(stall)
        if self._log:
            story.announced = self._reporter.during(stall)

    def _finish(
        self,
        one: _Watched,
        turn: LongTurn,
        reading: Optional[Reading],
        held: Optional[Steps],
    ) -> None:
        seconds = turn.ended - turn.began
        story, one.story, one.stall = one.story, None, None
        if story is None or story.began != turn.began:
            story = Story(turn.began)
        if held is not None and not story.seen:
            story.add(frames.from_dump(held, turn.owner), turn.ended, False)
        verdict = evidence.Verdict(seconds, 0.0, False)
        before = one.latest_before(turn.before, turn.ended)
        if before is not None and reading is not None:
            verdict = self._judge(turn.began, turn.ended, before, reading)
        if verdict.active < self.settings.threshold and not story.is_stall:
            one.starved += seconds
            return
        stall = story.tell(
            seconds,
            over=True,
            computing=verdict.computing,
            collecting=turn.collecting,
            owner=turn.owner,
            loop=one.clock.name,
        )
        one.stalled += seconds
        one.stalls += 1
        self._counts.add(stall)
        self._unwritten = self.settings.write is not None
        if self._tell is not None:
            self._tell(stall)
        if self._log:
            self._reporter.after(stall, story.announced)

    def _judge(
        self, began: float, ended: float, before: Reading, after: Reading
    ) -> evidence.Verdict:
        """Judge as much of a turn as there are counts for.

        What came before the first of them is taken for the program's doing, if it is no
        longer than two looks: else the watcher was late.
        """
        unseen = min(max(0.0, before.at - began), 2 * self.settings.look)
        seen = max(0.0, ended - max(began, before.at))
        verdict = evidence.judge(seen, before, after)
        return verdict._replace(active=verdict.active + unseen)


def _held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _sample(clock: LoopClock, began: float) -> Optional[Sample]:
    thread = clock.thread
    if thread is None:
        return None
    return frames.take(thread, clock.loop, lambda: clock.stalled_since() == began)


def _statistics(one: _Watched) -> LoopStatistics:
    clock = one.clock
    watched = now() - clock.since
    # Whatever happens in a turn waits for half of it, on average.
    lag = clock.squares / (2 * watched) if watched else 0.0
    return LoopStatistics(
        name=clock.name,
        measured_by=clock.measured_by,
        watched=watched,
        busy=clock.busy if clock.measured_by == "selector" else None,
        turns=clock.turns,
        lag=lag,
        longest=clock.longest,
        stalled=one.stalled,
        stalls=one.stalls,
        starved=one.starved,
        stall=one.stall,
    )
