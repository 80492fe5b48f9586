"""The span of a request is told of its hops: the real SDK, in every mode."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.unit.conftest import all_quiet, read
from tornado_unblock import (
    configure,
    run_in_executor,
    shim,
    statistics,
    unblock,
    unblock_application,
)

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.instrumentation.tornado import TornadoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tornado_unblock import opentelemetry

PREFIX = "tornado_unblock."
MODES = ["method", "class", "application", "run_in_executor"]


class Traced:
    """What was traced, by a provider of the test's own."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    def work(self) -> None:
        with self.tracer.start_as_current_span("work"):
            pass

    def span(self, kind: str = "SERVER") -> Any:
        """Return the only span of this kind, or None."""
        found = [s for s in self.exporter.get_finished_spans() if s.kind.name == kind]
        assert len(found) < 2
        return found[0] if found else None

    def events(self, span: Any) -> list[tuple[str, dict[str, Any]]]:
        return [(event.name, dict(event.attributes)) for event in span.events]


@pytest.fixture
def traced() -> Iterator[Traced]:
    """OpenTelemetry's own instrumentation of Tornado, and ours."""
    found = Traced()
    instrumentor = TornadoInstrumentor()
    instrumentor.instrument(tracer_provider=found.provider)
    kept = opentelemetry.instrument(tracer_provider=found.provider)
    yield found
    kept.stop()
    instrumentor.uninstrument()
    found.provider.shutdown()


def serve(make_server: Any, mode: str, body: Any, **options: Any) -> Any:
    """Serve a handler with this body of ``get``, moved in this mode."""

    class Orders(RequestHandler):
        def get(self) -> None:
            self.write(body())

    cls: Any = Orders
    if mode == "method":
        cls.get = unblock(**options)(cls.get)
    elif mode == "class":
        cls = unblock(**options)(cls)
    elif mode == "run_in_executor":

        async def get(self: Any) -> None:
            self.write(await run_in_executor(body, **options))

        cls.get = get
    server = make_server()
    app = Application([("/orders", cls)])
    if mode == "application":
        unblock_application(app, **options)
    server.call(server.server.stop)
    server.serve(app)
    return server


def ended(server: Any, traced: Traced) -> Any:
    """Return the span of the request, once it has ended and all is quiet."""
    server.until(traced.span)
    server.call(all_quiet)
    return traced.span()


@pytest.fixture
def allow_detach(allow_log: Any) -> None:
    """OpenTelemetry complains of a context that is detached in another.

    It attaches in ``prepare`` and detaches in ``on_finish``, or where an error is
    logged: not in one hop with a method alone, or when a body was abandoned.
    """
    allow_log("opentelemetry.context", "Failed to detach context")


by_mode = pytest.mark.parametrize("mode", MODES)


@by_mode
def test_time_in_line(make_server, traced, mode, gate, allow_detach):
    """The span says where its body ran, and for how long it was in line."""
    configure(max_workers=1)

    def body():
        traced.work()
        return "done"

    server = serve(make_server, mode, body)
    held = server.call(gate.hold_worker)
    client = server.send("/orders")

    def waits() -> bool:
        rows = statistics()["default"].endpoints.values()
        return any(row.waiting for row in rows)

    server.until(waits)
    gate.open.set()
    assert read(client).body == b"done"
    span = ended(server, traced)
    assert held.done()
    ((name, attributes),) = traced.events(span)
    assert name == f"{PREFIX}started"
    assert attributes[f"{PREFIX}executor.name"] == "default"
    assert attributes[f"{PREFIX}endpoint.name"].rpartition(".")[2] in ("get", "body")
    assert attributes[f"{PREFIX}queue.duration"] > 0
    assert attributes["thread.name"].startswith("unblock-")
    work = traced.span("INTERNAL")
    assert work.parent.span_id == span.context.span_id
    assert traced.events(work) == []


@by_mode
def test_an_exception(make_server, traced, mode, expect_log, log_lines, allow_detach):
    """It is on the span once, and in the log once."""
    expect_log("tornado.application", "Uncaught exception GET /orders")
    expect_log("tornado.access", "^500")

    def body():
        raise LookupError("no such order")

    server = serve(make_server, mode, body)
    assert server.get("/orders").status == 500
    span = ended(server, traced)
    assert [name for name, _ in traced.events(span)] == [
        f"{PREFIX}started",
        "exception",
    ]
    assert span.status.status_code.name == "ERROR"
    lines = [line for line in log_lines if not line.startswith("Failed to detach")]
    assert len(lines) == 2


@by_mode
def test_abandonment(make_server, traced, mode, expect_log, gate, allow_detach):
    """The span says that its body was abandoned, why, and where that stood."""
    expect_log("tornado.application", "still running after 0.01 s")
    expect_log("tornado.general", "504 GET /orders")
    expect_log("tornado.access", "^504")
    server = serve(make_server, mode, gate.hold, timeout=0.01)
    assert server.get("/orders").status == 504
    gate.open.set()
    span = ended(server, traced)
    events = dict(traced.events(span))
    assert list(events) in (
        [f"{PREFIX}started", f"{PREFIX}abandoned", "exception"],
        # It was over before it began.
        ["exception"],
    )
    if len(events) > 1:
        attributes = events[f"{PREFIX}abandoned"]
        why = attributes[f"{PREFIX}abandoned.reason"]
        assert why == "its timeout of 0.01 s is over"
    assert events["exception"]["exception.type"] == "tornado_unblock.RunTimeoutError"


