"""The server's own timers, which a blocked loop thread used to hold back."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, stream_request_body

from tests.patience import WAIT
from tests.unit.conftest import Server, all_quiet
from tornado_unblock import unblock, unblock_application

SHORT = 0.05
#: So much later, whatever was to happen after SHORT has happened.
LATER = 0.2

FORMS = ["method", "class", "application"]


@pytest.fixture
def serve(make_server: Any) -> Any:
    """Serve a class in one of the forms, on a server with these options."""

    def serve(cls: Any, form: str, **options: Any) -> Server:
        server: Server = make_server()
        if form == "class":
            cls = unblock(cls)
        app = Application([("/", cls)])
        if form == "application":
            unblock_application(app)

        def start() -> None:
            assert server.server is not None
            server.server.stop()
            server.server = HTTPServer(app, **options)
            sockets = bind_sockets(0, "127.0.0.1")
            server.port = sockets[0].getsockname()[1]
            server.server.add_sockets(sockets)

        server.call(start)
        return server

    return serve


class Held(RequestHandler):
    """Its body goes on when the loop's timers have had their time."""

    entered: threading.Semaphore
    go_on: threading.Semaphore

    def post(self) -> None:
        self.entered.release()
        assert self.go_on.acquire(timeout=WAIT)
        self.write(self.request.body)


@pytest.fixture
def held() -> Any:
    gates = {"entered": threading.Semaphore(0), "go_on": threading.Semaphore(0)}
    return type("Held", (Held,), {**gates, "post": Held.post})


def post(client: socket.socket, text: bytes) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
    client.sendall(head.encode() + text)


def let_timers_run(server: Server, then: threading.Semaphore) -> None:
    server.call(server.loop.call_later, LATER, then.release)


def answer(client: socket.socket, end: bytes) -> bytes:
    """Return a response that ends so; what comes before it, if the server closes."""
    found = b""
    while not found.endswith(end):
        more = client.recv(4096)
        if not more:
            break
        found += more
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("option", ["idle_connection_timeout", "body_timeout"])
def test_body_that_takes_longer(serve, held, form, option):
    """It is answered, however short the server's patience with its client is."""
    if form == "method":
        held.post = unblock(held.post)
    server = serve(held, form, **{option: SHORT})
    client = server.connect()
    post(client, b"first")
    assert held.entered.acquire(timeout=WAIT)
    let_timers_run(server, held.go_on)
    assert answer(client, b"first").startswith(b"HTTP/1.1 200 ")
    if option == "body_timeout":  # nobody waits for a body: the connection serves on
        post(client, b"second")
        assert held.entered.acquire(timeout=WAIT)
        held.go_on.release()
        assert answer(client, b"second").startswith(b"HTTP/1.1 200 ")
    else:  # it has been idle since
        assert client.recv(4096) == b""


@pytest.mark.parametrize("form", FORMS)
def test_pipelined_behind_a_body_that_takes_longer(serve, held, form):
    """What is sent meanwhile waits in the socket, and is read when its turn comes."""
    if form == "method":
        held.post = unblock(held.post)
    server = serve(held, form, idle_connection_timeout=SHORT)
    client = server.connect()
    post(client, b"first")
    post(client, b"second")
    assert held.entered.acquire(timeout=WAIT)
    let_timers_run(server, held.go_on)
    assert answer(client, b"first").startswith(b"HTTP/1.1 200 ")
    assert held.entered.acquire(timeout=WAIT)
    let_timers_run(server, held.go_on)
    assert answer(client, b"second").startswith(b"HTTP/1.1 200 ")


def test_chunks_are_worked_on_within_the_time_for_a_body(serve, allow_log):
    """`data_received` on a worker counts, as that of a coroutine does."""
    # Older Tornado leaves `_execute` waiting for the rest, when a client has gone.
    allow_log("asyncio", "Task was destroyed but it is pending")
    gone, ended = threading.Event(), threading.Event()
    go_on = threading.Semaphore(0)
    steps: list[str] = []

    @stream_request_body
    class Upload(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            assert go_on.acquire(timeout=WAIT)
            steps.append("data_received")
            ended.set()

        def post(self) -> None:
            steps.append("post")

        def on_connection_close(self) -> None:
            gone.set()

    server = serve(Upload, "class", body_timeout=SHORT)
    client = server.connect()
    post(client, b"chunk")
    assert client.recv(4096) == b""
    go_on.release()
    assert ended.wait(WAIT)
    assert gone.wait(WAIT)
    server.call(all_quiet)
    assert steps == ["data_received"]
