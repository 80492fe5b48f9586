"""What is read and recorded for OpenTelemetry's metrics, by the real SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tornado_unblock import (
    LoopStatistics,
    RejectedError,
    RunTimeoutError,
    Stall,
    configure,
    loop_statistics,
    run_in_executor,
    watch,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import limiter_of
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._stalls.counts import StallCounts

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tornado_unblock import opentelemetry
from tornado_unblock.status import otel_metrics, snapshot

PREFIX = "tornado_unblock."


class Collected:
    """The metrics of one collection, by name and attributes."""

    def __init__(self, data: Any) -> None:
        self.metrics = {
            metric.name: metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def point(self, name: str, **attributes: str) -> Any:
        """Return the data point with these attributes, or None."""
        wanted = {
            "error.type" if key == "error" else f"{PREFIX}{key}": value
            for key, value in attributes.items()
        }
        for key in ("executor", "endpoint", "eventloop"):
            if PREFIX + key in wanted:
                wanted[f"{PREFIX}{key}.name"] = wanted.pop(PREFIX + key)
        metric = self.metrics.get(PREFIX + name)
        for point in metric.data.data_points if metric else ():
            if dict(point.attributes) == wanted:
                return point
        return None

    def value(self, name: str, **attributes: str) -> Any:
        """Return the value with these attributes, or None."""
        point = self.point(name, **attributes)
        return None if point is None else point.value

    def rejected(self, reason: str, **attributes: str) -> Any:
        """Return how many were rejected for this reason."""
        reasons = {"rejection.reason": reason}
        return self.value("request.rejected", **attributes, **reasons)


@pytest.fixture
def collect() -> Iterator[Callable[[], Collected]]:
    """Return what collects, as a reader does."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    kept = opentelemetry.instrument(provider)
    yield lambda: Collected(reader.get_metrics_data())
    kept.stop()
    provider.shutdown()


def test_executors_and_endpoints(collect, gate):
    """Each number under its name, with its attributes."""
    configure("reports", max_workers=2, max_waiting=3, max_endpoint_share=1)
    here = {"executor": "reports"}

    async def main() -> None:
        held = [await gate.hold_worker(executor="reports") for _ in range(2)]
        waits = [run_in_executor(abs, -7, executor="reports") for _ in range(3)]
        with pytest.raises(RejectedError):
            run_in_executor(abs, -7, executor="reports")
        found = collect()
        assert found.value("executor.thread.count", **here) == 2
        assert found.value("executor.token.limit", **here) == 2
        assert found.value("executor.oldest_waiter.time", **here) > 0
        assert found.value("executor.oldest_waiter.time", executor="helpers") == 0
        assert found.value("body.active", **here, endpoint="Gate.hold") == 2
        assert found.value("request.waiting", **here, endpoint="abs") == 3
        assert found.rejected("full", **here, endpoint="abs") == 1
        # Zeros would be most of what is exported, so there are none of counters.
        assert found.rejected("queue_timeout", **here, endpoint="abs") is None
        assert found.value("body.timed_out", **here, endpoint="abs") is None
        gate.open.set()
        await asyncio.gather(*held, *waits)

    asyncio.run(main())
    found = collect()
    assert found.value("executor.token.limit", **here) == 0  # its loop is closed
    assert found.value("body.active", **here, endpoint="Gate.hold") == 0
    assert found.rejected("full", **here, endpoint="abs") == 1
    queued = found.point("queue.duration", **here, endpoint="abs")
    assert queued.count == 3
    assert queued.sum > 0
    assert queued.explicit_bounds[:2] == (0.001, 0.0025)
    assert found.point("body.duration", **here, endpoint="abs").count == 3


def test_units(collect):
    """Units are as the conventions have them."""

    async def main():
        await run_in_executor(abs, -7)

    asyncio.run(main())
    metrics = collect().metrics
    assert metrics[f"{PREFIX}queue.duration"].unit == "s"
    assert metrics[f"{PREFIX}executor.thread.count"].unit == "{thread}"
    assert metrics[f"{PREFIX}body.active"].unit == "{body}"
    assert all(metric.description for metric in metrics.values())


class Mine(Exception):
    pass


def fails(error: Exception) -> None:
    raise error


def test_failures(collect):
    """A body that failed says by what; processes have no threads to count."""
    configure("cpu", processes=1)

    async def main() -> None:
        for error in (KeyError("x"), Mine()):
            with pytest.raises(type(error)):
                await run_in_executor(fails, error)
        assert await run_in_executor(abs, -7, executor="cpu") == 7
        found = collect()
        assert found.value("executor.token.limit", executor="cpu") == 1
        assert found.value("executor.thread.count", executor="cpu") is None
        of = {"executor": "default", "endpoint": "fails"}
        assert found.point("body.duration", **of, error="KeyError").count == 1
        mine = f"{__name__}.Mine"
        assert found.point("body.duration", **of, error=mine).count == 1
        assert found.point("body.duration", executor="cpu", endpoint="abs").count == 1

    asyncio.run(main())