def test_where_an_abandoned_body_stands(traced, gate):
    """Its stack is on the span."""

    async def main():
        with traced.tracer.start_as_current_span("request"):
            held = await gate.hold_worker()
            held.cancel()
            gate.open.set()

    asyncio.run(main())
    span = traced.span("INTERNAL")
    events = traced.events(span)
    assert [name for name, _ in events][-1] == f"{PREFIX}abandoned"
    assert "in hold" in events[-1][1]["code.stacktrace"]
    reason = events[-1][1][f"{PREFIX}abandoned.reason"]
    assert reason == "whoever awaited it was cancelled"


def test_a_span_that_has_ended(traced, gate):
    """It is told nothing more: the SDK would complain."""

    async def main():
        with traced.tracer.start_as_current_span("request"):
            held = await gate.hold_worker()
        held.cancel()
        gate.open.set()

    asyncio.run(main())
    names = [name for name, _ in traced.events(traced.span("INTERNAL"))]
    assert set(names) == {f"{PREFIX}started"}


def test_processes(traced):
    """The span around a call to processes says for how long that was in line."""
    configure("cpu", processes=1)

    async def main():
        with traced.tracer.start_as_current_span("request"):
            assert await run_in_executor(abs, -7, executor="cpu") == 7

    asyncio.run(main())
    ((name, attributes),) = traced.events(traced.span("INTERNAL"))
    assert name == f"{PREFIX}started"
    assert attributes[f"{PREFIX}executor.name"] == "cpu"


def test_a_process_that_is_abandoned(traced):
    """Nobody sees where it stands."""
    configure("cpu", processes=1)

    async def main():
        with traced.tracer.start_as_current_span("request"):
            future = run_in_executor(abs, -7, executor="cpu")
            future.cancel()
        await run_in_executor(abs, -7, executor="cpu")

    asyncio.run(main())
    names = dict(traced.events(traced.span("INTERNAL")))
    assert list(names) == [f"{PREFIX}started", f"{PREFIX}abandoned"]
    assert "code.stacktrace" not in names[f"{PREFIX}abandoned"]


def test_spans_that_begin_in_a_body(traced):
    """Of several without a parent the first is the hop's; children are nobody's."""

    def body():
        with traced.tracer.start_as_current_span("first"):
            traced.work()
        with traced.tracer.start_as_current_span("second"):
            pass

    async def main():
        await run_in_executor(body)

    asyncio.run(main())
    spans = traced.exporter.get_finished_spans()
    told = {span.name: len(span.events) for span in spans}
    assert told == {"first": 1, "work": 0, "second": 0}


def test_what_a_coroutine_of_a_body_calls(traced):
    """A function that its own thread waits for was in no line: no event."""

    @shim.dual
    def leaf():
        traced.work()  # a child of the request's span
        return 7

    async def coroutine():
        return await leaf.aio()

    def body():
        with traced.tracer.start_as_current_span("request"):
            assert shim.wait(coroutine()) == 7

    async def main():
        await run_in_executor(body)

    asyncio.run(main())
    spans = {span.name: span for span in traced.exporter.get_finished_spans()}
    ((_, attributes),) = traced.events(spans["request"])
    assert attributes[f"{PREFIX}endpoint.name"].endswith("body")
    assert traced.events(spans["work"]) == []
    assert spans["work"].parent.span_id == spans["request"].context.span_id


def test_exemplars(traced):
    """A histogram leads to a trace."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    opentelemetry.instrument(tracer_provider=traced.provider).stop()
    kept = opentelemetry.instrument(meters, traced.provider)

    async def main():
        with traced.tracer.start_as_current_span("request"):
            await run_in_executor(abs, -7)

    asyncio.run(main())
    (resource,) = reader.get_metrics_data().resource_metrics
    (ran,) = [
        metric
        for metric in resource.scope_metrics[0].metrics
        if metric.name == f"{PREFIX}body.duration"
    ]
    (exemplar,) = ran.data.data_points[0].exemplars
    assert exemplar.span_id == traced.span("INTERNAL").context.span_id
    kept.stop()
    meters.shutdown()


def test_nothing_is_kept(traced):
    """A hop that is gone leaves nothing behind."""

    async def main():
        with traced.tracer.start_as_current_span("request"):
            await run_in_executor(abs, -7)

    asyncio.run(main())
    gc.collect()
    kept = opentelemetry.instrument(tracer_provider=traced.provider)
    assert len(kept._spans._known) == 0


def test_after_the_end(traced):
    """What was stopped hears of no spans any more."""

    def body():
        opentelemetry.instrument(tracer_provider=traced.provider).stop()
        traced.work()

    async def main():
        await run_in_executor(body)

    asyncio.run(main())
    assert traced.events(traced.span("INTERNAL")) == []


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What is logged at warning or above."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Keep(logging.WARNING)
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
