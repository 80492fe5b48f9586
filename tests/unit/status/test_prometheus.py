"""The exporter, with the real `prometheus_client`."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tornado_unblock import (
    LoopStatistics,
    Place,
    RejectedError,
    Stall,
    configure,
    loop_statistics,
    run_in_executor,
    watch,
)
from tornado_unblock._stalls.counts import StallCounts

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def exported():
    """Return the exporter's registry, and what it says."""
    from tornado_unblock import prometheus

    registry = prometheus_client.CollectorRegistry()
    collector = prometheus.register(registry)
    yield registry
    registry.unregister(collector)


def value(registry, name, **labels):
    labels = {"executor": "reports", **labels}
    return registry.get_sample_value(f"tornado_unblock_{name}", labels)


def test_export(exported):
    """Each number under its name, with its labels."""
    configure("reports", max_workers=1, max_waiting=0)

    async def main() -> None:
        future = run_in_executor(int, executor="reports")
        with pytest.raises(RejectedError):
            run_in_executor(abs, 7, executor="reports")
        await future

    asyncio.run(main())
    assert value(exported, "completed_total", endpoint="int") == 1
    assert value(exported, "failed_total", endpoint="int") == 0
    assert value(exported, "rejected_total", endpoint="abs", reason="full") == 1
    assert value(exported, "waiting", endpoint="int") == 0
    assert value(exported, "running", endpoint="int") == 0
    assert value(exported, "run_seconds_count", endpoint="int") == 1
    assert value(exported, "run_seconds_bucket", endpoint="int", le="+Inf") == 1
    assert value(exported, "queue_seconds_bucket", endpoint="int", le="60.0") == 1
    assert value(exported, "queue_seconds_sum", endpoint="int") > 0
    assert b"tornado_unblock_run_seconds_bucket" in prometheus_client.generate_latest(
        exported
    )


def test_gauges_of_a_loop_that_runs(exported):
    """Tokens and threads; processes have no threads to count."""
    configure("reports", max_workers=3)
    configure("cpu", processes=1)

    async def main() -> None:
        await run_in_executor(int, executor="reports")
        assert value(exported, "total_tokens") == 3
        assert value(exported, "borrowed_tokens") == 0
        assert value(exported, "threads") == 1
        assert await run_in_executor(abs, -7, executor="cpu") == 7
        assert value(exported, "total_tokens", executor="cpu") == 1
        assert value(exported, "threads", executor="cpu") is None

    asyncio.run(main())


def test_oldest_waiter(exported, gate):
    """For how long the first in line waits; nobody is no time."""
    configure("reports", max_workers=1)

    async def main() -> None:
        held = await gate.hold_worker(executor="reports")
        assert value(exported, "oldest_waiter_seconds") == 0
        waiting = run_in_executor(int, executor="reports")
        assert value(exported, "oldest_waiter_seconds") > 0
        gate.open.set()
        await asyncio.gather(held, waiting)

    asyncio.run(main())
    assert value(exported, "oldest_waiter_seconds") == 0


def test_twice_in_one_registry(exported):
    """The registry refuses what it has already."""
    from tornado_unblock import prometheus

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        prometheus.register(exported)


def test_the_library_does_without(child_env, tmp_path):
    """Nothing but the exporter imports it."""
    script = "import sys, tornado_unblock; print('prometheus_client' in sys.modules)"
    command = [sys.executable, "-c", script]
    output = subprocess.check_output(command, env=child_env, cwd=tmp_path)
    assert output == b"False\n"


@pytest.fixture
def counted(monkeypatch):
    """Have the exporter see these stalls and loops."""
    from tornado_unblock.status import prometheus

    def see(found=(), loops=()):
        monkeypatch.setattr(prometheus, "stalls", lambda: tuple(found))
        monkeypatch.setattr(prometheus, "loop_statistics", lambda: tuple(loops))

    return see


def test_stalls(exported, counted):
    """The places of an endpoint are one row."""
    counts = StallCounts()
    place = Place("orders.py", 7, "load", "")
    for seconds, where in ((0.2, place), (3.0, place), (0.4, None)):
        stall = Stall(seconds, True, "handler", "", "", "Orders.get", place=where)
        counts.add(stall)
    counted(found=counts.get())
    name, labels = "tornado_unblock_stall", {"endpoint": "Orders.get"}
    assert exported.get_sample_value(f"{name}_seconds_count", labels) == 3
    assert exported.get_sample_value(f"{name}_seconds_sum", labels) == pytest.approx(
        3.6
    )
    assert exported.get_sample_value(f"{name}_longest_seconds", labels) == 3.0
    below = {**labels, "le": "0.5"}
    assert exported.get_sample_value(f"{name}_seconds_bucket", below) == 2


