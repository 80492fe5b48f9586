"""The watcher's thread: what it makes of what it sees, and what may go wrong in it."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import WAIT
from tests.unit.stalls.samples import OWN, sample, step
from tornado_unblock import ConfigurationError, Stall
from tornado_unblock._stalls import watcher as module
from tornado_unblock._stalls.clock import LongTurn, LoopClock, now
from tornado_unblock._stalls.counts import StallCounts
from tornado_unblock._stalls.evidence import Reading
from tornado_unblock._stalls.frames import Sample
from tornado_unblock._stalls.reports import Story
from tornado_unblock._stalls.watcher import (
    Settings,
    Watcher,
    check_seconds,
    settings_of,
)

SETTINGS = Settings(0.05, 0.0, False, None)


def test_looks() -> None:
    """A short stall is looked at several times, a long one no oftener than needed."""
    assert Settings(0.04, 0.0, False, None).look == pytest.approx(0.01)
    assert Settings(9.0, 0.0, False, None).look == pytest.approx(0.025)
    assert Settings(0.04, 0.0, False, None).rest == pytest.approx(0.03)


def test_seconds() -> None:
    """Numbers pass; zero only where it has a meaning."""
    assert check_seconds("watch()", "threshold", 1) == 1.0
    assert check_seconds("watch()", "log_every", 0, zero=True) == 0.0
    with pytest.raises(ConfigurationError, match="more than 0, not 0"):
        check_seconds("watch()", "threshold", 0)


@pytest.mark.parametrize("write", ["", 7, ".", "a\0b", b""])
def test_files_that_are_none(write: Any) -> None:
    """They are refused when the watch begins, not when it first writes."""
    with pytest.raises(ConfigurationError, match="write is the path of a file"):
        settings_of(0.1, 0.0, False, write)


@pytest.mark.parametrize("write", ["stalls.json", Path("stalls.json"), b"stalls.json"])
def test_files(write: Any) -> None:
    """A path of any kind is kept as it is found wherever the process goes."""
    assert settings_of(0.1, 0.0, False, write).write == os.path.abspath("stalls.json")


class Still(Watcher):
    """A watcher without a thread: the test looks in its place."""

    def _start(self) -> None:
        """Start nothing."""

    def one(self) -> Any:
        (found,) = self._watched.values()
        return found


class Told:
    """A watcher of one loop that is not run; and what it told."""

    def __init__(self, settings: Settings) -> None:
        self.loop = asyncio.new_event_loop()
        self.stalls: list[Stall] = []
        self.counts = StallCounts()
        self.watcher = Still(settings, self.counts, self.stalls.append, log=False)
        self.watcher.adopt(self.loop)
        self.one = self.watcher.one()

    def close(self) -> None:
        self.watcher.stop()
        self.loop.close()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told(SETTINGS)
    yield made
    made.close()


# The watcher was never late.
PUNCTUAL: Any = types.SimpleNamespace(stood=0.0, kept=0.0)
LATE: Any = types.SimpleNamespace(stood=1.0, kept=2.0)
IDLE = Reading(0.0, 0.0, 0.0, 0, 0.0, 0.0)


def test_a_turn_that_was_starved(told: Told) -> None:
    """A turn in which the thread only stood in line is no stall, and is added up."""
    told.one.before = IDLE
    told.one.clock.ended.append(LongTurn(0.0, 1.0, 0.0, None))
    reading = IDLE._replace(at=1.0, queued=1.0)
    told.watcher._finish_ended(told.one, reading, None)
    (loop,) = told.watcher.statistics()
    assert (loop.starved, loop.stalls, loop.stalled) == (1.0, 0, 0.0)
    assert told.stalls == []


def test_a_turn_that_had_begun_when_it_was_looked_at(told: Told) -> None:
    """What it did until then is counted too, so that none is missed by that much."""
    told.one.before = IDLE._replace(at=0.01)
    told.one.clock.ended.append(LongTurn(0.0, 0.055, 0.0, None))
    told.watcher._finish_ended(told.one, IDLE._replace(at=0.06, waits=1), None)
    assert [stall.seconds for stall in told.stalls] == [0.055]


def test_a_turn_that_was_looked_at_late(told: Told) -> None:
    """What a late watcher has not seen is not held against it."""
    told.one.before = IDLE._replace(at=1.0)
    told.one.clock.ended.append(LongTurn(0.0, 1.02, 0.0, None))
    told.watcher._finish_ended(told.one, IDLE._replace(at=1.04, waits=1), None)
    assert told.stalls == []


def test_a_turn_without_counts(told: Told) -> None:
    """Where nothing is known of the thread, a long turn is a stall."""
    told.one.before = None
    told.one.clock.ended.append(LongTurn(0.0, 1.0, 0.0, None))
    told.watcher._finish_ended(told.one, None, None)
    assert [stall.seconds for stall in told.stalls] == [1.0]
    assert told.counts.get()[0].count == 1


def test_turns_that_end_after_the_reading(told: Told) -> None:
    """They are left for the next look, which has counts of them."""
    told.one.clock.ended.append(LongTurn(0.0, 2.0, 0.0, None))
    told.watcher._finish_ended(told.one, IDLE._replace(at=1.0), None)
    assert told.stalls == []
    assert len(told.one.clock.ended) == 1


class Noted:
    """Counts of this thread; how often they were read."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.readings = 0

    def read(self, stood: float, kept: float) -> Reading:
        self.readings += 1
        return IDLE._replace(at=now(), stood=stood, kept=kept)


