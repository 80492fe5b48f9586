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

import time
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
from tornado_unblock.status.history import INTERVAL, History
from tornado_unblock.status.snapshot import (
    THREAD,
    Loop,
    loop_of,
    oldest_waiters,
    take_figures,
)

PREFIX = "tornado_unblock."
EXECUTOR = f"{PREFIX}executor.name"
ENDPOINT = f"{PREFIX}endpoint.name"
REASON = f"{PREFIX}rejection.reason"
LOOP = f"{PREFIX}eventloop.name"
STATE = f"{PREFIX}eventloop.state"

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
    return [*_of_executors(), *_of_endpoints(), *_of_loops(), *_of_stalls()]


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
        lambda: _used_endpoints(lambda endpoint: endpoint.borrowed_tokens),
    )
    yield _Observed(
        *("sum", "request.waiting", "{request}"),
        "Requests that wait for a worker.",
        lambda: _used_endpoints(lambda endpoint: endpoint.waiting),
    )
    yield _Observed(
        *("counter", "request.rejected", "{request}"),
        "Requests that got no worker.",
        _rejected,
    )
    yield _Observed(
        *("counter", "body.timed_out", "{body}"),
        "Bodies that were still running at their timeout.",
        lambda: _counted(lambda endpoint: endpoint.timed_out),
    )
    yield _Observed(
        *("counter", "body.abandoned", "{body}"),
        "Bodies that ran on when nobody waited for them any more.",
        lambda: _counted(lambda endpoint: endpoint.abandoned),
    )


def _each_executor(value: Callable[[ExecutorStatistics], Optional[int]]) -> Rows:
    for name, executor in statistics().items():
        number = value(executor)
        if number is not None:
            yield number, {EXECUTOR: name}


def _endpoints() -> Iterator[tuple[EndpointStatistics, Attributes]]:
    for executor, used in statistics().items():
        for name, endpoint in used.endpoints.items():
            yield endpoint, {EXECUTOR: executor, ENDPOINT: name}


def _used_endpoints(value: Callable[[EndpointStatistics], int]) -> Rows:
    """Yield those that had a body, or are about to: 0 is told of them, too."""
    for endpoint, attributes in _endpoints():
        if endpoint.completed or endpoint.borrowed_tokens or endpoint.waiting:
            yield value(endpoint), attributes


def _counted(value: Callable[[EndpointStatistics], int]) -> Rows:
    """Yield counts. There may be a thousand endpoints: zeros would be most of it."""
    for endpoint, attributes in _endpoints():
        count = value(endpoint)
        if count:
            yield count, attributes


def _oldest_waiters() -> Rows:
    oldest = oldest_waiters(open_limiters())
    for name in statistics():
        yield oldest.get(name, 0.0), {EXECUTOR: name}


def _rejected() -> Rows:
    for endpoint, attributes in _endpoints():
        for reason, count in endpoint.rejected.items():
            if count:
                yield count, {**attributes, REASON: reason}


# -- loops and stalls ------------------------------------------------------------------


def _of_loops() -> Iterator[_Observed]:
    yield _Observed(
        *("gauge", "eventloop.utilization", "1"),
        "Share of its time that the loop was busy, since the last time it was asked.",
        _Recent(History.utilization).rows,
    )
    yield _Observed(
        *("gauge", "eventloop.delay.mean", "s"),
        "What an event has waited for the loop, since the last time it was asked.",
        _Recent(History.lag).rows,
    )
    yield _Observed(
        *("gauge", "eventloop.delay.max", "s"),
        "The longest turn since the loop is watched.",
        _longest_turns,
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


def _longest_turns() -> Rows:
    for name, loops in _loops().items():
        yield max(loop.longest for loop in loops), {LOOP: name}


def _loop_times() -> Rows:
    for name, loops in _loops().items():
        # A heartbeat does not know.
        known = [(loop.busy, loop.watched) for loop in loops if loop.busy is not None]
        if known:
            busy = sum(busy for busy, _ in known)
            idle = sum(watched for _, watched in known) - busy
            yield busy, {LOOP: name, STATE: "active"}
            yield max(0.0, idle), {LOOP: name, STATE: "idle"}


def _each_stalled(value: Callable[[StallStatistics], float]) -> Rows:
    sums: dict[str, float] = {}
    for row in stalls():
        sums[row.endpoint] = sums.get(row.endpoint, 0) + value(row)
    for endpoint, number in sums.items():
        yield number, {ENDPOINT: endpoint}


class _Recent:
    """Averages of the time since somebody collected last."""

    def __init__(self, of: Callable[[History, Loop], Optional[float]]) -> None:
        self._of = of
        self._history = History()
        self._kept_at = float("-inf")

    def rows(self) -> Rows:
        """Yield what the busiest loop of each name has."""
        for name, loops in _loops().items():
            known = [self._of(self._history, loop_of(loop)) for loop in loops]
            numbers = [number for number in known if number is not None]
            if numbers:
                yield max(numbers), {LOOP: name}
        if time.monotonic() - self._kept_at >= INTERVAL:
            self._kept_at = time.monotonic()
            self._history.add(take_figures())
