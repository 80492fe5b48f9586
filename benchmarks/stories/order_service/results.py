"""What was measured, and what it means in a sentence."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.figures import Load, duration
from benchmarks.harness.variant import Variant

# Two runs of one program differ by this much on a machine with other things to do.
NOISE = 1.1


@dataclass(frozen=True)
class StageResult:
    """One stage's numbers.

    Attributes:
        stage: What was measured.
        load: What came of the order requests.
        pings: The latencies of the `/ping` requests made meanwhile, in seconds.
    """

    stage: Variant
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


@dataclass(frozen=True)
class Run:
    """A whole run.

    Attributes:
        database: The name and version of the database.
        results: What was measured, stage by stage.
    """

    database: str
    results: tuple[StageResult, ...]


def faster(results: Sequence[StageResult]) -> float:
    """Return how many times the first stage's requests the last one answered."""
    return results[-1].load.rate / results[0].load.rate


def line(result: StageResult) -> str:
    """Say in a line what came of one stage, with a bar on a logarithmic scale."""
    load = result.load
    bar = "#" * max(1, round(8 * math.log10(1 + load.rate)))
    return (
        f"{result.stage.title:26}{load.rate:8.1f} orders/s {bar:24} "
        f"mean {duration(load.mean)}, /ping {duration(result.ping_median)}"
    )


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


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
