"""What is counted of one endpoint."""

from __future__ import annotations

import asyncio
import math

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


def test_what_takes_long_of_late():
    """What has become slow is told soon, and what was slow is forgotten."""
    tally = Counts()
    for _ in range(1000):
        tally.count(0.0, 0.0001)
    assert not tally.takes_long()
    tally.count(0.0, 0.1)
    assert tally.takes_long()
    for _ in range(100):
        tally.count(0.0, 0.0001)
    assert not tally.takes_long()
