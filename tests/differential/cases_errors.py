"""Bodies that fail, and what then answers and logs."""

from __future__ import annotations

import asyncio
import re

from tornado.web import Finish, HTTPError, MissingArgumentError, RequestHandler

from tests.differential.table import Table, request

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
