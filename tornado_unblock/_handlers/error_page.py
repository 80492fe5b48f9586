"""The error page of a request whose handler is still held by a worker.

Of such a handler the loop thread may believe nothing: its ``_headers_written`` and
``_finished`` say what the body has asked for, not what has left. So the page is made by
a copy of it, which is told what has been sent.

# Threads: the loop thread.
"""

from __future__ import annotations

from typing import Any

from tornado.util import ObjectDict
from tornado.web import RequestHandler

from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.response import ResponseWriter
from tornado_unblock._handlers.hooks import Hook


def copy_for_error_page(
    handler: RequestHandler, writer: ResponseWriter
) -> RequestHandler:
    """Return a copy of ``handler`` that can render an error page beside it.

    Args:
        handler: A worker may be using it, and goes on.
        writer: Its response, to which the copy has a right of its own.
    """
    twin: RequestHandler = object.__new__(type(handler))
    # One step, so that the worker cannot add an attribute in the middle of it.
    own = vars(handler).copy()
    vars(twin).update((n, v) for n, v in own.items() if not isinstance(v, Hook))
    _copy_slots(handler, twin)
    request: Any = object.__new__(type(handler.request))
    vars(request).update(vars(handler.request).copy())
    request.connection = RequestConnection(writer)
    twin.request = request
    twin._write_buffer = []
    twin._headers_written = writer.sent
    twin._finished = writer.ended
    if handler.ui is not None:
        # Its functions are bound to the handler: bind them to the copy.
        modules = handler.ui["modules"]
        methods = handler.application.ui_methods.items()
        twin.ui = ObjectDict((n, twin._ui_method(m)) for n, m in methods)
        twin.ui["_tt_modules"] = twin.ui["modules"] = type(modules)(
            twin, handler.application.ui_modules
        )
    return twin


def _copy_slots(handler: object, twin: object) -> None:
    for cls in type(handler).__mro__:
        names = vars(cls).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name in ("__dict__", "__weakref__"):
                continue
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{cls.__name__.lstrip('_')}{name}"
            try:
                setattr(twin, name, getattr(handler, name))
            except AttributeError:
                pass  # it has no value
