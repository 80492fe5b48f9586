"""A thread that is blocked, and one that is kept from running."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tornado_unblock._stalls import evidence
from tornado_unblock._stalls.evidence import OwnCounts, Reading, ThreadCounts, judge

BEFORE = Reading(0.0, 0.0, 0.0, 0, 0.0, 0.0)
INTERVAL = sys.getswitchinterval()


def after(**values: Any) -> Reading:
    return BEFORE._replace(**values)


@pytest.mark.parametrize(
    ("reading", "active", "computing"),
    [
        # Blocked in one call: it lay down once, and did nothing.
        (after(waits=1), 1.0, False),
        # Computing.
        (after(computed=1.0, process=1.0), 1.0, True),
        # In the line for a processor.
        (after(computed=0.1, queued=0.9, process=0.1), 0.1, True),
        # In the line for the interpreter, which other threads had.
        (after(computed=0.1, waits=0.9 / INTERVAL, process=1.0), 0.1, True),
        # The same, and they had it without getting a processor.
        (after(computed=0.1, waits=0.9 / INTERVAL, process=0.1, kept=1.0), 0.1, True),
        # Blocked in one call, while the watcher waits for the interpreter.
        (after(waits=1, kept=1.0), 1.0 - INTERVAL, False),
        # Many short waits, with no other thread to have the interpreter.
        (after(computed=0.1, waits=900, process=0.1), 1.0, False),
        # Blocked in one call while others compute.
        (after(waits=1, process=1.0), 1.0 - INTERVAL, False),
        # The whole process stood.
        (after(stood=0.95, process=0.0), 0.05, False),
        # C code held the interpreter: the watcher waited for that.
        (after(computed=1.0, process=1.0, stood=0.0), 1.0, True),
        # Nothing is known of the thread.
        (after(computed=-1.0, stood=0.9), 1.0, False),
    ],
)
def test_judge(reading: Reading, active: float, computing: bool) -> None:
    """One second, in which different things have happened."""
    verdict = judge(1.0, BEFORE, reading)
    assert verdict.active == pytest.approx(active)
    assert verdict.computing == computing


def test_without_counts_of_waits() -> None:
    """Where the system does not count them, the interpreter is taken for free."""
    before = BEFORE._replace(waits=-1)
    assert judge(1.0, before, after(waits=-1, process=1.0)).active == 1.0


def test_a_thread_that_computes() -> None:
    """The counts of a thread grow with what it does."""
    counts = ThreadCounts(threading.get_ident(), threading.get_native_id())
    before = counts.read(0.0)
    while counts.read(0.0).computed - before.computed < 0.02:
        pass
    assert counts.waits_for_processor()
    now = counts.read(0.5)
    assert now.at > before.at
    assert now.process >= before.process
    assert now.stood == 0.5


def test_a_thread_that_is_gone() -> None:
    """Reading of a thread that has ended is no error."""
    counts = ThreadCounts(threading.get_ident(), None)
    assert not counts.waits_for_processor()
    assert counts.read(0.0).waits == -1
    counts._clock = None
    gone = counts.read(0.0)
    assert (gone.computed, gone.queued) == (-1.0, 0.0)


def test_a_thread_that_ends(tmp_path: Path) -> None:
    """A file that was there and cannot be read any more is no error."""
    counts = ThreadCounts(threading.get_ident(), None)
    counts._file = evidence.os.open(tmp_path, evidence.os.O_RDONLY)
    assert counts.read(0.0).waits == -1


def test_the_file_is_closed() -> None:
    """It is when nobody can read it any more, and not before."""
    counts = ThreadCounts(threading.get_ident(), threading.get_native_id())
    file = counts._file
    assert file is not None
    assert evidence.os.fstat(file)
    del counts
    with pytest.raises(OSError, match="Bad file descriptor"):
        evidence.os.fstat(file)


class _Counts:
    """Counts that say what they are told."""

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)

    def read(self, stood: float, kept: float = 0.0) -> Reading:
        return self._readings.pop(0)


@pytest.mark.parametrize(
    ("reading", "stood", "kept"),
    [
        (after(at=1.025, waits=1), 1.0, 0.0),  # stopped
        (after(at=1.025, waits=1, queued=0.999), 0.0, 0.0),  # in line for a processor
        (after(at=1.025, waits=1 + 1.0 / INTERVAL), 0.0, 1.025),  # for the interpreter
        (after(at=0.03, waits=1), 0.0, 0.0),  # timers are
        (after(at=0.02, waits=1), 0.0, 0.0),  # cut short: a turn has ended
    ],
)
def test_own_lateness(
    monkeypatch: pytest.MonkeyPatch, reading: Reading, stood: float, kept: float
) -> None:
    """The watcher is late for different reasons; one is that everything stood."""
    own = _own(reading)
    _sleep(monkeypatch, own, reading.at)
    assert own.stood == pytest.approx(stood)
    assert own.kept == pytest.approx(kept)


def _own(*readings: Reading) -> OwnCounts:
    own = OwnCounts()
    own._counts = _Counts(*readings)  # type: ignore[assignment]
    own._before = BEFORE
    return own


def _sleep(monkeypatch: pytest.MonkeyPatch, own: OwnCounts, ended: float) -> None:
    """Have it sleep for 25 ms, from 0 until ``ended``."""
    own._sleeps_at = 0.0
    monkeypatch.setattr(evidence, "now", lambda: ended)
    own.end(0.025)


def test_sleeps_that_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their counts are read now and then only; each of them is one wait."""
    late = BEFORE._replace(at=1.025, waits=41 + 0.5 / INTERVAL, queued=0.5)
    own = _own(BEFORE._replace(waits=21), late)
    for _ in range(21):
        _sleep(monkeypatch, own, 0.0251)
    assert own._before.waits == 21
    for _ in range(19):
        _sleep(monkeypatch, own, 0.0251)
    assert (own.stood, own.kept) == (0.0, 0.0)
    _sleep(monkeypatch, own, late.at)
    assert own.stood == 0.0
    assert own.kept == pytest.approx(0.525)
