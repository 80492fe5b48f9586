"""A copy of a handler that renders an error page while a worker holds the handler."""

from __future__ import annotations

import copy
from typing import cast

from tornado.util import ObjectDict
from tornado.web import RequestHandler

from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._handlers.hooks import Hook


def stand_in_for(handler: RequestHandler) -> RequestHandler:
    """Return a copy of ``handler`` that can render an error page beside it."""
    twin: RequestHandler = object.__new__(type(handler))
    own = {n: v for n, v in vars(handler).items() if not isinstance(v, Hook)}
    vars(twin).update(own)
    twin.request = copy.copy(handler.request)
    # What the worker believes may still have been on its way.
    connection = cast("RequestConnection", handler.request.connection)
    twin._headers_written = connection.writer.sent
    if handler.ui is not None:
        # Its functions are bound to the handler: bind them to the copy.
        modules = handler.ui["modules"]
        methods = handler.application.ui_methods.items()
        twin.ui = ObjectDict((n, twin._ui_method(m)) for n, m in methods)
        twin.ui["_tt_modules"] = twin.ui["modules"] = type(modules)(
            twin, handler.application.ui_modules
        )
    return twin
