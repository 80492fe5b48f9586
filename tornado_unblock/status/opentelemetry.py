"""Executors, bodies and event loops for OpenTelemetry: metrics, and events on spans.

    from tornado_unblock import opentelemetry

    opentelemetry.instrument()

Metrics, after ``tornado_unblock.``:

| metric | unit | attributes | |
|---|---|---|---|
| ``executor.token.limit`` | {token} | executor | up-down counter |
| ``executor.thread.count`` | {thread} | executor | up-down counter |
| ``executor.oldest_waiter.time`` | s | executor | gauge |
| ``body.active`` | {body} | executor, endpoint | up-down counter |
| ``request.waiting`` | {request} | executor, endpoint | up-down counter |
| ``request.rejected`` | {request} | executor, endpoint, reason | counter |
| ``body.timed_out``, ``body.abandoned`` | {body} | executor, endpoint | counters |
| ``queue.duration`` | s | executor, endpoint | histogram |
| ``body.duration`` | s | executor, endpoint, ``error.type`` | histogram |
| ``eventloop.utilization`` | 1 | loop | gauge |
| ``eventloop.delay.mean``, ``eventloop.delay.max`` | s | loop | gauges |
| ``eventloop.time`` | s | loop, state: active, idle | counter |
| ``eventloop.stall.count`` | {stall} | endpoint | counter |
| ``eventloop.stall.time`` | s | endpoint | counter |

The attributes are ``tornado_unblock.executor.name``, ``tornado_unblock.endpoint.name``,
``tornado_unblock.rejection.reason``, ``tornado_unblock.eventloop.name`` and
``tornado_unblock.eventloop.state``. The last group has values once there was a
`tornado_unblock.watch`.

Events, on the span of the request (or on the one around `tornado_unblock.run_in_executor`):

| event | attributes |
|---|---|
| ``tornado_unblock.started`` | executor, endpoint, ``tornado_unblock.queue.duration`` (seconds in line), ``thread.name`` |
| ``tornado_unblock.abandoned`` | executor, endpoint, ``tornado_unblock.abandoned.reason``, ``code.stacktrace`` |

Exceptions are recorded by whoever made the span, as they are inline.

# Threads: `Instrumentation.began` runs in workers, its other hooks on loop threads; all
# else on any.
# Guarantees:
# - without an instrumentation a body does nothing for it;
# - what providers raise is logged, and ends no body.
"""  # noqa: E501 - tables

from __future__ import annotations

import logging
import threading
import weakref
from typing import Optional

try:
    from opentelemetry import metrics, trace
except ImportError as _error:  # pragma: no cover - shown by a child process
    raise ImportError(
        "tornado_unblock.opentelemetry needs opentelemetry-api: "
        "pip install 'tornado-unblock[opentelemetry]'"
    ) from _error

from tornado_unblock._errors import ConfigurationError, log
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._offload.offload import Offload, observe
from tornado_unblock.status.otel_metrics import Metrics
from tornado_unblock.status.otel_spans import Spans

__all__ = ["Instrumentation", "instrument"]

_lock = threading.Lock()
# Guarded by _lock.
_current: Optional[Instrumentation] = None
# Made once for each provider: instruments cannot be taken back.
_made: weakref.WeakKeyDictionary[metrics.MeterProvider, Metrics]
_made = weakref.WeakKeyDictionary()


class Instrumentation:
    """What `instrument` returns: it lasts until `stop`."""

    def __init__(
        self,
        meter_provider: Optional[metrics.MeterProvider],
        tracer_provider: Optional[trace.TracerProvider],
    ) -> None:
        self._providers = (meter_provider, tracer_provider)
        provider = meter_provider or metrics.get_meter_provider()
        self._metrics = _made.get(provider) or Metrics(provider)
        _made[provider] = self._metrics
        self._metrics.is_on = True
        self._spans = Spans(tracer_provider)

    def stop(self) -> None:
        """Observe nothing any more; any thread. A second call does nothing."""
        global _current
        with _lock:
            if _current is self:
                _current = None
                observe(None)
                self._metrics.is_on = self._spans.is_on = False

    def __repr__(self) -> str:
        return f"<Instrumentation {'on' if _current is self else 'stopped'}>"

    # --- for `observe`: what providers of others raise must not end a body --------

    def began(self, offload: Offload) -> None:
        """Implements `Observer`."""
        try:
            self._spans.began(offload)
        except Exception as error:
            _report(error)

    def abandoned(self, offload: Offload, why: str) -> None:
        """Implements `Observer`."""
        try:
            self._spans.abandoned(offload, why)
        except Exception as error:
            _report(error)

    def ended(self, offload: Offload, error: Optional[BaseException]) -> None:
        """Implements `Observer`."""
        try:
            self._metrics.record(offload, error, self._spans.forget(offload))
        except Exception as own:
            _report(own)


def _report(error: Exception) -> None:
    log(logging.ERROR, "OpenTelemetry could not be told of a body", error=error)


def instrument(
    meter_provider: Optional[metrics.MeterProvider] = None,
    tracer_provider: Optional[trace.TracerProvider] = None,
) -> Instrumentation:
    """Tell OpenTelemetry of executors, bodies and event loops from now on; any thread.

    Call it once, before or after the providers are set, in any order with
    ``TornadoInstrumentor().instrument()``. A forked child goes on with it.

    Args:
        meter_provider: Where metrics go. Default: OpenTelemetry's global one.
        tracer_provider: Whose spans are told of their hops: the one that is given to
            ``TornadoInstrumentor``. Default: OpenTelemetry's global one.

    Returns:
        What ends it; the one there is when it was asked for the same.

    Raises:
        ConfigurationError: An argument is no provider, or there is an instrumentation
            with others already.
    """
    global _current
    _check("meter_provider", meter_provider, metrics.MeterProvider)
    _check("tracer_provider", tracer_provider, trace.TracerProvider)
    with _lock:
        if _current is None:
            _current = Instrumentation(meter_provider, tracer_provider)
            observe(_current)
        elif _current._providers != (meter_provider, tracer_provider):
            raise ConfigurationError(
                "OpenTelemetry is instrumented already, with other providers; call "
                "stop() of what instrument() returned before you ask for these"
            )
        return _current


def _check(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(
            f"opentelemetry.instrument({name}=...) takes a {kind.__name__}, "
            f"not {value!r}"
        )


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


at_fork(Step.STATUS, _after_fork)
