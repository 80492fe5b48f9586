"""Statistics for `prometheus_client`: executors, event loops, jobs.

    from tornado_unblock import prometheus

    prometheus.register()

| metric, after ``tornado_unblock_`` | labels | |
|---|---|---|
| ``total_tokens``, ``borrowed_tokens``, ``threads``, ``oldest_waiter_seconds`` | executor | gauges |
| ``running``, ``waiting`` | executor, endpoint | gauges |
| ``completed_total``, ``failed_total``, ``abandoned_total``, ``timed_out_total`` | executor, endpoint | counters |
| ``rejected_total`` | executor, endpoint, reason | counter |
| ``queue_seconds``, ``run_seconds`` | executor, endpoint | histograms |
| ``loop_utilization``, ``loop_lag_seconds``, ``loop_longest_turn_seconds`` | loop | gauges |
| ``loop_busy_seconds_total``, ``loop_stalled_seconds_total`` | loop | counters |
| ``stall_seconds`` | endpoint | histogram |
| ``stall_longest_seconds`` | endpoint | gauge |
| ``jobs_up``, ``jobs_failures``, ``jobs_oldest_waiting_seconds`` | app | gauges |
| ``jobs_count`` | app, state | gauge |

`tornado_unblock.statistics` says what each of the first counts. Loops and stalls have
rows once there was a `tornado_unblock.watch`: `loop_statistics` and `stalls` say what is
in them; utilization and lag are those of the time since the scrape before. Endpoints are
the program's own, a thousand at most, and then ``(others)``. Jobs are there where
`tornado_unblock.jobs` is configured, unless `tornado_unblock.jobs.prometheus` has them.

# Threads: the one that scrapes, any; in multiprocess mode also one that writes.
# Guarantees:
# - a scrape waits for no loop and no worker; for the store of the jobs at most `_PATIENCE`;
# - labels are names of the program's, and their number is bounded.
"""  # noqa: E501 - a table

from __future__ import annotations

import collections
import operator
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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
    open_limiters,
    statistics,
)
from tornado_unblock._stalls.records import LoopStatistics, StallStatistics
from tornado_unblock._stalls.watching import loop_statistics, stalls
from tornado_unblock.status import multiprocess
from tornado_unblock.status.history import INTERVAL, History
from tornado_unblock.status.jobs import JobCounts
from tornado_unblock.status.snapshot import loop_of, oldest_waiters, take_figures

__all__ = ["register"]

_PREFIX = "tornado_unblock_"
_ENDPOINT = ("executor", "endpoint")
_STATES = ("queued", "scheduled", "running", "done", "dead")
# Seconds that a scrape waits for the store of the jobs; then what it said last counts.
_PATIENCE = 0.05


def register(registry: CollectorRegistry = REGISTRY) -> Collector:
    """Have ``registry`` export the statistics of this process; any thread.

    In the multiprocess mode of `prometheus_client` (``PROMETHEUS_MULTIPROC_DIR``) they
    are kept up to date in the files that `MultiProcessCollector` reads, and there is
    nothing in ``registry``; a forked child keeps its own when it runs a loop.

    Args:
        registry: The default one unless given.

    Returns:
        The collector, for ``registry.unregister``.

    Raises:
        ValueError: From the registry, when they are exported there already.
    """
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        of_files = _Files(_Statistics().collect)
        registry.register(of_files)
        of_files.files.keep()
        return of_files
    collector = _Statistics()
    registry.register(collector)
    return collector


class _Statistics(Collector):
    """Reads the statistics when they are asked for; nothing is kept but for rates."""

    def __init__(self) -> None:
        self._history = History()
        self._recorded_at = float("-inf")
        self._jobs = JobCounts()

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a registry can tell who else exports them."""
        yield from _metrics([], [])
        yield from _of_loops((), self._history)
        yield from _of_stalls(())

    def collect(self) -> Iterable[Metric]:
        """Implements `Collector.collect`; any thread."""
        families = list(self._collect())
        if time.monotonic() - self._recorded_at >= INTERVAL:
            self._recorded_at = time.monotonic()
            self._history.add(take_figures())
        return families

    def _collect(self) -> Iterator[Metric]:
        executors = list(statistics().items())
        endpoints = [
            ((name, endpoint), numbers)
            for name, executor in executors
            for endpoint, numbers in executor.endpoints.items()
        ]
        yield from _metrics(executors, endpoints)
        yield from _of_loops(loop_statistics(), self._history)
        yield from _of_stalls(stalls())
        yield from self._of_jobs()

    def _of_jobs(self) -> Iterator[Metric]:
        elsewhere = sys.modules.get("tornado_unblock.jobs.prometheus")
        if elsewhere is None or not elsewhere.is_exported():
            counts = self._jobs.get(patience=_PATIENCE)
            if counts is not None:
                yield from _jobs(
                    sys.modules["tornado_unblock.jobs"].default.name, counts
                )


class _Files(Collector):
    """Is in a registry for its names; what it would tell is in files."""

    def __init__(self, collect: multiprocess.Collect) -> None:
        self.files = multiprocess.Files(collect)

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that they are exported once."""
        return _Statistics().describe()

    def collect(self) -> Iterable[Metric]:
        """Bring the files up to date; called by the registry."""
        self.files.write()
        return ()