def test_abandoned_bodies(collect, gate, expect_log):
    """What timed out was abandoned, too; an endpoint without a body is not there."""
    expect_log("tornado.application", "still running after")
    here = {"executor": "default", "endpoint": "Gate.hold"}

    async def main() -> None:
        with pytest.raises(RunTimeoutError):
            await run_in_executor(gate.hold, timeout=0.01)
        found = collect()
        assert found.value("body.timed_out", **here) == 1
        assert found.value("body.abandoned", **here) == 1
        assert found.value("body.active", **here) == 1
        gate.open.set()
        limiter_of(current_portal(), get_executor()).endpoint("unused")
        unused = {"executor": "default", "endpoint": "unused"}
        assert collect().value("body.active", **unused) is None

    asyncio.run(main())


@pytest.fixture
def counted(monkeypatch):
    """Have these stalls and loops seen."""

    def see(found=(), loops=()):
        monkeypatch.setattr(otel_metrics, "stalls", lambda: tuple(found))
        for module in (otel_metrics, snapshot):
            monkeypatch.setattr(module, "loop_statistics", lambda: tuple(loops))

    return see


def test_stalls(collect, counted):
    """The places of an endpoint are one row."""
    counts = StallCounts()
    for seconds, endpoint in ((0.2, "A.get"), (3.0, "A.get"), (0.5, "B.get")):
        counts.add(Stall(seconds, True, "handler", "", "", endpoint))
    counted(found=counts.get())
    found = collect()
    assert found.value("eventloop.stall.count", endpoint="A.get") == 2
    assert found.value("eventloop.stall.time", endpoint="A.get") == pytest.approx(3.2)
    assert found.value("eventloop.stall.count", endpoint="B.get") == 1


LOOP = LoopStatistics("a", "selector", 10.0, 5.0, 9, 0.1, 1.0, 2.0, 1, 0.0, None)
STALL = Stall(1.0, False, "handler", "", "", "A.get")


def of_loop(found: Collected, name: str, state: str = "") -> Any:
    states = {"eventloop.state": state} if state else {}
    return found.value(f"eventloop.{name}", eventloop="a", **states)


def test_loops(collect, counted):
    """Averages are of the time since the last collection, as Node has them."""
    counted(loops=[LOOP])
    found = collect()
    assert of_loop(found, "utilization") == 0.5
    assert of_loop(found, "delay.mean") == pytest.approx(0.1)
    assert of_loop(found, "delay.max") == 1.0
    assert of_loop(found, "time", "active") == 5.0
    assert of_loop(found, "time", "idle") == 5.0
    later = LOOP._replace(watched=20.0, busy=6.0, lag=0.3)
    counted(loops=[later])
    found = collect()
    assert of_loop(found, "utilization") == pytest.approx(0.1)
    assert of_loop(found, "delay.mean") == pytest.approx(0.5)  # (6 - 1) / 10


def test_two_readers(collect, counted):
    """Who collects right after another gets what that got."""
    counted(loops=[LOOP])
    collect()
    counted(loops=[LOOP._replace(watched=10.5, busy=5.5)])
    assert of_loop(collect(), "utilization") == 0.5
    counted(loops=[LOOP._replace(watched=11.0, busy=6.0)])
    assert of_loop(collect(), "utilization") == 1.0


def test_a_loop_that_is_stalled(collect, counted):
    """It is busy, though its turn is counted when it ends."""
    counted(loops=[LOOP._replace(busy=0.0, stall=STALL)])
    assert of_loop(collect(), "utilization") == 1.0


def test_another_loop_of_the_same_name(collect, counted):
    """Averages begin anew; one that is watched for no time yet has none."""
    counted(loops=[LOOP])
    collect()
    counted(loops=[LOOP._replace(watched=2.0, busy=1.0)])
    assert of_loop(collect(), "utilization") == 0.5
    counted(loops=[LOOP._replace(watched=0.0, busy=0.0)])
    assert of_loop(collect(), "utilization") == 0.0


def test_heartbeats_and_nameless_loops(collect, counted):
    """A heartbeat does not know how busy a loop is; status pages are left out."""
    counted(
        loops=[
            LOOP._replace(busy=None, measured_by="heartbeat"),
            LOOP._replace(name=""),
            LOOP._replace(name="unblock-status 8889"),
        ]
    )
    found = collect()
    assert of_loop(found, "utilization") is None
    assert of_loop(found, "time", "active") is None
    assert of_loop(found, "delay.mean") == pytest.approx(0.1)
    assert len(found.metrics[f"{PREFIX}eventloop.delay.max"].data.data_points) == 1


def test_a_loop_that_is_watched(collect):
    """A watch that is kept shows, without more ado."""

    async def main():
        kept = watch(60.0)
        while not any(lo.turns and lo.name for lo in loop_statistics()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        (loop,) = loop_statistics()
        share = collect().value("eventloop.utilization", eventloop=loop.name)
        kept.stop()
        assert 0 < share <= 1

    asyncio.run(main())
