"""Statistics of the executors for `prometheus_client`; the extra ``prometheus``.

    from tornado_unblock import prometheus

    prometheus.register()

| metric, after ``tornado_unblock_`` | labels | |
|---|---|---|
| ``total_tokens``, ``borrowed_tokens``, ``threads`` | executor | gauges |
| ``running``, ``waiting`` | executor, endpoint | gauges |
| ``completed_total``, ``failed_total``, ``abandoned_total``, ``timed_out_total`` | executor, endpoint | counters |
| ``rejected_total`` | executor, endpoint, reason | counter |
| ``queue_seconds``, ``run_seconds`` | executor, endpoint | histograms |

`tornado_unblock.statistics` says what each of them counts.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tornado_unblock._limits.statistics import (
    EndpointStatistics,
    ExecutorStatistics,
    Histogram,
    statistics,
)

__all__ = ["register"]

_PREFIX = "tornado_unblock_"
_ENDPOINT = ("executor", "endpoint")


def register(registry: CollectorRegistry = REGISTRY) -> Collector:
    """Have ``registry`` export the statistics of this process; any thread.

    Args:
        registry: The default one unless given.

    Returns:
        The collector, for ``registry.unregister``.

    Raises:
        ValueError: From the registry, when they are exported there already.
    """
    collector = _Statistics()
    registry.register(collector)
    return collector


class _Statistics(Collector):
    """Reads the statistics when they are asked for; nothing is kept."""

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a registry can tell who else exports them."""
        return _metrics([], [])

    def collect(self) -> Iterable[Metric]:
        """Implements `Collector.collect`; any thread."""
        executors = list(statistics().items())
        endpoints = [
            ((name, endpoint), numbers)
            for name, executor in executors
            for endpoint, numbers in executor.endpoints.items()
        ]
        return _metrics(executors, endpoints)


def _metrics(
    executors: list[tuple[str, ExecutorStatistics]],
    endpoints: list[tuple[tuple[str, str], EndpointStatistics]],
) -> Iterator[Metric]:
    for field, text in (
        ("total_tokens", "Bodies that may run at once."),
        ("borrowed_tokens", "Bodies that run."),
        ("threads", "Threads, idle ones included."),
    ):
        values = [((name,), getattr(e, field)) for name, e in executors]
        rows = [(labels, value) for labels, value in values if value is not None]
        yield _gauge(field, text, ("executor",), rows)
    running = [(labels, r.borrowed_tokens) for labels, r in endpoints]
    yield _gauge("running", "Bodies that run.", _ENDPOINT, running)
    waiting = [(labels, r.waiting) for labels, r in endpoints]
    yield _gauge("waiting", "Requests that wait for a worker.", _ENDPOINT, waiting)
    yield from _counters(endpoints)
    yield _histogram(
        "queue_seconds",
        "From asking for a worker to the body's start.",
        [(labels, r.queue_time) for labels, r in endpoints],
    )
    yield _histogram(
        "run_seconds",
        "From the body's start to its end.",
        [(labels, r.run_time) for labels, r in endpoints],
    )


def _counters(
    endpoints: list[tuple[tuple[str, str], EndpointStatistics]],
) -> Iterator[Metric]:
    for field, text in (
        ("completed", "Bodies that have ended."),
        ("failed", "Bodies that ended with an exception."),
        ("abandoned", "Bodies that ran on when nobody waited for them any more."),
        ("timed_out", "Bodies that were still running at their timeout."),
    ):
        family = CounterMetricFamily(_PREFIX + field, text, labels=_ENDPOINT)
        for labels, endpoint in endpoints:
            family.add_metric(labels, getattr(endpoint, field))
        yield family
    rejected = CounterMetricFamily(
        f"{_PREFIX}rejected",
        "Requests that got no worker.",
        labels=(*_ENDPOINT, "reason"),
    )
    for labels, endpoint in endpoints:
        for reason, count in endpoint.rejected.items():
            rejected.add_metric((*labels, reason), count)
    yield rejected


def _gauge(
    name: str,
    text: str,
    labels: tuple[str, ...],
    rows: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _histogram(
    name: str, text: str, rows: Iterable[tuple[tuple[str, ...], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(_PREFIX + name, text, labels=_ENDPOINT)
    for values, histogram in rows:
        buckets = [
            ("+Inf" if bound == float("inf") else str(bound), count)
            for bound, count in histogram.buckets
        ]
        family.add_metric(values, buckets, histogram.seconds)
    return family