def _jobs(app: str, counts: Mapping[str, Any]) -> Iterator[Metric]:
    label = (app,)
    up = 1.0 if counts else 0.0
    yield _gauge("jobs_up", "Whether the store answers.", ("app",), [(label, up)])
    if counts:
        states = [((app, state), counts[state]) for state in _STATES]
        yield _gauge("jobs_count", "Jobs, by state.", ("app", "state"), states)
        for field, name, text in (
            (
                "failures",
                "failures",
                "Attempts that failed, of the jobs that are kept.",
            ),
            (
                "oldest_waiting",
                "oldest_waiting_seconds",
                "How long the oldest that is due has waited.",
            ),
        ):
            yield _gauge(f"jobs_{name}", text, ("app",), [(label, counts[field])])


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
    oldest = oldest_waiters(open_limiters())
    waits = [((name,), oldest.get(name, 0.0)) for name, _ in executors]
    text = "For how long the first in line waits; 0 without a line."
    yield _gauge("oldest_waiter_seconds", text, ("executor",), waits)
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


def _of_loops(loops: Iterable[LoopStatistics], history: History) -> Iterator[Metric]:
    # Two loops may have a name in common: the threads' names are the program's.
    named: dict[tuple[str], list[LoopStatistics]] = collections.defaultdict(list)
    for loop in loops:
        named[(loop.name,)].append(loop)
    rows = list(named.items())
    for field, text, number in (
        ("utilization", "Share of its time that a loop is busy.", history.utilization),
        ("lag_seconds", "What an event waits for the loop, on average.", history.lag),
        (
            "longest_turn_seconds",
            "The longest turn of the loop.",
            operator.attrgetter("longest"),
        ),
    ):
        most = [
            (labels, max(known))
            for labels, group in rows
            if (known := [n for n in map(number, map(loop_of, group)) if n is not None])
        ]
        yield _gauge(f"loop_{field}", text, ("loop",), most)
    for field, text, total in (
        ("busy_seconds", "Time in which the loop ran something.", "busy"),
        ("stalled_seconds", "Time in which the loop could not answer.", "stalled"),
    ):
        family = CounterMetricFamily(f"{_PREFIX}loop_{field}", text, labels=("loop",))
        for labels, group in rows:
            if known := _known(group, total):
                family.add_metric(labels, sum(known))
        yield family


def _known(loops: list[LoopStatistics], field: str) -> list[float]:
    """Return a number of each loop that has it: a heartbeat does not measure all."""
    numbers = [getattr(loop, field) for loop in loops]
    return [number for number in numbers if number is not None]


def _of_stalls(rows: Iterable[StallStatistics]) -> Iterator[Metric]:
    named: dict[tuple[str], list[StallStatistics]] = collections.defaultdict(list)
    for row in rows:
        named[(row.endpoint,)].append(row)
    yield _histogram(
        "stall_seconds",
        "For how long a loop could not answer.",
        [
            (labels, _sum([row.histogram for row in places]))
            for labels, places in named.items()
        ],
        ("endpoint",),
    )
    longest = [
        (labels, max(row.longest for row in places)) for labels, places in named.items()
    ]
    yield _gauge("stall_longest_seconds", "The longest stall.", ("endpoint",), longest)


def _sum(histograms: list[Histogram]) -> Histogram:
    """Add up histograms with the same bounds."""
    buckets = zip(*(histogram.buckets for histogram in histograms))
    return Histogram(
        tuple((same[0][0], sum(count for _, count in same)) for same in buckets),
        sum(histogram.seconds for histogram in histograms),
    )


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
    name: str,
    text: str,
    rows: Iterable[tuple[tuple[str, ...], Histogram]],
    labels: tuple[str, ...] = _ENDPOINT,
) -> Metric:
    family = HistogramMetricFamily(_PREFIX + name, text, labels=labels)
    for values, histogram in rows:
        buckets = [
            ("+Inf" if bound == float("inf") else str(bound), count)
            for bound, count in histogram.buckets
        ]
        family.add_metric(values, buckets, histogram.seconds)
    return family
