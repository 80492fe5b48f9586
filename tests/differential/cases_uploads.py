"""Requests with a body."""

from __future__ import annotations

import gzip

from tornado.log import app_log
from tornado.web import (
    HTTPError,
    RequestHandler,
    stream_request_body,
)

from tests.differential.table import Site, Table, request

table = Table("uploads")
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
MULTIPART = (
    b'--edge\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\ncontent \xff\r\n--edge--\r\n"
)


@table.body(CHUNKED + b"4\r\nabcd\r\n", b"3\r\nefg\r\n0\r\n\r\n")
def chunked_upload(self: RequestHandler) -> None:
    self.write(self.request.body)


@table.body(
    request(
        "/",
        "Content-Type: multipart/form-data; boundary=edge",
        method="POST",
        body=MULTIPART,
    )
)
def multipart_upload(self: RequestHandler) -> None:
    (file,) = self.request.files["files"]
    self.write({"field": self.get_body_argument("field"), "name": file.filename})
    self.set_header("X-Length", len(file.body))


@table.body(request("/", "Expect: 100-continue", method="POST", body=b"continued"))
def expect_100(self: RequestHandler) -> None:
    self.write(self.request.body)


@table.body(
    request(
        "/",
        "Content-Encoding: gzip",
        method="POST",
        body=gzip.compress(b"x" * 999, mtime=0),
    ),
    server={"decompress_request": True},
)
def compressed_upload(self: RequestHandler) -> None:
    self.write(str(len(self.request.body)))


@table.body(request(method="POST", body=b"x" * 3_000_000))
def megabytes_up_and_down(self: RequestHandler) -> None:
    self.write(self.request.body)


@table.case(CHUNKED + b"4\r\nabcd\r\n", b"3\r\nefg\r\n0\r\n\r\n")
def streamed_upload() -> Site:
    @stream_request_body
    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.received = 0
            self.request.connection.set_max_body_size(1000)  # type: ignore[union-attr]

        def data_received(self, chunk: bytes) -> None:
            self.received += len(chunk)

        def post(self) -> None:
            self.write(str(self.received))

    return Handler


@table.case(request(method="POST", body=b"x" * 300_000))
def streamed_upload_in_order() -> Site:
    @stream_request_body
    class Handler(RequestHandler):
        def initialize(self) -> None:
            self.parts: list[bytes] = []

        def data_received(self, chunk: bytes) -> None:
            self.parts.append(chunk)

        def post(self) -> None:
            self.finish(b"".join(self.parts))

    return Handler


@table.case(request(method="PUT", body=b"x" * 5))
def streamed_upload_fails() -> Site:
    @stream_request_body
    class Handler(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            app_log.info("got %d", len(chunk))

        def put(self) -> None:
            raise HTTPError(507, "full")

    return Handler
