"""Executors, event loops and stalls as OpenTelemetry's metrics.

What there is now, and what is counted anyway, is read when a reader collects. Only how
long bodies waited and ran is recorded as they end: nothing else makes histograms.

# Threads: what is observed is asked for by the readers' threads; `Metrics.record` is
# called on loop threads.
# Guarantees:
# - while `Metrics.is_on` is False nothing is recorded or observed;
# - attributes are bounded: executors, endpoints (a thousand), reasons, loops, types of
#   errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Callable, NamedTuple, Optional

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

import tornado_unblock
from tornado_unblock._errors import is_failure
from tornado_unblock._executors.registry import executor_name
from tornado_unblock._limits.counts import BOUNDS
from tornado_unblock._limits.statistics import (
    EndpointStatistics,
    ExecutorStatistics,
    open_limiters,
    statistics,
)
from tornado_unblock._offload.offload import Offload
from tornado_unblock._stalls.records import LoopStatistics, StallStatistics
from tornado_unblock._stalls.watching import loop_statistics, stalls
from tornado_unblock.status.snapshot import THREAD, oldest_waiters

PREFIX = "tornado_unblock."
EXECUTOR = f"{PREFIX}executor.name"
ENDPOINT = f"{PREFIX}endpoint.name"
REASON = f"{PREFIX}rejection.reason"
LOOP = f"{PREFIX}eventloop.name"
STATE = f"{PREFIX}eventloop.state"

#: Of less time than this no average is made; in seconds.
FRESH = 1.0

Attributes = dict[str, str]
Rows = Iterable[tuple[float, Attributes]]


class Metrics:
    """The instruments of one meter provider.

    Attributes:
        is_on: Whether anything comes of them.
    """

    def __init__(self, provider: MeterProvider) -> None:
        self.is_on = True
        meter = provider.get_meter("tornado_unblock", tornado_unblock.__version__)
        for observed in _observed():
            self._observe(meter, observed)
        self._queued = meter.create_histogram(
            f"{PREFIX}queue.duration",
            "s",
            "From asking for a worker to the body's start.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._ran = meter.create_histogram(
            f"{PREFIX}body.duration",
            "s",
            "From the body's start to its end.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )

    def record(
        self,
        offload: Offload,
        error: Optional[BaseException],
        context: Optional[Context],
    ) -> None:
        """Record how long ``offload``, which has ended, waited and ran; loop thread.

        Args:
            offload: What has ended.
            error: With what.
            context: Has the span that an exemplar is to lead to.
        """
        attributes = place_of(offload)
        waited = max(0.0, offload.started_at - offload.requested_at)
        self._queued.record(waited, attributes, context)
        if error is not None and is_failure(error):
            attributes = {**attributes, "error.type": name_of_type(type(error))}
        ran = max(0.0, offload.ended_at - offload.started_at)
        self._ran.record(ran, attributes, context)

    def _observe(self, meter: Meter, observed: _Observed) -> None:
        def rows(options: CallbackOptions) -> Iterable[Observation]:
            found = observed.rows() if self.is_on else ()
            return [Observation(value, attributes) for value, attributes in found]

        make = {
            "gauge": meter.create_observable_gauge,
            "sum": meter.create_observable_up_down_counter,
            "counter": meter.create_observable_counter,
        }[observed.kind]
        make(PREFIX + observed.name, [rows], observed.unit, observed.text)


def place_of(offload: Offload) -> Attributes:
    """Return where ``offload`` runs, as statistics call it; any thread."""
    return {
        EXECUTOR: executor_name(offload.executor),
        ENDPOINT: offload.endpoint.name,
    }


def name_of_type(cls: type) -> str:
    """Return what OpenTelemetry calls a type of errors."""
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


class _Observed(NamedTuple):
    kind: str
    name: str
    unit: str
    text: str
    rows: Callable[[], Rows]


def _observed() -> list[_Observed]:
    """Return the instruments of what is read."""
    return [*_of_executors(), *_of_endpoints(), *_of_loops(_Recent()), *_of_stalls()]


# -- executors and endpoints -----------------------------------------------------------


def _of_executors() -> Iterator[_Observed]:
    yield _Observed(
        *("sum", "executor.thread.count", "{thread}"),
        "Threads, idle ones included.",
        lambda: _each_executor(lambda executor: executor.threads),
    )
    yield _Observed(
        *("sum", "executor.token.limit", "{token}"),
        "Bodies that may run at once.",
        lambda: _each_executor(lambda executor: executor.total_tokens),
    )
    yield _Observed(
        *("gauge", "executor.oldest_waiter.time", "s"),
        "For how long the first in line waits; 0 without a line.",
        _oldest_waiters,
    )


def _of_endpoints() -> Iterator[_Observed]:
    yield _Observed(
        *("sum", "body.active", "{body}"),
        "Bodies that run.",
        lambda: _each_endpoint(lambda endpoint: endpoint.borrowed_tokens),
    )
    yield _Observed(
        *("sum", "request.waiting", "{request}"),
        "Requests that wait for a worker.",
        lambda: _each_endpoint(lambda endpoint: endpoint.waiting),
    )
    yield _Observed(
        *("counter", "request.rejected", "{request}"),
        "Requests that got no worker.",
        _rejected,
    )
    yield _Observed(
        *("counter", "body.timed_out", "{body}"),
        "Bodies that were still running at their timeout.",
        lambda: _each_endpoint(lambda endpoint: endpoint.timed_out),
    )
    yield _Observed(
        *("counter", "body.abandoned", "{body}"),
        "Bodies that ran on when nobody waited for them any more.",
        lambda: _each_endpoint(lambda endpoint: endpoint.abandoned),
    )


def _each_executor(value: Callable[[ExecutorStatistics], Optional[int]]) -> Rows:
    for name, executor in statistics().items():
        number = value(executor)
        if number is not None:
            yield number, {EXECUTOR: name}


def _each_endpoint(value: Callable[[EndpointStatistics], int]) -> Rows:
    for executor, used in statistics().items():
        for name, endpoint in used.endpoints.items():
            yield value(endpoint), {EXECUTOR: executor, ENDPOINT: name}


def _oldest_waiters() -> Rows:
    oldest = oldest_waiters(open_limiters())
    for name in statistics():
        yield oldest.get(name, 0.0), {EXECUTOR: name}


def _rejected() -> Rows:
    for executor, used in statistics().items():
        for name, endpoint in used.endpoints.items():
            for reason, count in endpoint.rejected.items():
                yield count, {EXECUTOR: executor, ENDPOINT: name, REASON: reason}


# -- loops and stalls ------------------------------------------------------------------


def _of_loops(recent: _Recent) -> Iterator[_Observed]:
    yield _Observed(
        *("gauge", "eventloop.utilization", "1"),
        "Share of its time that the loop was busy, since the last time it was asked.",
        lambda: _each_loop(recent.utilization),
    )
    yield _Observed(
        *("gauge", "eventloop.delay.mean", "s"),
        "What an event has waited for the loop, since the last time it was asked.",
        lambda: _each_loop(recent.delay),
    )
    yield _Observed(
        *("gauge", "eventloop.delay.max", "s"),
        "The longest turn since the loop is watched.",
        lambda: _each_loop(lambda name, loops: max(loop.longest for loop in loops)),
    )
    yield _Observed(
        *("counter", "eventloop.time", "s"),
        "Time in which the loop ran something, and in which it waited for events.",
        _loop_times,
    )


def _of_stalls() -> Iterator[_Observed]:
    yield _Observed(
        *("counter", "eventloop.stall.count", "{stall}"),
        "Times for which a loop could not answer.",
        lambda: _each_stalled(lambda row: row.count),
    )
    yield _Observed(
        *("counter", "eventloop.stall.time", "s"),
        "Time in which a loop could not answer.",
        lambda: _each_stalled(lambda row: row.total),
    )


def _loops() -> dict[str, list[LoopStatistics]]:
    # Two loops may have a name in common: the threads' names are the program's.
    named: dict[str, list[LoopStatistics]] = {}
    for loop in loop_statistics():
        if loop.name and not loop.name.startswith(THREAD):
            named.setdefault(loop.name, []).append(loop)
    return named


def _each_loop(value: Callable[[str, list[LoopStatistics]], Optional[float]]) -> Rows:
    for name, loops in _loops().items():
        number = value(name, loops)
        if number is not None:
            yield number, {LOOP: name}


def _busy(loops: list[LoopStatistics]) -> Optional[tuple[float, float]]:
    """Return for how long they were busy and watched; a heartbeat does not know."""
    known = [(loop.busy, loop.watched) for loop in loops if loop.busy is not None]
    if not known:
        return None
    return sum(busy for busy, _ in known), sum(watched for _, watched in known)


def _loop_times() -> Rows:
    for name, loops in _loops().items():
        times = _busy(loops)
        if times is not None:
            busy, watched = times
            yield busy, {LOOP: name, STATE: "active"}
            yield max(0.0, watched - busy), {LOOP: name, STATE: "idle"}


def _each_stalled(value: Callable[[StallStatistics], float]) -> Rows:
    sums: dict[str, float] = {}
    for row in stalls():
        sums[row.endpoint] = sums.get(row.endpoint, 0) + value(row)
    for endpoint, number in sums.items():
        yield number, {ENDPOINT: endpoint}


class _Point(NamedTuple):
    watched: float
    total: float
    rate: float


class _Recent:
    """What was so since somebody collected last."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], _Point] = {}

    def utilization(self, name: str, loops: list[LoopStatistics]) -> Optional[float]:
        """Return the share of their time that the loops of a name were busy."""
        if any(loop.stall is not None for loop in loops):
            return 1.0  # what a turn takes is counted when it ends
        times = _busy(loops)
        if times is None:
            return None
        return min(1.0, self._rate(("utilization", name), times[1], times[0]))

    def delay(self, name: str, loops: list[LoopStatistics]) -> float:
        """Return what an event has waited for the loops of a name, on average."""
        watched = sum(loop.watched for loop in loops)
        waited = sum(loop.lag * loop.watched for loop in loops)
        return self._rate(("delay", name), watched, waited)

    def _rate(self, key: tuple[str, str], watched: float, total: float) -> float:
        """Return what ``total`` has grown by in a second of ``watched``."""
        last = self._points.get(key)
        if last is None or watched < last.watched:  # it is another loop of this name
            last = _Point(0.0, 0.0, 0.0)
        passed = watched - last.watched
        if last.watched and passed < FRESH:  # asked by another reader, as it seems
            return last.rate
        rate = max(0.0, total - last.total) / passed if passed > 0 else 0.0
        self._points[key] = _Point(watched, total, rate)
        return rate
