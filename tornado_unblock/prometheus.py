"""Statistics of the executors for `prometheus_client`; the extra ``prometheus``.

    from tornado_unblock import prometheus

    prometheus.register()

| metric, after ``tornado_unblock_`` | labels | |
|---|---|---|
| ``total_tokens``, ``borrowed_tokens``, ``threads`` | executor | gauges |
| ``running``, ``waiting`` | executor, route | gauges |
| ``completed_total``, ``failed_total``, ``abandoned_total``, ``timed_out_total`` | executor, route | counters |
| ``rejected_total`` | executor, route, reason | counter |
| ``queue_seconds``, ``run_seconds`` | executor, route | histograms |

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
    ExecutorStatistics,
    Histogram,
    RouteStatistics,
    statistics,
)

__all__ = ["register"]

_PREFIX = "tornado_unblock_"
_ROUTE = ("executor", "route")


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
        routes = [
            ((name, route), numbers)
            for name, executor in executors
            for route, numbers in executor.routes.items()
        ]
        return _metrics(executors, routes)


def _metrics(
    executors: list[tuple[str, ExecutorStatistics]],
    routes: list[tuple[tuple[str, str], RouteStatistics]],
) -> Iterator[Metric]:
    for field, text in (
        ("total_tokens", "Bodies that may run at once."),
        ("borrowed_tokens", "Bodies that run."),
        ("threads", "Threads, idle ones included."),
    ):
        values = [((name,), getattr(e, field)) for name, e in executors]
        rows = [(labels, value) for labels, value in values if value is not None]
        yield _gauge(field, text, ("executor",), rows)
    running = [(labels, r.borrowed_tokens) for labels, r in routes]
    yield _gauge("running", "Bodies that run.", _ROUTE, running)
    waiting = [(labels, r.waiting) for labels, r in routes]
    yield _gauge("waiting", "Requests that wait for a worker.", _ROUTE, waiting)
    yield from _counters(routes)
    yield _histogram(
        "queue_seconds",
        "From asking for a worker to the body's start.",
        [(labels, r.queue_time) for labels, r in routes],
    )
    yield _histogram(
        "run_seconds",
        "From the body's start to its end.",
        [(labels, r.run_time) for labels, r in routes],
    )


def _counters(
    routes: list[tuple[tuple[str, str], RouteStatistics]],
) -> Iterator[Metric]:
    for field, text in (
        ("completed", "Bodies that have ended."),
        ("failed", "Bodies that ended with an exception."),
        ("abandoned", "Bodies that ran on when nobody waited for them any more."),
        ("timed_out", "Bodies that were still running at their timeout."),
    ):
        family = CounterMetricFamily(_PREFIX + field, text, labels=_ROUTE)
        for labels, route in routes:
            family.add_metric(labels, getattr(route, field))
        yield family
    rejected = CounterMetricFamily(
        f"{_PREFIX}rejected", "Requests that got no worker.", labels=(*_ROUTE, "reason")
    )
    for labels, route in routes:
        for reason, count in route.rejected.items():
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
    family = HistogramMetricFamily(_PREFIX + name, text, labels=_ROUTE)
    for values, histogram in rows:
        buckets = [
            ("+Inf" if bound == float("inf") else str(bound), count)
            for bound, count in histogram.buckets
        ]
        family.add_metric(values, buckets, histogram.seconds)
    return family
