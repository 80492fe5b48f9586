"""Who asks: set at the beginning of a request or a script, seen by all it calls."""

import contextvars

request_id = contextvars.ContextVar("request_id", default="-")
