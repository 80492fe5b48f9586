"""Bodies that break Tornado's rules: order, lengths, header values."""

from __future__ import annotations

from typing import Any

from tornado.log import app_log
from tornado.web import HTTPError, RequestHandler

from tests.differential.table import Table, request

table = Table("misuse")


# --- after the end ------------------------------------------------------------------


@table.body()
def statements_after_finish(self: RequestHandler) -> None:
    self.finish("sent")
    app_log.info("finished: %s", self._finished)
    self.set_header("X-Late", "1")


@table.body()
def finish_twice(self: RequestHandler) -> None:
    self.finish("once")
    self.finish("twice")


@table.body()
def finish_twice_and_caught(self: RequestHandler) -> None:
    self.finish("once")
    try:
        self.finish()
    except RuntimeError as error:
        app_log.info("caught %s", error)


@table.body()
def write_after_finish(self: RequestHandler) -> None:
    self.finish("once")
    self.write("more")


@table.body()
def flush_after_finish(self: RequestHandler) -> None:
    self.finish("once")
    self.flush()


@table.body()
def render_after_finish(self: RequestHandler) -> None:
    self.finish("once")
    self.render("page.html", title="late", items=[])


@table.body()
def redirect_after_finish(self: RequestHandler) -> None:
    self.finish("once")
    self.redirect("/")


@table.body()
def redirect_after_flush(self: RequestHandler) -> None:
    self.write("sent")
    self.flush()
    self.redirect("/")


@table.body()
def raise_after_finish(self: RequestHandler) -> None:
    self.finish("once")
    raise ValueError("late")


@table.body()
def raise_http_error_after_finish(self: RequestHandler) -> None:
    self.finish("once")
    raise HTTPError(400, "late")


@table.body()
def raise_after_flush(self: RequestHandler) -> None:
    self.write("sent")
    self.flush()
    raise ValueError("too late for a page")


@table.body()
def raise_after_flush_with_length(self: RequestHandler) -> None:
    self.set_header("Content-Length", 100)
    self.write("sent")
    self.flush()
    raise HTTPError(500)


# --- wrong Content-Length -------------------------------------------------------------


@table.body()
def length_too_long(self: RequestHandler) -> None:
    self.set_header("Content-Length", 10)
    self.finish("12345")


@table.body()
def length_too_short(self: RequestHandler) -> None:
    self.set_header("Content-Length", 3)
    self.finish("12345")


@table.body()
def length_too_long_without_finish(self: RequestHandler) -> None:
    self.set_header("Content-Length", 10)
    self.write("12345")


@table.body()
def length_too_short_without_finish(self: RequestHandler) -> None:
    self.set_header("Content-Length", 3)
    self.write("12345")


@table.body()
def length_too_short_with_flush(self: RequestHandler) -> None:
    self.set_header("Content-Length", 3)
    self.write("12")
    self.flush()
    self.write("34")
    self.flush()
    app_log.info("not reached")


@table.body()
def length_too_long_with_flush(self: RequestHandler) -> None:
    self.set_header("Content-Length", 10)
    self.write("12")
    self.flush()
    self.write("34")


@table.body()
def length_error_caught(self: RequestHandler) -> None:
    self.set_header("Content-Length", 3)
    self.write("12")
    self.flush()
    self.write("34")
    try:
        self.flush()
    except Exception as error:
        app_log.info("caught %s: %s", type(error).__name__, error)


@table.body()
def length_is_no_number(self: RequestHandler) -> None:
    self.set_header("Content-Length", "many")
    self.write("12")


@table.body()
def length_negative(self: RequestHandler) -> None:
    self.set_header("Content-Length", -1)
    self.write("12")


@table.body(request(method="POST", body=b""))
def length_too_long_for_post(self: RequestHandler) -> Any:
    self.set_header("Content-Length", 10)
    return self.finish("12345")


# --- header values that cannot be sent ------------------------------------------------


@table.body()
def header_with_newline(self: RequestHandler) -> None:
    self.set_header("X-Split", "a\r\nX-Injected: b")


@table.body()
def header_with_newline_caught(self: RequestHandler) -> None:
    try:
        self.set_header("X-Split", "a\nb")
    except ValueError as error:
        self.write(str(error))


@table.body()
def header_with_control_character(self: RequestHandler) -> None:
    self.set_header("X-Bell", "a\x07b")


@table.body()
def header_beyond_latin_1(self: RequestHandler) -> None:
    self.set_header("X-Name", "žluť")
    self.write("never sent")


@table.body()
def header_beyond_latin_1_flushed(self: RequestHandler) -> None:
    self.set_header("X-Name", "žluť")
    self.write("never sent")
    try:
        self.flush()
    except UnicodeError as error:
        app_log.info("caught %s", type(error).__name__)
        raise


@table.body()
def header_name_with_newline(self: RequestHandler) -> None:
    self.set_header("X-Bad\r\nName", "1")
    self.write("x")


@table.body()
def header_put_in_by_hand(self: RequestHandler) -> None:
    self._headers["X-Raw"] = "a\nb"
    self.write("x")


@table.body()
def reason_with_newline(self: RequestHandler) -> None:
    self.set_status(200, "Fine\r\nX-Injected: b")
    self.write("x")


@table.body()
def reason_beyond_latin_1(self: RequestHandler) -> None:
    self.set_status(200, "Žluť")
    self.write("x")


@table.body()
def header_of_a_wrong_type(self: RequestHandler) -> None:
    self.set_header("X-List", [1, 2])  # type: ignore[arg-type]


@table.body()
def redirect_to_a_newline(self: RequestHandler) -> None:
    self.redirect("/a\r\nX-Injected: b")


# --- wrong types ----------------------------------------------------------------------


@table.body()
def write_of_a_list(self: RequestHandler) -> None:
    self.write([1, 2])  # type: ignore[arg-type]


@table.body()
def write_of_a_number(self: RequestHandler) -> None:
    self.write(5)  # type: ignore[arg-type]


@table.body()
def write_of_what_is_no_json(self: RequestHandler) -> None:
    self.write({"a": object()})


@table.body()
def finish_of_none_and_more(self: RequestHandler) -> None:
    self.finish(None)


@table.body()
def transfer_encoding_by_hand(self: RequestHandler) -> None:
    """Tornado then leaves the framing to the body."""
    self.set_header("Transfer-Encoding", "chunked")
    self.write(b"3\r\nabc\r\n0\r\n\r\n")
    self.flush()


@table.body(request(close=False) + request())
def error_then_pipelined(self: RequestHandler) -> None:
    """The second request runs although the first one's error closed the connection."""
    self.set_header("Content-Length", 3)
    self.finish("12345")
