"""What was measured, and what it means in a sentence."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.order_service.stages import Stage

# Two runs of one program differ by this much on a machine with other things to do.
NOISE = 1.1


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


@dataclass(frozen=True)
class StageResult:
    """One stage's numbers.

    Attributes:
        stage: What was measured.
        load: What came of the order requests.
        pings: The latencies of the `/ping` requests made meanwhile, in seconds.
    """

    stage: Stage
    load: Load
    pings: tuple[float, ...]

    @property
    def ping_median(self) -> float:
        """The latency that half of the pings did not exceed."""
        return statistics.median(self.pings)

    @property
    def ping_max(self) -> float:
        """The longest latency of a ping."""
        return max(self.pings)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for a JSON file."""
        return {
            "name": self.stage.name,
            "title": self.stage.title,
            "requests": self.load.requests,
            "failed": self.load.failed,
            "seconds": self.load.seconds,
            "requests_per_second": self.load.rate,
            "success_percent": self.load.success,
            "latency": {
                "mean": self.load.mean,
                "p99": self.load.p99,
                "max": self.load.max,
            },
            "ping": {
                "median": self.ping_median,
                "max": self.ping_max,
                "count": len(self.pings),
            },
        }


def faster(results: Sequence[StageResult]) -> float:
    """Return how many times the first stage's requests the last one answered."""
    return results[-1].load.rate / results[0].load.rate


def sentence(results: Sequence[StageResult]) -> str:
    """Say in plain words what the last stage gained over the first."""
    first, last = results[0], results[-1]
    ratio = faster(results)
    gain = f"{_number(ratio)} x faster than" if ratio > NOISE else "not faster than"
    return (
        f"With {last.stage.title}, the service is {gain} {first.stage.title}: "
        f"{_number(last.load.rate)} orders per second instead of "
        f"{_number(first.load.rate)}; meanwhile, half of the pings were answered "
        f"within {duration(last.ping_median)} instead of {duration(first.ping_median)}."
    )


def duration(seconds: float) -> str:
    """Write a latency so that it can be read: `"1.23 s"`, `"45 ms"` or `"1.2 ms"`."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