def test_a_loop_at_work(told: Told) -> None:
    """Its own thread reads its counts, when its turn ends: the watcher reads none."""
    counts = told.one.clock.counts = Noted()

    async def main() -> None:
        await asyncio.sleep(0)
        told.watcher._look(told.one, LATE, {}, {})
        assert counts.readings == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert counts.readings == 1

    told.loop.run_until_complete(main())
    baseline = told.one.clock.baseline
    assert (baseline.stood, baseline.kept) == (1.0, 2.0)


def test_what_its_own_thread_has_read(told: Told) -> None:
    """It is what a long turn is judged by, if it is later than what the watcher has."""
    told.one.before = IDLE
    before = IDLE._replace(at=1.0, queued=5.0)
    told.one.clock.ended.append(LongTurn(1.0, 2.0, 0.0, None, before))
    told.watcher._finish_ended(told.one, before._replace(at=2.0, waits=1), None)
    assert [stall.seconds for stall in told.stalls] == [1.0]


def test_a_loop_at_rest(told: Told) -> None:
    """Of one that has not turned since, nothing is read; what was known is for now."""
    counts = told.one.clock.counts = Noted()

    async def main() -> None:
        told.one.clock.started = 0.0  # as if it waited for events
        told.watcher._look(told.one, PUNCTUAL, {}, {})
        first = told.one.before
        assert counts.readings == 1
        told.watcher._look(told.one, LATE, {}, {})
        assert counts.readings == 1
        assert told.one.before.at > first.at
        assert told.one.before.stood == 1.0
        told.one.clock.turns += 1
        told.watcher._look(told.one, PUNCTUAL, {}, {})
        assert counts.readings == 2

    told.loop.run_until_complete(main())


def test_what_was_seen_from_c(told: Told) -> None:
    """A stall that only the timer in C saw is told by what that saw."""
    told.one.clock.ended.append(LongTurn(0.0, 1.0, 0.0, None))
    held = (step(OWN, "load", 7),)
    told.watcher._finish_ended(told.one, None, held)
    (stall,) = told.stalls
    assert stall.place is not None
    assert (stall.place.function, stall.place.line) == ("load", 7)


class Queued:
    """Counts of a thread that may be in the line for a processor."""

    thread = 0

    def waits_for_processor(self) -> bool:
        return True


class Idle(Queued):
    """Counts of a thread that does nothing."""

    def read(self, stood: float, kept: float) -> Reading:
        return IDLE


def test_no_warning_while_it_may_be_in_line(told: Told) -> None:
    """What a thread has waited for a processor is counted only once it has got one."""
    told.one.before, told.one.clock.counts = IDLE, Queued()
    story = Story(0.0)
    story.add(sample(step(OWN)), 1.0, False)
    blocked = IDLE._replace(at=1.0, waits=1)
    told.watcher._go_on(told.one, story, blocked)
    assert told.stalls == []
    told.one.clock.counts = None
    told.watcher._go_on(told.one, story, blocked._replace(at=0.01))  # too short
    told.watcher._go_on(told.one, story, blocked._replace(queued=1.0))  # was in line
    assert told.stalls == []
    told.watcher._go_on(told.one, story, blocked)
    told.watcher._go_on(told.one, story, blocked._replace(at=2.0))
    assert [stall.seconds for stall in told.stalls] == [1.0]
    assert told.one.stall.seconds == 2.0


class Blocked(Idle):
    """Counts of this thread, which waits for something else than a processor."""

    thread = threading.get_ident()

    def waits_for_processor(self) -> bool:
        return False

    def read(self, stood: float, kept: float) -> Reading:
        return IDLE._replace(at=1.1, waits=1)


