"""How requests come and connections go: pipelines, raw connections."""

from __future__ import annotations

from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.web import (
    HTTPError,
    OutputTransform,
    RequestHandler,
)

from tests.differential.table import Table, Until, request

table = Table("connections")


def echo(self: RequestHandler) -> None:
    self.write(f"{self.request.method} {self.request.path} ".encode())
    self.write(self.request.body)


# --- one connection, several requests -----------------------------------------------


table.body(
    request("/1", close=False),
    Until(b"GET /1 "),
    request("/2", close=False, method="POST", body=b"two"),
    Until(b"two"),
    request("/3"),
)(echo)


@table.body(b"".join(request(f"/{n}", close=False) for n in range(9)) + request("/9"))
def pipeline(self: RequestHandler) -> None:
    self.write(self.request.path)


@table.body(
    b"".join(
        request(
            f"/{n}",
            method=method,
            close=n == 5,
            body=b"b" if method == "POST" else None,
        )
        for n, method in enumerate(["GET", "HEAD", "POST", "GET", "POST", "GET"])
    )
)
def pipeline_of_all_kinds(self: RequestHandler) -> None:
    number = int(self.request.path[1:])
    if number == 2:
        raise HTTPError(400, "third")
    if number == 3:
        self.set_status(304)
        return
    self.write(f"{number} ")
    if number % 2:
        self.flush()
        self.write("more")
    else:
        self.finish()


@table.body(b"".join(request(close=False) for _ in range(3)) + request())
def pipeline_of_big_responses(self: RequestHandler) -> None:
    self.finish(b"x" * 700_000)


@table.body(request(close=False) + request("/2"))
def connection_header_of_the_response(self: RequestHandler) -> None:
    """It is only text: the request decides."""
    self.set_header("Connection", "close")
    self.write(self.request.path)


@table.body(request(close=False, version="1.0"))
def http_1_0(self: RequestHandler) -> None:
    self.write(self.request.version)


@table.body(
    request("/", "Connection: keep-alive", close=False, version="1.0")
    + request(close=False, version="1.0")
)
def http_1_0_kept_alive(self: RequestHandler) -> None:
    self.write(self.request.version)


@table.body(request(close=False) + request(), server={"no_keep_alive": True})
def no_keep_alive(self: RequestHandler) -> None:
    self.write("only one")


@table.body(
    request("/", "X-Real-Ip: 10.1.2.3", "X-Scheme: https"), server={"xheaders": True}
)
def behind_a_proxy(self: RequestHandler) -> None:
    self.write(f"{self.request.protocol} {self.request.remote_ip}")
    raise HTTPError(400, self.request.full_url())


# --- the connection itself ------------------------------------------------------------


@table.body()
def detach(self: RequestHandler) -> None:
    stream = self.detach()
    stream.write(b"HTTP/1.1 299 By Hand\r\n\r\nraw")
    stream.close()


@table.body()
def detach_after_headers(self: RequestHandler) -> None:
    self.set_status(101)
    self.set_header("Upgrade", "raw")
    self.flush()
    stream = self.detach()
    stream.write(b"raw ")
    stream.write(b"bytes")
    stream.close()


@table.body()
def written_to_the_connection(self: RequestHandler) -> None:
    connection = self.request.connection
    assert connection is not None
    connection.write_headers(
        ResponseStartLine("HTTP/1.1", 200, "By Hand"),
        HTTPHeaders({"Content-Length": "4", "X-Own": "1"}),
        b"ab",
    )
    connection.write(b"cd")
    connection.finish()
    self._finished = True


@table.body()
def stream_closed(self: RequestHandler) -> None:
    self.request.connection.stream.close()  # type: ignore[union-attr]
    self.write("to nobody")


@table.body()
def looks_at_the_stream(self: RequestHandler) -> None:
    stream = self.request.connection.stream  # type: ignore[union-attr]
    self.write({"closed": stream.closed(), "writing": stream.writing()})
    stream.set_nodelay(True)
    self.set_header("X-Family", int(stream.socket.family))


@table.body()
def attributes_of_the_connection(self: RequestHandler) -> None:
    connection: Any = self.request.connection
    connection.note = "noted"
    self.write(f"{connection.note} {connection.is_client} {connection.context}")
    self.write(
        repr(self.request.get_ssl_certificate() if connection.no_keep_alive else None)
    )


@table.body()
def awaitable_of_finish(self: RequestHandler) -> Any:
    """Returned, so that Tornado waits until all is sent."""
    return self.finish(b"x" * 2_000_000)


@table.body()
def awaitable_of_flush(self: RequestHandler) -> Any:
    self.write("a")
    return self.flush()


@table.body()
def websocket_handshake_refused(self: RequestHandler) -> None:
    self.set_status(426)
    self.set_header("Upgrade", "websocket")
    self.set_header("Connection", "Upgrade")
    self.finish("no")


@table.body()
def class_of_the_connection(self: RequestHandler) -> None:
    connection = self.request.connection
    self.write(f"{isinstance(connection, HTTP1Connection)} {connection.__class__}")


@table.body()
def type_of_the_connection(self: RequestHandler) -> None:
    self.write(type(self.request.connection).__name__)


class Shouting(OutputTransform):
    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["X-Finishing"] = str(finishing)
        return 299, headers, chunk.upper()

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        if chunk == b"fail":
            raise ValueError("in a transform")
        return chunk.upper() + (b"!" if finishing else b"")


@table.body(settings={"transforms": [Shouting]})
def transformed(self: RequestHandler) -> None:
    self.write("quiet ")
    self.flush()
    self.finish("voice")


@table.body(settings={"transforms": [Shouting]})
def transform_fails(self: RequestHandler) -> None:
    self.write("quiet ")
    self.flush()
    self.write("fail")
