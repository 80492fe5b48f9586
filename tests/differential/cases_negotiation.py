"""Responses that depend on the request: HEAD, entity tags, gzip, xsrf."""

from __future__ import annotations

import hashlib

from tornado.web import GZipContentEncoding, RequestHandler

from tests.differential.table import Site, Table, request

table = Table("negotiation")
TAG = '"' + hashlib.sha1(b"tagged").hexdigest() + '"'
GZIP = "Accept-Encoding: gzip"
TOKEN = "0123456789abcdef" * 2
FORM = "Content-Type: application/x-www-form-urlencoded"
XSRF = {"xsrf_cookies": True}


@table.body(request("/", f"If-None-Match: {TAG}"))
def tag_matches(self: RequestHandler) -> None:
    self.set_header("X-Kept", "1")
    self.set_header("Content-Language", "en")
    self.write("tagged")


@table.body(request("/", f'If-None-Match: "other", W/{TAG}', method="HEAD"))
def weak_tag_matches(self: RequestHandler) -> None:
    self.write("tagged")


@table.body(request("/", "If-None-Match: *"))
def any_tag_matches(self: RequestHandler) -> None:
    self.write("whatever")


@table.body(request("/", 'If-None-Match: "other"'))
def tag_differs(self: RequestHandler) -> None:
    self.write("tagged")


@table.body(request("/", f"If-None-Match: {TAG}"))
def tag_matches_but_flushed(self: RequestHandler) -> None:
    self.write("tagged")
    self.flush()


@table.body(request("/", f"If-None-Match: {TAG}"))
def tag_matches_but_not_200(self: RequestHandler) -> None:
    self.set_status(201)
    self.write("tagged")


@table.body(request("/", 'If-None-Match: "mine"'))
def tag_set_by_hand(self: RequestHandler) -> None:
    self.set_header("Etag", '"mine"')
    if self.check_etag_header():
        self.set_status(304)
        return
    self.write("not reached")


@table.case(request("/", 'If-None-Match: "mine"', close=False), request("/"))
def tag_computed_otherwise() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("x")

        def compute_etag(self) -> str:
            return '"mine"'

    return Handler


@table.case()
def no_tag() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("x")

        def compute_etag(self) -> None:
            return None

    return Handler


@table.body(request("/", GZIP), settings={"compress_response": True})
def gzip(self: RequestHandler) -> None:
    self.write("squeeze me " * 1000)


@table.body(request("/", GZIP), settings={"compress_response": True})
def gzip_with_flushes(self: RequestHandler) -> None:
    for _ in range(3):
        self.write("squeeze me " * 1000)
        self.flush()


@table.body(request("/", GZIP), settings={"compress_response": True})
def gzip_too_small(self: RequestHandler) -> None:
    self.write("x" * (GZipContentEncoding.MIN_LENGTH - 1))


@table.body(request("/", GZIP), settings={"compress_response": True})
def gzip_not_for_images(self: RequestHandler) -> None:
    self.set_header("Content-Type", "image/png")
    self.write("x" * 5000)


@table.body(request("/", GZIP, method="HEAD"), settings={"compress_response": True})
def gzip_head(self: RequestHandler) -> None:
    self.write("squeeze me " * 1000)


@table.body(request("/"), settings={"compress_response": True})
def gzip_not_accepted(self: RequestHandler) -> None:
    self.write("x" * 5000)


@table.body(request("/", GZIP), settings={"compress_response": True})
def gzip_with_an_error(self: RequestHandler) -> None:
    self.write("x" * 5000)
    raise ValueError("no")


@table.body(request("/", GZIP), settings={"compress_response": True})
def gzip_with_its_own_length(self: RequestHandler) -> None:
    self.set_header("Content-Length", 5000)
    self.write("x" * 5000)


@table.case(
    request(
        "/",
        f"Cookie: _xsrf={TOKEN}",
        FORM,
        method="POST",
        body=b"_xsrf=" + TOKEN.encode(),
    ),
    settings=XSRF,
)
def xsrf_passes() -> Site:
    class Handler(RequestHandler):
        def post(self) -> None:
            self.write(self.get_argument("_xsrf"))

    return Handler


@table.case(
    request("/", f"Cookie: _xsrf={TOKEN}", f"X-Xsrftoken: {TOKEN}", method="DELETE"),
    settings=XSRF,
)
def xsrf_passes_by_header() -> Site:
    class Handler(RequestHandler):
        def delete(self) -> None:
            self.set_status(204)

    return Handler


@table.case(
    request("/", f"Cookie: _xsrf={TOKEN}", FORM, method="POST", body=b"_xsrf=00"),
    settings=XSRF,
    moves=False,
)
def xsrf_fails() -> Site:
    class Handler(RequestHandler):
        def post(self) -> None:
            self.write("not reached")

    return Handler


@table.body(settings={**XSRF, "cookie_secret": "s3cret"})
def xsrf_token_made(self: RequestHandler) -> None:
    self.write(self.xsrf_form_html())


@table.body(
    settings={
        **XSRF,
        "xsrf_cookie_version": 1,
        "xsrf_cookie_kwargs": {"httponly": True},
    }
)
def xsrf_token_of_version_1(self: RequestHandler) -> None:
    self.write(self.xsrf_token)


@table.body(request("/", f"Cookie: _xsrf={TOKEN}"), settings=XSRF)
def xsrf_checked_by_hand(self: RequestHandler) -> None:
    self.check_xsrf_cookie()


@table.body(request(method="HEAD"))
def head(self: RequestHandler) -> None:
    self.write("only its length is sent")


@table.body(request(method="HEAD"))
def head_with_flush(self: RequestHandler) -> None:
    self.write("first")
    self.flush()
    self.write("second")


@table.body(request(method="HEAD"))
def head_with_content_length(self: RequestHandler) -> None:
    self.set_header("Content-Length", 1000)
    self.finish()


@table.body(request(method="POST", body=b""))
def no_entity_tag_for_post(self: RequestHandler) -> None:
    self.write("text")