def test_a_loop_that_stalls_at_once(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its name when it is told of, though it was never seen at rest."""
    names: list[str] = []
    told.watcher._tell = lambda stall: names.append(told.one.clock.name)
    monkeypatch.setattr(LoopClock, "stalled_since", lambda clock: 1.0)
    monkeypatch.setattr(LoopClock, "thread", threading.get_ident())
    monkeypatch.setattr(module, "ThreadCounts", lambda *_: Blocked())
    assert told.one.read(0.0) is not None  # as when a loop is watched that runs
    told.one.before = IDLE
    seen = {id(told.loop): (1.0, 1.05, sample(step(OWN)), False)}
    told.watcher._look(told.one, PUNCTUAL, seen, {})
    assert names == ["MainThread"]


def test_a_stall_that_was_shorter(told: Told) -> None:
    """What was seen of a turn that ended in time is forgotten."""
    story = told.one.story = Story(1.0)
    story.add(sample(step(OWN)), 1.01, False)
    told.watcher._look(told.one, PUNCTUAL, {}, {})
    assert told.one.story is None
    assert told.stalls == []


def test_a_collection_that_is_over_when_it_is_told_of(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen in the garbage collector was in it, whatever comes next."""
    clock = told.one.clock
    clock.started = clock.collecting_since = now() - 100.0

    def take(*_: Any) -> Sample:
        clock.collecting_since = 0.0  # the thread has gone on
        return sample(step(OWN))

    monkeypatch.setattr(module, "_sample", take)
    monkeypatch.setattr(LoopClock, "stalled_since", lambda clock: clock.started)
    samples = told.watcher._samples()
    assert [seen[3] for seen in samples.values()] == [True]
    clock.started = 0.0


def test_a_turn_that_ended_between_looks(told: Told) -> None:
    """A sample of the next turn ends what was seen of the one before."""
    told.one.story = first = Story(1.0)
    first.add(sample(step(OWN, "first")), 1.5, False)
    told.one.clock.ended.append(LongTurn(1.0, 2.0, 0.0, None))
    seen = {id(told.loop): (3.0, 3.5, sample(step(OWN, "second")), False)}
    told.watcher._look(told.one, PUNCTUAL, seen, {})
    assert [stall.endpoint for stall in told.stalls if stall.over] == ["first"]


def test_a_loop_that_nobody_runs(told: Told) -> None:
    """There is no thread to look at."""
    assert module._sample(told.one.clock, 1.0) is None
    assert told.one.read(0.0) is None
    told.one.clock.started = 1.0
    assert told.watcher._samples() == {}


def test_a_thread_that_went_on(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen of a turn that has ended meanwhile is no sample."""
    monkeypatch.setattr(told.one.clock.__class__, "stalled_since", lambda clock: 1.0)
    monkeypatch.setattr(module, "_sample", lambda clock, began: None)
    assert told.watcher._samples() == {}


@pytest.mark.parametrize(("age", "pause"), [(0.0, 30.0), (6.0, 10.0), (20.0, 10.0)])
def test_the_next_look(
    monkeypatch: pytest.MonkeyPatch, age: float, pause: float
) -> None:
    """A turn that may become a stall is looked at again before it is one."""
    made = Told(SETTINGS)
    made.watcher.settings = Slow(100.0, 0.0, False, None)
    assert made.watcher._pause() == 30.0
    monkeypatch.setattr(LoopClock, "stalled_since", lambda clock: now() - age)
    assert made.watcher._pause() == pause
    made.close()


class Slow(Settings):
    """Looks that are far apart, so that a slow machine sees the same."""

    look = 10.0  # type: ignore[assignment]


def test_a_turn_that_ended_after_the_reading(told: Told) -> None:
    """What was seen of it is kept for the next look, which will report it."""
    told.one.story = story = Story(1.0)
    story.add(sample(step(OWN)), 1.5, False)
    told.one.clock.ended.append(LongTurn(1.0, float("inf"), 0.0, None))
    told.one.clock.counts = Idle()
    told.one.before = IDLE
    told.one.clock.run = None
    told.watcher._look(told.one, PUNCTUAL, {}, {})
    assert told.one.story is story
    told.one.clock.ended.clear()


def test_after_a_fork(told: Told) -> None:
    """A child begins anew, and starts a thread when its loop turns."""
    told.one.story, told.one.stalls, told.one.starved = Story(0.0), 3, 1.0
    lock = told.watcher._lock
    told.watcher.after_fork()
    assert told.watcher._lock is not lock
    (loop,) = told.watcher.statistics()
    assert (loop.stalls, loop.starved, loop.stall) == (0, 0.0, None)
    assert told.one.story is None


def test_loops_that_are_closed(told: Told) -> None:
    """They are forgotten, once."""
    told.loop.close()
    told.watcher._look_at_all({}, PUNCTUAL)
    assert told.watcher.statistics() == ()
    told.watcher._forget(told.one)


def test_a_loop_that_is_closed_after_a_stall(told: Told) -> None:
    """It is forgotten when its last stall was told."""
    told.one.clock.ended.append(LongTurn(1.0, 2.0, 0.0, None))
    told.loop.close()
    for at, left in ((1.5, 1), (2.5, 0)):  # counts older than its end, and then not
        told.one.read = lambda *_: IDLE._replace(at=at)  # noqa: B023 - called at once
        told.watcher._look_at_all({}, PUNCTUAL)
        assert len(told.watcher.statistics()) == left
    assert [stall.seconds for stall in told.stalls] == [1.0]


def test_no_loops_after_the_end(told: Told) -> None:
    """A watcher that has ended takes no more."""
    told.watcher.adopt(told.loop)  # known already
    assert told.watcher.one() is told.one
    told.watcher.stop()
    told.watcher.adopt(told.loop)
    assert told.watcher.statistics() == ()


def test_what_fails_in_it(
    told: Told, monkeypatch: pytest.MonkeyPatch, expect_log: Any
) -> None:
    """An error of its own is logged once, and ends nothing."""
    expect_log("tornado_unblock.stalls", "Watching for stalls failed; it goes on")

    def fail(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(told.watcher, "_look", fail)
    told.watcher._look_at_all({}, PUNCTUAL)
    told.watcher._look_at_all({}, PUNCTUAL)
    monkeypatch.undo()
    told.watcher._look_at_all({}, PUNCTUAL)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_logs_that_fail(
    told: Told, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """An error of what is logged to does not end the watch either."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(module.logger, "error", fail)
    assert told.watcher._safely(fail) is None
    assert told.watcher._safely(len, "abc") == 3


def test_what_cannot_be_looked_at(
    told: Told, monkeypatch: pytest.MonkeyPatch, expect_log: Any
) -> None:
    """A thread whose frames cannot be read is no end of the watch."""
    expect_log("tornado_unblock.stalls", "Watching for stalls failed; it goes on")

    def fail(*args: Any) -> None:
        raise RuntimeError("odd objects")

    monkeypatch.setattr(module, "_sample", fail)
    monkeypatch.setattr(told.one.clock.__class__, "stalled_since", lambda clock: 1.0)
    assert told.watcher._samples() == {}


def test_a_forked_child_writes_its_own_file(tmp_path: Path) -> None:
    """Its number is added to the name."""
    made = Told(SETTINGS._replace(write=str(tmp_path / "stalls.json")))
    made.watcher._pid = -1
    made.watcher._write()
    made.close()
    (written,) = tmp_path.iterdir()
    assert written.name == f"stalls.json.{os.getpid()}"
    assert json.loads(written.read_text()) == []


def test_nobody_is_told() -> None:
    """The log is one way to be told, a function another; each does without."""
    quiet = Told(SETTINGS)
    quiet.watcher._tell = None
    quiet.one.clock.ended.append(LongTurn(0.0, 1.0, 0.0, None))
    quiet.watcher._finish_ended(quiet.one, None, None)
    story = Story(0.0)
    story.add(sample(step(OWN)), 1.0, False)
    quiet.one.before = IDLE
    quiet.watcher._go_on(quiet.one, story, IDLE._replace(at=1.0, waits=1))
    assert quiet.counts.get()[0].count == 1
    assert not story.announced
    quiet.close()


def test_the_timer_in_c() -> None:
    """It runs as long as the watcher's thread does."""
    watched: queue.Queue[Stall] = queue.Queue()
    stand = threading.Event()

    def tell(stall: Stall) -> None:
        watched.put(stall)
        stand.set()

    settings = SETTINGS._replace(faulthandler=True)
    watcher = Watcher(settings, StallCounts(), tell, log=False)

    async def main() -> None:
        while watcher._held is None:  # noqa: ASYNC110 - its thread tells nobody
            await asyncio.sleep(0)
        assert stand.wait(WAIT)

    watcher.start()
    try:
        asyncio.run(main())
    finally:
        watcher.stop()
    assert watcher._held is None
    while not watched.get(timeout=WAIT).over:
        pass


def test_a_loop_on_another_thread() -> None:
    """A loop that is run again by another thread is read by that one's counts."""
    loop = asyncio.new_event_loop()
    watcher = Still(SETTINGS, StallCounts(), log=False)
    watcher.adopt(loop)
    one = watcher.one()

    async def turn() -> None:
        while not one.clock.run:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert one.read(0.0) is not None
        assert one.clock.counts.thread == threading.get_ident()

    loop.run_until_complete(turn())
    gone = one.read(0.0)
    assert gone is not None
    other = threading.Thread(target=loop.run_until_complete, args=(turn(),))
    other.start()
    other.join(WAIT)
    assert one.clock.counts.thread == other.ident
    watcher.stop()
    loop.close()
