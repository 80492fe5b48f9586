"""What tests see of the statistics."""

from __future__ import annotations

from tornado_unblock import (
    EndpointStatistics,
    statistics,
)


def endpoint(name: str = "body", executor: str = "default") -> EndpointStatistics:
    return statistics()[executor].endpoints[name]


def counts(endpoint: EndpointStatistics) -> dict[str, int]:
    """Return what is not zero."""
    numbers = endpoint._asdict()
    rejected = numbers.pop("rejected")
    numbers.pop("queue_time")
    numbers.pop("run_time")
    return {name: n for name, n in {**numbers, **rejected}.items() if n}
