"""Metrics and events of spans for OpenTelemetry; the extra ``opentelemetry``.

    from tornado_unblock import opentelemetry

    opentelemetry.instrument()

What there is, and how, is told in `tornado_unblock.status.opentelemetry`.
"""

from tornado_unblock.status.opentelemetry import Instrumentation, instrument

__all__ = ["Instrumentation", "instrument"]
