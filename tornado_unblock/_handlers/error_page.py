"""The error page of a request whose handler is still held by a worker.

Of such a handler the loop thread may believe nothing: its ``_headers_written`` and
``_finished`` say what the body has asked for, not what has left. So the page is made by
a copy of it, which is told what has been sent.

# Threads: the loop thread; `answer_error` where the handler is held.
"""

from __future__ import annotations

import contextlib
import logging
from http.cookies import SimpleCookie
from typing import Any

from tornado.util import ObjectDict
from tornado.web import RequestHandler

from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.response import ResponseWriter
from tornado_unblock._errors import AbandonedError, log, safe_repr
from tornado_unblock._handlers.hooks import Hook
from tornado_unblock._handlers.results import client_gone
from tornado_unblock._loop.lease import running_loop


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
    make = handler.application.transforms
    if not writer.sent and len(handler._transforms or ()) == len(make):
        # Not those of the body, which may be at work with them.
        twin._transforms = [transform(request) for transform in make]
    if hasattr(handler, "_new_cookie"):
        twin._new_cookie = SimpleCookie()
        dict.update(twin._new_cookie, handler._new_cookie)
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
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{cls.__name__.lstrip('_')}{name}"
            try:
                setattr(twin, name, getattr(handler, name))
            except AttributeError:
                pass  # it has no value


def answer_error(handler: RequestHandler, error: BaseException) -> None:
    """Have Tornado answer ``error``, and its client answered whatever that raises.

    Tornado logs what ``log_exception`` and ``write_error`` raise, and goes on. So it is
    here with what Tornado lets through: errors of ``send_error``, errors that refuse to
    be asked what they are, and `SystemExit`, which must not end more than a request.

    Args:
        handler: Held by the calling thread.
        error: What its method raised.
    """
    begun = handler._headers_written
    try:
        type(handler)._handle_request_exception(handler, error)
        if begun and not handler._finished:
            _give_up(handler)  # Tornado has said why
    except BaseException as failure:
        kind = type(failure)
        if issubclass(kind, KeyboardInterrupt) and running_loop() is not None:
            raise  # Ctrl-C, on the loop thread
        if issubclass(kind, Exception):
            log(logging.ERROR, "Exception in exception handler", error=failure)
        else:
            name, what = type(handler).__qualname__, safe_repr(failure)
            message = "%s raised %s for an error page; only its request ends"
            log(logging.ERROR, message, name, what, error=failure)
        try:
            _answer_plainly(handler)
        except Exception as last:
            if not issubclass(type(last), AbandonedError):
                log(logging.ERROR, "Exception in exception handler", error=last)
            _give_up(handler)


def _answer_plainly(handler: RequestHandler) -> None:
    if handler._finished or client_gone(handler):
        return
    connection: Any = handler.request.connection
    if type(connection) is RequestConnection and running_loop() is not None:
        # It says what was asked for, which may have failed.
        handler._headers_written = connection.writer.sent
    if not handler._headers_written:
        handler.clear()
        handler.set_status(500)
        handler._transforms = []
    handler.finish()


def _give_up(handler: RequestHandler) -> None:
    """Close the connection of what cannot be answered: its client waits for nothing."""
    connection: Any = handler.request.connection
    with contextlib.suppress(AbandonedError):  # whoever took it answers
        connection.close()
