"""Large forms are parsed in a worker, and look as they do inline."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlencode

import pytest
import tornado
from tornado import httputil
from tornado.web import RequestHandler, stream_request_body

from tests.unit.conftest import Response, Server, all_quiet, read
from tornado_unblock import configure, unblock, unblock_application
from tornado_unblock._handlers.forms import LARGE

#: A decorated class learns of its request when the form is parsed already.
OLD = tornado.version_info < (6, 5)


def here() -> str:
    return threading.current_thread().name


@pytest.fixture
def parsed_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the threads that parse forms."""
    threads: list[str] = []
    own = httputil.parse_body_arguments

    def parse(*args: Any, **kwargs: Any) -> None:
        threads.append(here())
        own(*args, **kwargs)

    monkeypatch.setattr(httputil, "parse_body_arguments", parse)
    return threads


class Form(RequestHandler):
    """Says what it got of a form, in each place where it may ask."""

    def prepare(self) -> None:
        self.field = self.get_body_argument("field")

    def post(self) -> None:
        (upload,) = self.request.files.get("file", [{"body": b""}])
        both = self.get_arguments("field")
        self.write(f"{self.field} {len(upload['body'])} {both} {here()}")


class ClassForm(Form):
    """The same, unblocked as a class."""


unblock(ClassForm)


def multipart(size: int, end: bytes = b"--x--\r\n") -> bytes:
    return (
        b'--x\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + b"y" * size + b"\r\n" + end
    )


def send(server: Server, body: bytes, kind: str, headers: str = "") -> Response:
    client = server.send(
        "/?field=query",
        method="POST",
        headers=f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}",
    )
    client.sendall(body)
    return read(client)


MULTIPART = "multipart/form-data; boundary=x"


def serve(make_server: Any, cls: Any, **settings: Any) -> Server:
    server: Server = make_server(("/", cls), **settings)
    assert server.server is not None
    unblock_application(server.server.request_callback)
    return server


@pytest.mark.parametrize("cls", [Form, ClassForm])
def test_large_upload(make_server, parsed_in, cls):
    """It is parsed once, in a worker; fields and files are those of inline."""
    size = 2 * LARGE
    answer = send(serve(make_server, cls), multipart(size), MULTIPART)
    expected = f"value {size} ['query', 'value'] unblock-default"
    assert answer.body.decode().startswith(expected)
    (thread,) = parsed_in
    assert thread.startswith("loop" if OLD and cls is ClassForm else "unblock-default")


def test_large_fields(make_server, parsed_in):
    """A form without files likewise."""
    body = urlencode({"field": "z" * LARGE}).encode()
    kind = "application/x-www-form-urlencoded"
    answer = send(serve(make_server, Form), body, kind)
    assert answer.body.startswith(b"z" * LARGE + b" 0 ")
    (thread,) = parsed_in
    assert thread.startswith("unblock-default")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(multipart(9), MULTIPART), (b"z" * LARGE, "text/plain"), (b"", "text/plain")],
)
def test_what_is_not_worth_a_hop(make_server, parsed_in, body, kind):
    """Small forms, and what is no form, are left to Tornado."""

    class Handler(RequestHandler):
        def post(self) -> None:
            self.write(f"{sorted(self.request.body_arguments)}")

    found = send(serve(make_server, Handler), body, kind).body
    assert found == (b"['field']" if kind == MULTIPART else b"[]")
    assert all(thread == "loop" for thread in parsed_in)


def test_coroutine(make_server, parsed_in):
    """A native verb finds its form parsed as well."""

    class Handler(RequestHandler):
        async def post(self) -> None:
            self.write(self.get_body_argument("field"))

    assert (
        send(serve(make_server, Handler), multipart(LARGE), MULTIPART).body == b"value"
    )
    (thread,) = parsed_in
    assert thread.startswith("unblock-default")


@pytest.mark.parametrize("allowed", [True, False])
def test_xsrf_field(make_server, allow_log, allowed):
    """The check, which comes before ``prepare``, finds its field in the form."""
    allow_log("tornado", "403")
    token = "2|00000000|" + "00" * 16 + "|1700000000"
    given = token if allowed else "nonsense"
    field = f'--x\r\nContent-Disposition: form-data; name="_xsrf"\r\n\r\n{given}\r\n'
    body = field.encode() + multipart(LARGE)
    server = serve(make_server, Form, xsrf_cookies=True)
    answer = send(server, body, MULTIPART, f"Cookie: _xsrf={token}\r\n")
    assert answer.status == (200 if allowed else 403)


def test_form_that_cannot_be_parsed(make_server, allow_log):
    """It is answered by the handler, as a bad request."""
    allow_log("tornado", "400|[Mm]ultipart|Invalid")

    class Handler(Form):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write(f"mine {status_code}")

    body = b"--x\r\nno header at all" + b"y" * LARGE + b"\r\n--x--\r\n"
    server = serve(make_server, Handler)
    if tornado.version_info >= (6, 5):
        assert send(server, body, MULTIPART).body == b"mine 400"
    else:  # it only logs, and the field is missing
        assert send(server, body, MULTIPART).status == 400
    server.call(all_quiet)


def test_no_worker_for_a_form(make_server, allow_log):
    """It is turned away like any other request."""
    allow_log("tornado", "503")
    configure("full", max_workers=1, max_waiting=0)
    entered, gate = threading.Event(), threading.Event()

    class Busy(RequestHandler):
        def get(self) -> None:
            entered.set()
            assert gate.wait(10)

    server = make_server(("/", Form), ("/busy", Busy))
    unblock_application(server.server.request_callback, executor="full")
    busy = server.send("/busy")
    assert entered.wait(10)
    try:
        assert send(server, multipart(LARGE), MULTIPART).status == 503
    finally:
        gate.set()
    assert read(busy).status == 200
    server.call(all_quiet, "full")


def test_error_page_that_raises(make_server, expect_log):
    """It is logged, as Tornado does, and the client gets a plain 500."""
    expect_log("tornado.application", "Exception in exception handler")
    expect_log("tornado.general", "503 POST")
    expect_log("tornado.access", "500 POST")
    configure("none", max_workers=1, max_waiting=0)
    entered, gate = threading.Event(), threading.Event()
    asked: list[int] = []

    class Busy(RequestHandler):
        def get(self) -> None:
            entered.set()
            assert gate.wait(10)

    class Handler(Form):
        def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
            asked.append(status_code)
            raise LookupError

    server = make_server(("/", Handler), ("/busy", Busy))
    unblock_application(server.server.request_callback, executor="none")
    busy = server.send("/busy")
    assert entered.wait(10)
    body = multipart(LARGE)
    headers = f"Content-Type: {MULTIPART}\r\nContent-Length: {len(body)}\r\n"
    client = server.send("/?field=query", method="POST", headers=headers)
    client.sendall(body)
    assert read(client).status == 500
    gate.set()
    assert read(busy).status == 200
    assert asked == [503]


@pytest.mark.parametrize("cls", [Form, ClassForm])
def test_streamed_body(make_server, parsed_in, cls):
    """It is no form to Tornado."""
    sizes: list[int] = []

    @stream_request_body
    class Handler(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            sizes.append(len(chunk))

        def post(self) -> None:
            self.write(str(sum(sizes)))

    server = serve(make_server, Handler)
    body = multipart(LARGE)
    assert send(server, body, MULTIPART).body == str(len(body)).encode()
    assert parsed_in == []
