"""Sentry and OpenTelemetry see a request as inline, and have nothing to complain of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.web import Application, HTTPError, RequestHandler

from tests.unit.conftest import all_quiet
from tornado_unblock import unblock, unblock_application
from tornado_unblock._executors.functions import is_async

#: Modes in which `unblock` is on methods, as far as they are sync.
METHODS = {
    "verb": ("get",),
    "prepare": ("prepare",),
    "hooks": ("prepare", "get", "on_finish"),
}
MODES = ["class", "application", *METHODS]


def serve(make_server: Any, base: Any, mode: str) -> Any:
    """Serve a fresh class made of ``base``, moved in this mode."""
    cls = type(base.__name__, (base,), {"__module__": base.__module__})
    cls.__qualname__ = base.__qualname__
    for name in METHODS.get(mode, ()):
        method = getattr(cls, name)
        if not is_async(method):
            setattr(cls, name, unblock(method))
    if mode == "class":
        cls = unblock(cls)
    server = make_server()
    app = Application([("/orders", cls)])
    if mode == "application":
        unblock_application(app)
    server.call(server.server.stop)
    server.serve(app)
    return server


def work() -> None:
    """Be seen by who traces."""


class Sync(RequestHandler):
    def prepare(self) -> None:
        work()

    def get(self) -> None:
        work()
        self.write("done")

    def on_finish(self) -> None:
        work()


class Fails(Sync):
    def get(self) -> None:
        work()
        raise LookupError("no such order")


class Refuses(Sync):
    def get(self) -> None:
        work()
        raise HTTPError(403)


class RefusesInPrepare(Sync):
    def prepare(self) -> None:
        raise HTTPError(401)


class Async(Sync):
    async def get(self) -> None:  # type: ignore[override]
        work()
        await asyncio.sleep(0)
        self.write("done")


class AsyncFails(Sync):
    async def get(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        raise LookupError("no such order")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish("sorry")


class FailsWithPage(Fails):
    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish("sorry")


HANDLERS = [
    *(Sync, Fails, Refuses, RefusesInPrepare, Async, AsyncFails, FailsWithPage),
]

by_handler = pytest.mark.parametrize("base", HANDLERS, ids=lambda base: base.__name__)
by_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(autouse=True)
def _errors(expect_log: Any, base: Any) -> None:
    if base in (Fails, AsyncFails, FailsWithPage):
        expect_log("tornado.application", "Uncaught exception GET /orders")
    if base in (Refuses, RefusesInPrepare):
        expect_log("tornado.access", "^40")
    elif base not in (Sync, Async):
        expect_log("tornado.access", "^500")


# --- OpenTelemetry --------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What OpenTelemetry's own instrumentation of Tornado has traced."""
    pytest.importorskip("opentelemetry.sdk")
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.tornado")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = instrumentation.TornadoInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    tracer = provider.get_tracer("tests")

    def traced() -> None:
        with tracer.start_as_current_span("work"):
            pass

    monkeypatch.setattr(f"{__name__}.work", traced)
    yield exporter
    instrumentor.uninstrument()
    provider.shutdown()


def traced(server: Any, exporter: Any) -> list[Any]:
    """Send a request, and return its spans as names, parents, statuses."""
    exporter.clear()
    server.get("/orders")
    server.until(lambda: any(s.kind.name == "SERVER" for s in spans_of(exporter)))
    server.call(all_quiet)
    names = {span.context.span_id: span.name for span in spans_of(exporter)}
    found = (
        (
            span.name,
            names.get(span.parent.span_id) if span.parent else None,
            span.status.status_code.name,
            str(span.attributes.get("tornado.handler")),
            str(span.attributes.get("http.status_code")),
            tuple(event.name for event in span.events),
        )
        for span in spans_of(exporter)
    )
    return sorted(found, key=repr)


def spans_of(exporter: Any) -> Any:
    return exporter.get_finished_spans()


@by_mode
@by_handler
def test_opentelemetry(make_server, spans, base, mode):
    """Spans are named and nested as inline, and each token is detached."""
    inline = traced(serve(make_server, base, "inline"), spans)
    assert traced(serve(make_server, base, mode), spans) == inline


# --- Sentry ---------------------------------------------------------------------------


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What Sentry's own integration for Tornado would have sent."""
    sentry_sdk = pytest.importorskip("sentry_sdk")
    from sentry_sdk.integrations.tornado import TornadoIntegration
    from sentry_sdk.transport import Transport

    sent: list[Any] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.extend(item.payload.json for item in envelope.items)

    execute, log = RequestHandler._execute, RequestHandler.log_exception
    sentry_sdk.init(
        dsn="https://key@sentry.invalid/1",
        transport=Kept,
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[TornadoIntegration()],
        auto_enabling_integrations=False,
        enable_backpressure_handling=False,  # a thread that outlives the test
    )

    def traced() -> None:
        with sentry_sdk.start_span(name="work"):
            sentry_sdk.set_tag("worked", "yes")

    monkeypatch.setattr(f"{__name__}.work", traced)
    yield sent
    sentry_sdk.get_client().close()
    # One that does nothing, and leaves the rest of Python alone.
    sentry_sdk.init(
        default_integrations=False,
        auto_enabling_integrations=False,
        enable_backpressure_handling=False,
    )
    from sentry_sdk import integrations

    integrations._processed_integrations.discard("tornado")
    integrations._installed_integrations.discard("tornado")
    RequestHandler._execute = execute  # type: ignore[method-assign]
    RequestHandler.log_exception = log  # type: ignore[method-assign]


def reported(server: Any, events: list[Any]) -> list[Any]:
    """Send a request, and return what is reported of it."""
    events.clear()
    server.get("/orders")
    server.until(lambda: any(e.get("type") == "transaction" for e in events))
    server.call(all_quiet)
    found = (
        (
            str(event.get("type")),
            event.get("transaction"),
            event.get("contexts", {}).get("trace", {}).get("status"),
            event.get("request", {}).get("url", "").rpartition("/")[2],
            tuple(span["description"] for span in event.get("spans", ())),
            event.get("tags", {}).get("worked"),
            tuple(
                value["type"] for value in event.get("exception", {}).get("values", ())
            ),
        )
        for event in events
    )
    return sorted(found, key=repr)


@by_mode
@by_handler
def test_sentry(make_server, events, base, mode):
    """Transactions and errors have the names, the spans and the request of inline."""
    inline = reported(serve(make_server, base, "inline"), events)
    assert reported(serve(make_server, base, mode), events) == inline
