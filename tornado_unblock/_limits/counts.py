"""What is counted of one endpoint, on one loop.

# Threads: counted on the loop thread only, hence no lock; read by any thread.
"""

from __future__ import annotations

import collections
from bisect import bisect_left

BOUNDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of the histograms' buckets in seconds; one more has no bound."""

REASONS = ("full", "queue_timeout", "shutdown", "no_thread", "client_gone", "cancelled")
"""Why a request that asked for a worker got none."""


class Times:
    """A histogram of seconds that is being filled."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def merge(self, other: Times) -> None:
        """Add what ``other`` holds."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts)]
        self.seconds += other.seconds


class Counts:
    """Counts of one endpoint; they only grow."""

    __slots__ = (
        "abandoned",
        "completed",
        "failed",
        "queue_time",
        "rejected",
        "run_time",
        "timed_out",
    )

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.abandoned = 0
        self.timed_out = 0
        self.rejected: collections.Counter[str] = collections.Counter()
        self.queue_time = Times()
        self.run_time = Times()

    def count(self, queued: float, ran: float) -> None:
        """Count a body that waited and ran for so many seconds."""
        # Written out: it happens to each request.
        self.completed += 1
        times = self.queue_time
        times.counts[bisect_left(BOUNDS, queued)] += 1
        times.seconds += queued
        times = self.run_time
        times.counts[bisect_left(BOUNDS, ran)] += 1
        times.seconds += ran

    def merge(self, other: Counts) -> None:
        """Add what ``other`` holds."""
        self.completed += other.completed
        self.failed += other.failed
        self.abandoned += other.abandoned
        self.timed_out += other.timed_out
        self.rejected.update(dict(other.rejected))
        self.queue_time.merge(other.queue_time)
        self.run_time.merge(other.run_time)

    def mean_run_time(self) -> float:
        """Return the seconds a body takes on average; 0 before the first has ended."""
        ended = sum(self.run_time.counts)
        return self.run_time.seconds / ended if ended else 0.0