def test_loops(exported, counted):
    """Loops of one name are one row; what a heartbeat cannot know is left out."""
    first = LoopStatistics("a", "selector", 10.0, 5.0, 9, 0.1, 1.0, 2.0, 1, 0.0, None)
    beats = first._replace(name="b", measured_by="heartbeat", busy=None)
    counted(loops=[first, first._replace(busy=2.0, lag=0.3), beats])

    def value(field, loop):
        return exported.get_sample_value(
            f"tornado_unblock_loop_{field}", {"loop": loop}
        )

    assert value("utilization", "a") == 0.5
    assert value("utilization", "b") is None
    assert value("lag_seconds", "a") == 0.3
    assert value("longest_turn_seconds", "b") == 1.0
    assert value("busy_seconds_total", "a") == 7.0
    assert value("busy_seconds_total", "b") is None
    assert value("stalled_seconds_total", "a") == 4.0


def test_utilization_is_of_late(exported, counted, monkeypatch):
    """Not of all the time since the program began: of that since the last scrape."""
    from tornado_unblock.status import snapshot

    loop = LoopStatistics("a", "selector", 100.0, 1.0, 9, 0.0, 1.0, 2.0, 1, 0.0, None)
    counted(loops=[loop])
    monkeypatch.setattr(snapshot, "loop_statistics", lambda: (loop,))
    labels = {"loop": "a"}
    assert exported.get_sample_value("tornado_unblock_loop_utilization", labels) == 0.01
    counted(loops=[loop._replace(watched=110.0, busy=10.0, lag=1 / 11)])
    value = exported.get_sample_value
    assert value("tornado_unblock_loop_utilization", labels) == pytest.approx(0.9)
    assert value("tornado_unblock_loop_lag_seconds", labels) == pytest.approx(1.0)


def test_a_loop_that_is_watched(exported):
    """A watch that is kept shows in what is exported, without more ado."""

    async def main():
        kept = watch(60.0)
        while not any(loop.turns for loop in loop_statistics()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        (loop,) = loop_statistics()
        labels = {"loop": loop.name}
        exported_share = exported.get_sample_value(
            "tornado_unblock_loop_utilization", labels
        )
        kept.stop()
        assert 0 < exported_share <= 1

    asyncio.run(main())


# -- jobs ----------------------------------------------------------------------------


def test_jobs(exported, tmp_path):
    """Where jobs are configured they are exported too, by state."""
    from tornado_unblock.jobs import default

    def value(name, **labels):
        labels = {"app": default.name, **labels}
        return exported.get_sample_value(f"tornado_unblock_jobs_{name}", labels)

    assert value("up") is None
    with default.testing():
        job = default.job(name="it")(lambda: 1)
        job.later()
        assert value("up") == 1
        assert value("count", state="queued") == 1
        assert value("count", state="dead") == 0
        assert value("failures") == 0
        assert value("oldest_waiting_seconds") >= 0


@pytest.mark.expect_log("tornado.application", "The jobs could not be counted")
def test_jobs_that_cannot_be_counted(exported, monkeypatch):
    """A store that is away is told of, and nothing else is."""
    from tornado_unblock.jobs import default

    def refuse():
        raise OSError("away")

    with default.testing():
        monkeypatch.setattr(default.engine.store, "counts", refuse)
        labels = {"app": default.name}
        value = exported.get_sample_value
        assert value("tornado_unblock_jobs_up", labels) == 0
        assert value("tornado_unblock_jobs_failures", labels) is None


def test_jobs_are_exported_once(exported):
    """Who registers the exporter of jobs itself has each name once."""
    from tornado_unblock.jobs import default, prometheus

    with default.testing():
        collector = prometheus.register(exported)
        assert prometheus.is_exported()
        names = [metric.name for metric in exported.collect()]
        assert names.count("tornado_unblock_jobs_up") == 1
        exported.unregister(collector)
