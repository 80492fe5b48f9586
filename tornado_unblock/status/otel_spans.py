"""What OpenTelemetry's span of a request is told of its hops.

A hop has the span that is current where its function begins. With whole requests on
workers there is none yet: what traces requests starts it in ``prepare``, on the worker.
Then it is the first span that begins there, and has no parent in this process.

# Threads: `Spans.began` and `_begins` run in workers, all else on loop threads.
# Guarantees:
# - a span that is not recorded, or has ended, is told nothing;
# - nothing of a hop is kept once it is gone.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Optional

from opentelemetry import trace
from opentelemetry.context import Context

from tornado_unblock._loop.lease import innermost_lease
from tornado_unblock._offload.offload import Offload
from tornado_unblock.status.otel_metrics import PREFIX, place_of

STARTED = f"{PREFIX}started"
ABANDONED = f"{PREFIX}abandoned"


class Spans:
    """The spans of the hops that run.

    Args:
        provider: Who makes them; None: OpenTelemetry's global one, now or later.
    """

    def __init__(self, provider: Optional[trace.TracerProvider]) -> None:
        self.is_on = True
        self._provider = provider
        self._joined = False
        # One key is looked up, set or dropped at a time, and never all: no lock.
        self._known: weakref.WeakKeyDictionary[Offload, trace.Span]
        self._known = weakref.WeakKeyDictionary()

    def began(self, offload: Offload) -> None:
        """Note the span of ``offload``, which begins in this context."""
        if not self._joined:
            self._join(self._provider or trace.get_tracer_provider())
        # What a waiting thread runs was never in line.
        if offload.waiting_thread is None:
            span = trace.get_current_span()
            if span.is_recording():
                self._tell(offload, span)

    def abandoned(self, offload: Offload, why: str) -> None:
        """Tell the span of ``offload`` that nobody waits for that; loop thread."""
        span = self._known.get(offload)
        if span is not None and span.is_recording():
            attributes = {**place_of(offload), f"{PREFIX}abandoned.reason": why}
            stack = offload.stack()
            if stack:
                attributes["code.stacktrace"] = stack
            span.add_event(ABANDONED, attributes)

    def forget(self, offload: Offload) -> Optional[Context]:
        """Forget the span of ``offload``, and return a context with it, if any."""
        span = self._known.pop(offload, None)
        return None if span is None else trace.set_span_in_context(span)

    def _tell(self, offload: Offload, span: trace.Span) -> None:
        self._known[offload] = span
        # What an executor elsewhere runs has not begun there.
        began = offload.started_at or time.monotonic()
        attributes: dict[str, Any] = {
            **place_of(offload),
            f"{PREFIX}queue.duration": max(0.0, began - offload.requested_at),
            "thread.name": threading.current_thread().name,
        }
        span.add_event(STARTED, attributes)

    def _join(self, provider: trace.TracerProvider) -> None:
        """Hear of spans that begin, once there is an SDK to tell of them."""
        add = getattr(provider, "add_span_processor", None)
        if add is not None:
            self._joined = True
            add(_processor(self))

    def _begins(self, span: trace.Span) -> None:
        offload = innermost_lease() if self.is_on else None
        if isinstance(offload, Offload) and offload not in self._known:
            parent = getattr(span, "parent", None)
            if parent is None or parent.is_remote:
                self._tell(offload, span)


def _processor(spans: Spans) -> Any:
    # Not above: programs may have the API alone, and then no provider asks for this.
    from opentelemetry.sdk.trace import Span, SpanProcessor

    class Processor(SpanProcessor):
        def on_start(
            self, span: Span, parent_context: Optional[Context] = None
        ) -> None:
            spans._begins(span)

    return Processor()
