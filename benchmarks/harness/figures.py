"""Numbers: what came of a load, and latencies as people read them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What came of the requests; latencies in seconds.

    Attributes:
        requests: How many succeeded.
        failed: How many did not.
        seconds: How long it took.
        mean: The mean latency.
        p99: The latency that 99 of 100 requests did not exceed.
        max: The longest latency.
    """

    requests: int
    failed: int
    seconds: float
    mean: float
    p99: float
    max: float

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds

    @property
    def success(self) -> float:
        """The share of requests that succeeded, in percent."""
        return 100 * self.requests / ((self.requests + self.failed) or 1)


def quantile(values: Sequence[float], share: float) -> float:
    """Return what such a share of the values do not exceed; infinity for none."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.inf


def summary(latencies: Sequence[float], failed: int, seconds: float) -> Load:
    """Sum up latencies."""
    known = list(latencies) or [0.0]
    return Load(
        requests=len(latencies),
        failed=failed,
        seconds=seconds,
        mean=statistics.fmean(known),
        p99=quantile(known, 0.99),
        max=max(known),
    )


def duration(seconds: float) -> str:
    """Write a latency so that it can be read: `"1.23 s"`, `"45 ms"` or `"1.2 ms"`."""
    if math.isinf(seconds):
        return "no answer"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    digits = 0 if milliseconds >= 10 else 1
    return f"{milliseconds:.{digits}f} ms"
