"""Bodies that fail, and what then answers and logs."""

from __future__ import annotations

import asyncio
import re
import sys
import traceback
from typing import Any

from tornado.log import app_log
from tornado.web import Finish, HTTPError, MissingArgumentError, RequestHandler

from tests.differential.harness import Site, Table, request

table = Table("errors")


class QuietError(Exception):
    """One whose text fails, too."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def own_frames(data: bytes) -> bytes:
    """Leave only this module's frames in a traceback, and no length."""
    frame = rb'  File "([^"]*)", line \d+, in .*\n(?:    .*\n)*'
    data = re.sub(
        frame, lambda m: m[0] if m[1].endswith(b"cases_errors.py") else b"", data
    )
    return re.sub(rb"Content-Length: \d+", b"Content-Length: <length>", data)


# --- raised -----------------------------------------------------------------------


@table.body()
def http_error(self: RequestHandler) -> None:
    raise HTTPError(404)


@table.body()
def http_error_with_reason(self: RequestHandler) -> None:
    raise HTTPError(400, "said: %s", "50 % off", reason="Not Today")


@table.body()
def http_error_with_percent(self: RequestHandler) -> None:
    """A message without arguments is not a format."""
    raise HTTPError(403, "100 % wrong %s %d")


@table.body()
def http_error_with_arguments(self: RequestHandler) -> None:
    raise HTTPError(502, "%s is %d %% down", "backend", 40)


@table.body()
def http_error_of_unknown_status(self: RequestHandler) -> None:
    raise HTTPError(599, reason="Network Read Timeout")


@table.body()
def http_error_from_a_cause(self: RequestHandler) -> None:
    try:
        {}["key"]
    except KeyError as error:
        raise HTTPError(500, "lookup failed") from error


@table.body(since=(6, 6))
def http_error_304(self: RequestHandler) -> None:
    """Before 6.6 the error page fails, and the client waits for ever."""
    raise HTTPError(304)


@table.body(since=(6, 6))
def http_error_204(self: RequestHandler) -> None:
    raise HTTPError(204)


@table.body()
def http_error_after_write(self: RequestHandler) -> None:
    self.write("dropped")
    self.set_header("X-Dropped", "1")
    self.set_cookie("kept", "1")
    raise HTTPError(409)


@table.body()
def finish_raised(self: RequestHandler) -> None:
    self.set_status(401)
    self.set_header("WWW-Authenticate", "Basic")
    self.write("as it is")
    raise Finish


@table.body()
def finish_raised_with_chunk(self: RequestHandler) -> None:
    self.write("and ")
    raise Finish("a chunk")


@table.body()
def finish_raised_after_flush(self: RequestHandler) -> None:
    self.write("a")
    self.flush()
    self.write("b")
    raise Finish({"c": 1})


@table.body()
def finish_raised_after_finish(self: RequestHandler) -> None:
    self.finish("done")
    raise Finish


@table.body()
def missing_argument(self: RequestHandler) -> None:
    raise MissingArgumentError("made up")


@table.body()
def argument_missing(self: RequestHandler) -> None:
    self.get_argument("q")


@table.body()
def any_exception(self: RequestHandler) -> None:
    raise ZeroDivisionError("division by zero")


@table.body()
def any_exception_with_a_cause(self: RequestHandler) -> None:
    try:
        int("x")
    except ValueError as error:
        raise RuntimeError("žádný") from error


@table.body()
def any_exception_after_write(self: RequestHandler) -> None:
    self.set_status(201)
    self.write("dropped")
    raise KeyError("x")


@table.body()
def timeout_error(self: RequestHandler) -> None:
    raise asyncio.TimeoutError


@table.body()
def exception_without_text(self: RequestHandler) -> None:
    raise QuietError


@table.body(settings={"serve_traceback": True}, normalise=own_frames)
def traceback_served(self: RequestHandler) -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


@table.body(settings={"serve_traceback": True}, normalise=own_frames)
def traceback_of_http_error_served(self: RequestHandler) -> None:
    raise HTTPError(418, "message")


@table.body(request(method="POST", body=b"", close=False), request())
def connection_goes_on_after_an_error(self: RequestHandler) -> None:
    if self.request.method == "POST":
        raise ValueError("once")
    self.write("fine")


# --- send_error and its hooks -------------------------------------------------------


@table.body()
def send_error(self: RequestHandler) -> None:
    self.write("dropped")
    self.send_error(503)


@table.body()
def send_error_with_reason(self: RequestHandler) -> Any:
    return self.send_error(503, reason="Tea Time")


@table.body()
def send_error_after_flush(self: RequestHandler) -> None:
    self.write("sent")
    self.flush()
    self.send_error(500)


@table.body()
def send_error_after_finish(self: RequestHandler) -> None:
    self.finish("sent")
    self.send_error(500)


@table.case()
def send_error_with_kwargs() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.send_error(422, detail="too odd", reason="Odd")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.set_header("X-Detail", kwargs["detail"])
            self.finish({"status": status_code, "reason": self._reason})

    return Handler


@table.case()
def write_error_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            kind, error, _ = kwargs["exc_info"]
            self.set_header("Content-Type", "text/plain")
            self.write(f"{status_code} {kind.__name__} {error}")

    return Handler


@table.case()
def write_error_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write("half")
            raise ValueError("in write_error")

    return Handler


@table.case()
def write_error_redirects() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise HTTPError(403)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.redirect(f"/error/{status_code}")

    return Handler


@table.case()
def log_exception_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
            app_log.critical("own log: %s %r", typ.__name__, value, exc_info=value)

    return Handler


@table.case()
def log_exception_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
            raise ValueError("in log_exception")

    return Handler


@table.case()
def request_summary_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise HTTPError(400, "bad")

        def _request_summary(self) -> str:
            return "summary"

    return Handler


@table.case(
    settings={
        "log_function": lambda handler: app_log.info("logged %s", handler.get_status())
    }
)
def log_function_set() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise HTTPError(400)

    return Handler


@table.case()
def write_error_looks_at_the_error() -> Site:
    """The error is the very object that the body raised, being handled."""

    class Handler(RequestHandler):
        def get(self) -> None:
            self.error = LookupError("x")
            raise self.error

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            frames = traceback.extract_tb(kwargs["exc_info"][2])
            self.write(
                {
                    "same": kwargs["exc_info"][1] is self.error,
                    "handled": sys.exc_info()[1] is self.error,
                    "raised in": frames[-1].name,
                    "no context": self.error.__context__ is None,
                }
            )

    return Handler


@table.body()
def cookie_secret_missing(self: RequestHandler) -> None:
    self.set_secure_cookie("a", "b")


@table.body()
def error_handled_by_the_body(self: RequestHandler) -> None:
    try:
        raise KeyError("handled")
    except KeyError:
        self.send_error(409)


# --- in other methods than the verb ---------------------------------------------------


@table.case(moves=False)
def prepare_fails() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> None:
            raise HTTPError(401)

        def get(self) -> None:
            self.write("not reached")

    return Handler


@table.case()
def on_finish_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("sent")

        def on_finish(self) -> None:
            raise ValueError("in on_finish")

    return Handler


@table.case()
def on_finish_fails_after_finish() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.finish("sent")
            app_log.info("not reached")

        def on_finish(self) -> None:
            raise ValueError("in on_finish")

    return Handler


@table.case(request(method="PATCH", body=b"x"), moves=False)
def method_not_implemented() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("not reached")

    return Handler


@table.case(request(method="BREW"), moves=False)
def method_unknown() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("not reached")

    return Handler
