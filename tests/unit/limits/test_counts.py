"""What is counted of one endpoint."""

from __future__ import annotations

import asyncio
import math

import pytest

from tests.unit.limits.conftest import endpoint
from tornado_unblock import (
    Histogram,
    run_in_executor,
)
from tornado_unblock._limits.counts import BOUNDS, Counts


def test_histogram():
    """Buckets add up to the last one; the mean is there for people."""
    tally = Counts()
    tally.run_time.counts[0] = 2
    assert tally.mean_run_time() == 0
    histogram = Histogram(((0.5, 3), (math.inf, 4)), 2.0)
    assert (histogram.count, histogram.mean) == (4, 0.5)
    assert Histogram(((math.inf, 0),), 0.0).mean == 0

    async def main() -> None:
        await run_in_executor(int)

    asyncio.run(main())
    bounds, reached = zip(*endpoint("int").run_time.buckets)
    assert bounds == (*BOUNDS, math.inf)
    assert reached[-1] == 1
    assert sorted(reached) == list(reached)


def test_bodies_are_counted():
    """Each in the bucket that it fits, its seconds added up."""
    counted = Counts()
    counted.count(queued=0.0, ran=0.05)
    counted.count(queued=0.3, ran=1000.0)
    assert counted.completed == 2
    assert counted.mean_run_time() == pytest.approx(500.025)
    assert counted.queue_time.seconds == pytest.approx(0.3)
    run = dict(zip((*BOUNDS, math.inf), counted.run_time.counts))
    assert {bound: n for bound, n in run.items() if n} == {0.05: 1, math.inf: 1}


def test_loops_are_added_up():
    """Everything that is counted is, with nothing twice."""
    one, other = Counts(), Counts()
    for counted, times in ((one, 1), (other, 2)):
        counted.completed = counted.failed = times
        counted.abandoned = counted.timed_out = times
        counted.rejected["full"] = times
        counted.queue_time.counts[0] = counted.run_time.counts[1] = times
        counted.queue_time.seconds = counted.run_time.seconds = float(times)
    one.merge(other)
    assert (one.completed, one.failed, one.abandoned, one.timed_out) == (3, 3, 3, 3)
    assert one.rejected == {"full": 3}
    assert (one.queue_time.counts[0], one.run_time.counts[1]) == (3, 3)
    assert (one.queue_time.seconds, one.run_time.seconds) == (3.0, 3.0)
    assert other.completed == 2
