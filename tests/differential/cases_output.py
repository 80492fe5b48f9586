"""Bodies that write a response: status, headers, cookies, chunks."""

from __future__ import annotations

import datetime
from typing import Any

from tornado.web import RequestHandler

from tests.differential.table import Table, request, without_expiry

table = Table("output")
BIG = b"0123456789abcdef" * 65536  # 1 MiB


# --- write and finish -----------------------------------------------------------


@table.body()
def nothing_at_all(self: RequestHandler) -> None:
    pass


@table.body()
def text(self: RequestHandler) -> None:
    self.write("some text")


@table.body()
def several_writes(self: RequestHandler) -> None:
    self.write("a")
    self.write(b"b")
    self.write("c")


@table.body()
def unicode_text(self: RequestHandler) -> None:
    self.write("žluťoučký kůň, 馬, 🐎")


@table.body()
def json_dict(self: RequestHandler) -> None:
    self.write({"a": [1, 2.5, None, True], "b": {"c": "</script>ž"}})


@table.body()
def json_dict_with_a_type_of_its_own(self: RequestHandler) -> None:
    self.write({"a": 1})
    self.set_header("Content-Type", "application/vnd.api+json")


@table.body()
def finish(self: RequestHandler) -> None:
    self.write("head, ")
    self.finish("tail")


@table.body()
def return_finish(self: RequestHandler) -> Any:
    return self.finish({"done": True})


@table.body()
def return_write(self: RequestHandler) -> Any:
    if self.request.method == "GET":
        return self.write("early")
    self.write("late")


@table.body()
def megabytes(self: RequestHandler) -> None:
    for _ in range(6):
        self.write(BIG)


@table.body()
def megabytes_in_flushes(self: RequestHandler) -> None:
    for _ in range(24):
        self.write(BIG[: 1 << 18])
        self.flush()
    self.write("end")


@table.body()
def flush_then_more(self: RequestHandler) -> None:
    self.write("first")
    self.flush()
    self.write("second")


@table.body()
def flush_of_nothing(self: RequestHandler) -> None:
    self.flush()
    self.flush()
    self.write("at last")
    self.flush()
    self.flush()


@table.body()
def header_set_after_flush(self: RequestHandler) -> None:
    """It comes too late, and must not reach the wire."""
    self.set_header("X-Early", "1")
    self.write("a")
    self.flush()
    self.set_header("X-Late", "1")
    self.add_header("X-Early", "2")
    self.set_status(500)
    self.write("b")


@table.body()
def flush_with_content_length(self: RequestHandler) -> None:
    self.set_header("Content-Length", 6)
    for part in ("ab", "cd", "ef"):
        self.write(part)
        self.flush()


@table.body(request(version="1.0", close=False))
def flush_to_http_1_0(self: RequestHandler) -> None:
    self.write("a")
    self.flush()
    self.write("b")


@table.body()
def clear(self: RequestHandler) -> None:
    self.set_header("X-Gone", "1")
    self.set_cookie("stays", "1")
    self.set_status(404)
    self.write("gone")
    self.clear()
    self.write("here")


@table.body()
def clear_and_clear_header(self: RequestHandler) -> None:
    self.set_header("X-One", "1")
    self.set_header("X-Two", "2")
    self.clear_header("X-One")
    self.clear_header("Server")
    self.write(self._headers.get("X-Two"))


# --- status and headers -----------------------------------------------------------


@table.body()
def status(self: RequestHandler) -> None:
    self.set_status(202)
    self.write(str(self.get_status()))


@table.body()
def status_with_reason(self: RequestHandler) -> None:
    self.set_status(201, "Made It")


@table.body()
def unknown_status(self: RequestHandler) -> None:
    self.set_status(799)


@table.body()
def unknown_status_with_reason(self: RequestHandler) -> None:
    self.set_status(799, "House Rule")


@table.body()
def headers_in_order(self: RequestHandler) -> None:
    self.set_header("X-B", "1")
    self.set_header("X-A", 2)
    self.add_header("X-B", "3")
    self.add_header("X-C", "ž".encode().hex())
    self.set_header("X-When", datetime.datetime(2024, 2, 29, 12, 30))
    self.set_header("x-a", b"4")
    self.write("ok")


@table.body()
def latin_1_header(self: RequestHandler) -> None:
    self.set_header("X-Name", "Zoë")


@table.body()
def content_type(self: RequestHandler) -> None:
    self.set_header("Content-Type", "text/plain; charset=latin-1")
    self.write("Zoë".encode("latin1"))


@table.body()
def no_content(self: RequestHandler) -> None:
    self.set_status(204)


@table.body()
def no_content_and_finish(self: RequestHandler) -> None:
    self.set_status(204)
    self.set_header("X-Kept", "1")
    self.finish()


@table.body()
def no_content_but_content(self: RequestHandler) -> None:
    """A mistake, which Tornado answers with a 500."""
    self.set_status(204)
    self.write("content")


@table.body()
def not_modified_by_hand(self: RequestHandler) -> None:
    self.set_status(304)
    self.set_header("Content-Language", "en")


# --- redirects ----------------------------------------------------------------------


@table.body()
def redirect(self: RequestHandler) -> None:
    self.redirect("/elsewhere?a=b")


@table.body()
def redirect_permanent(self: RequestHandler) -> None:
    self.redirect("other", permanent=True)


@table.body(request("/x/y"))
def return_redirect_with_status(self: RequestHandler) -> Any:
    return self.redirect("../ž", status=307)


@table.body()
def redirect_with_a_bad_status(self: RequestHandler) -> None:
    self.redirect("/", status=200)


@table.body()
def redirect_keeps_cookies(self: RequestHandler) -> None:
    self.set_cookie("from", "here")
    self.write("dropped")
    self.clear()
    self.redirect("/there")


# --- cookies ------------------------------------------------------------------------


@table.body(normalise=without_expiry)
def cookies(self: RequestHandler) -> None:
    self.set_cookie("plain", "1")
    self.set_cookie("quoted", 'a "b"; c')
    self.set_cookie("full", "2", domain="test", path="/p", httponly=True, secure=True)
    self.set_cookie("days", "3", expires_days=2)
    self.set_cookie("same", "4", samesite="Strict", max_age=60)
    self.set_cookie("plain", "5")


@table.body(request("/", "Cookie: a=1; b=2"), normalise=without_expiry)
def cookies_cleared(self: RequestHandler) -> None:
    self.write(f"{self.get_cookie('a')} {self.get_cookie('none', 'default')}")
    self.clear_cookie("a")
    self.clear_all_cookies()


@table.body(settings={"cookie_secret": "s3cret"}, normalise=without_expiry)
def signed_cookie(self: RequestHandler) -> None:
    self.set_secure_cookie("user", "zoë", expires_days=None)
    self.set_secure_cookie("lasting", b"\x00\xff", expires_days=30)


@table.body(request("/", "Cookie: user=forged"), settings={"cookie_secret": "s3cret"})
def forged_cookie(self: RequestHandler) -> None:
    self.write(repr(self.get_secure_cookie("user")))


@table.body()
def illegal_cookie(self: RequestHandler) -> None:
    self.set_cookie("a b", "\x01")
