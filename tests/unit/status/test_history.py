"""Points of the last ten minutes, and the rates that are made of sums."""

from __future__ import annotations

import dataclasses

import pytest

from tornado_unblock.status.history import POINTS, History
from tornado_unblock.status.snapshot import Executor, Figures, Loop

LOOP = Loop(
    name="MainThread",
    measured_by="selector",
    utilization=0.5,
    lag=0.1,
    longest=0.2,
    stalls=0,
    stalled_share=0.0,
    stalled=False,
    busy=50.0,
    watched=100.0,
)


def at(seconds, *loops, executors=()):
    ended = {executor.name: 2 * int(seconds) for executor in executors}
    return Figures(seconds, loops, executors, ended)


def later(busy, watched, lag=0.1, **changes):
    return dataclasses.replace(LOOP, busy=busy, watched=watched, lag=lag, **changes)


def test_rates_are_of_the_time_between():
    """Sums since the beginning become figures of the last seconds."""
    history = History()
    history.add(at(0, LOOP))
    now = later(busy=59.0, watched=110.0, lag=0.2)
    assert history.utilization(now) == pytest.approx(0.9)
    assert history.lag(now) == pytest.approx((0.2 * 110 - 0.1 * 100) / 10)
    history.add(at(10, now))
    assert history.of("utilization", "MainThread") == (0.5, pytest.approx(0.9))
    # So soon after a point there is nothing to make a rate of.
    soon = later(busy=59.1, watched=110.1, lag=0.2)
    assert history.utilization(soon) == pytest.approx(0.9)
    assert history.lag(soon) == history.of("lag", "MainThread")[-1]


def test_a_stalled_loop_is_busy():
    """What a turn takes is counted when it ends; until then it takes everything."""
    history = History()
    history.add(at(0, LOOP))
    assert history.utilization(later(50.0, 105.0, stalled=True)) == 1.0
    history.add(at(5, later(50.0, 105.0, stalled=True)))
    assert history.of("utilization", "MainThread")[-1] == 1.0


def test_without_a_before():
    """A new loop, or another of the same name, is taken as it is."""
    history = History()
    assert history.utilization(LOOP) == 0.5
    assert history.lag(LOOP) == 0.1
    history.add(at(0, LOOP))
    other = later(1.0, 10.0, lag=0.3, utilization=0.1)
    assert history.utilization(other) == 0.1
    assert history.lag(other) == 0.3
    beats = later(None, 120.0, utilization=None)
    assert history.utilization(beats) is None


def test_executors_and_what_is_gone():
    """Executors have points; what is there no more has none, and no room is taken."""
    executor = Executor("reports", 4, 1, 2, None, 3)
    history = History()
    for number in range(POINTS + 5):
        history.add(at(5.0 * number, LOOP, executors=(executor,)))
    assert history.of("borrowed", "reports") == (1,) * POINTS
    assert history.of("waiting", "reports") == (2,) * POINTS
    assert history.of("rate", "reports")[-1] == 2
    history.add(at(9999.0))
    assert history.of("borrowed", "reports") == ()
    assert history.of("utilization", "MainThread") == ()
