"""The exporter, with the real `prometheus_client`."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tornado_unblock import RejectedError, configure, run_in_executor

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
