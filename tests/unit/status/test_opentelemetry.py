"""OpenTelemetry, with its real SDK: what `instrument` begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from typing import Any

import pytest

from tornado_unblock import ConfigurationError, configure, run_in_executor

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from tornado_unblock import opentelemetry
from tornado_unblock.status import opentelemetry as room


@pytest.fixture
def providers() -> Any:
    """A meter provider with its reader, and a tracer provider."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    tracers = TracerProvider(shutdown_on_exit=False)
    yield meters, reader, tracers
    tracers.shutdown()
    meters.shutdown()


def names(reader: Any) -> set[str]:
    """Return the metrics that have values."""
    data = reader.get_metrics_data()
    resources = data.resource_metrics if data is not None else []
    return {
        metric.name
        for resource in resources
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.data.data_points
    }


async def one_body() -> None:
    await run_in_executor(abs, -7)


def test_it_lasts_until_it_is_stopped(providers):
    """Nothing is observed before and after; it can begin again, on the same meters."""
    meters, reader, tracers = providers
    asyncio.run(one_body())
    assert names(reader) == set()
    kept = opentelemetry.instrument(meters, tracers)
    assert repr(kept) == "<Instrumentation on>"
    asyncio.run(one_body())
    assert "tornado_unblock.body.duration" in names(reader)
    kept.stop()
    kept.stop()
    assert repr(kept) == "<Instrumentation stopped>"
    before = duration_count(reader)
    asyncio.run(one_body())
    assert "tornado_unblock.body.active" not in names(reader)
    assert duration_count(reader) == before
    again = opentelemetry.instrument(meters, tracers)
    asyncio.run(one_body())
    assert duration_count(reader) == before + 1
    assert "tornado_unblock.body.active" in names(reader)
    again.stop()


def duration_count(reader: Any) -> int:
    (point,) = [
        point
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "tornado_unblock.body.duration"
        for point in metric.data.data_points
    ]
    return int(point.count)


def test_twice(providers):
    """The same providers: the same; others are refused, and told what to do."""
    meters, _, tracers = providers
    kept = opentelemetry.instrument(meters, tracers)
    try:
        assert opentelemetry.instrument(meters, tracers) is kept
        with pytest.raises(ConfigurationError, match="already, with other providers"):
            opentelemetry.instrument()
    finally:
        kept.stop()


def test_what_is_no_provider(providers):
    """Swapped arguments are an error that says what belongs there."""
    meters, _, tracers = providers
    with pytest.raises(ConfigurationError, match="takes a MeterProvider, not <open"):
        opentelemetry.instrument(tracers, meters)
    with pytest.raises(ConfigurationError, match="takes a TracerProvider"):
        opentelemetry.instrument(meters, "otlp")  # type: ignore[arg-type]


class Breaks:
    """Takes the place of what is told, and raises."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)

    is_on = True


def test_what_providers_raise(providers, monkeypatch, expect_log, gate):
    """It is logged, and the body does what it does."""
    meters, _, tracers = providers
    kept = opentelemetry.instrument(meters, tracers)
    monkeypatch.setattr(kept, "_spans", Breaks())
    monkeypatch.setattr(kept, "_metrics", Breaks())
    expect_log("tornado.application", "could not be told of a body")
    configure(max_workers=2)

    async def main():
        held = await gate.hold_worker()
        held.cancel()
        gate.open.set()
        assert await run_in_executor(abs, -7) == 7

    asyncio.run(main())
    kept.stop()


PROVIDERS_COME_LATER = """
    import asyncio

    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )
    from tornado_unblock import opentelemetry, run_in_executor

    def body():
        with trace.get_tracer("app").start_as_current_span("request"):
            pass

    async def main():
        await run_in_executor(body)

    opentelemetry.instrument()
    asyncio.run(main())
    reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    metrics.set_meter_provider(MeterProvider([reader]))
    trace.set_tracer_provider(tracers)
    asyncio.run(main())
    print([[e.name for e in span.events] for span in exporter.get_finished_spans()])
    (resource,) = reader.get_metrics_data().resource_metrics
    # Some versions of the SDK count what they do themselves.
    scopes = resource.scope_metrics
    (ours,) = [each for each in scopes if each.scope.name == "tornado_unblock"]
    print(len(ours.metrics))
"""


def test_providers_that_come_later(run_program):
    """The global providers may be set after it, as programs do in any order."""
    events, count = run_program(PROVIDERS_COME_LATER).splitlines()
    assert events == "[['tornado_unblock.started']]"
    assert int(count) >= 7


def test_without_an_sdk(run_program):
    """With the API alone nothing is recorded, and nothing fails."""
    program = """
        import asyncio, sys
        sys.modules["opentelemetry.sdk"] = None
        from tornado_unblock import opentelemetry, run_in_executor

        async def main():
            print(await run_in_executor(abs, -7))

        kept = opentelemetry.instrument()
        asyncio.run(main())
        print(kept)
    """
    assert run_program(program) == "7\n<Instrumentation on>\n"


def test_without_the_api(run_program):
    """The error names the extra to install."""
    program = """
        import sys
        sys.modules["opentelemetry"] = None
        try:
            from tornado_unblock import opentelemetry
        except ImportError as error:
            print(error)
    """
    assert "pip install 'tornado-unblock[opentelemetry]'" in run_program(program)


def test_the_library_does_without(child_env, tmp_path):
    """Nothing but the extra imports it."""
    script = "import sys, tornado_unblock.status; print('opentelemetry' in sys.modules)"
    command = [sys.executable, "-c", script]
    output = subprocess.check_output(command, env=child_env, cwd=tmp_path)
    assert output == b"False\n"


def test_forked_in_the_middle(providers):
    """Whoever held the lock is gone in a child."""
    meters, _, tracers = providers

    def child() -> None:
        opentelemetry.instrument(meters, tracers).stop()

    with room._lock:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                child()
                os._exit(0)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_forked(run_program):
    """A forked child goes on with it, and may instrument anew."""
    program = """
        import asyncio, os
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from tornado_unblock import opentelemetry, run_in_executor

        reader = InMemoryMetricReader()
        meters = MeterProvider([reader])
        kept = opentelemetry.instrument(meters)

        async def main():
            await run_in_executor(abs, -7)

        if os.fork() == 0:
            asyncio.run(main())
            (resource,) = reader.get_metrics_data().resource_metrics
            print(len(resource.scope_metrics[0].metrics) >= 7, flush=True)
            print(opentelemetry.instrument(meters) is kept, flush=True)
            os._exit(0)
        os.wait()
    """
    assert run_program(program) == "True\nTrue\n"
