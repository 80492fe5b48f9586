"""The stream of a connection whose requests outlive their answers."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.iostream import IOStream
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.conftest import read, uvloop
from tornado_unblock import AbandonedError, unblock
from tornado_unblock._connection.server_stream import take_stream

TIMEOUT = 0.05
CLOSE = "Connection: close\r\n"

pytestmark = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)


def ask(client: Any, path: str, headers: str = "") -> None:
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())


def read_until(client: Any, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = client.recv(65536)
        assert part, data
        data += part
    return data


class Plain(RequestHandler):
    """Writes to the stream of its connection itself."""

    def get(self) -> None:
        self._auto_finish = False
        connection: Any = self.request.connection
        assert isinstance(connection.stream, IOStream)
        connection.stream.max_buffer_size = 1000
        assert connection.stream.max_buffer_size == 1000
        connection.stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")
        connection.finish()


class Closes(RequestHandler):
    """Has another thread end its connection."""

    def get(self) -> None:
        self._auto_finish = False
        connection: Any = self.request.connection
        threading.Thread(target=connection.stream.close).start()


class Looks(RequestHandler):
    """Looks its stream up on the loop thread, and is abandoned."""

    kept: list[Any] = []

    def initialize(self, open: threading.Event, done: threading.Event) -> None:
        self.open, self.done = open, done
        connection: Any = self.request.connection
        self.stream = connection.stream
        self.kept.append(self.stream)

    @unblock(timeout=TIMEOUT)
    def get(self) -> None:
        assert self.open.wait(WAIT)
        for late in (
            lambda: self.stream.write(b"late"),
            lambda: self.stream.read_until_close(),
            lambda: self.stream.close(),
        ):
            with pytest.raises(AbandonedError, match="its timeout"):
                late()
        self.done.set()


@pytest.fixture
def timeouts(allow_log: Any) -> None:
    allow_log("tornado.application", "still running after")
    allow_log("tornado.general", "504 (GET|POST)")
    allow_log("tornado.access", "504 (GET|POST)")


def test_stream_that_was_looked_up_on_the_loop_thread(make_server, new_loop, timeouts):
    """Who had it writes nothing more; the connection and later requests do."""
    events = [(threading.Event(), threading.Event()) for _ in range(2)]
    rules: list[Any] = [
        (f"/{n}", Looks, {"open": open, "done": done})
        for n, (open, done) in enumerate(events)
    ]
    rules += [("/plain", Plain), ("/close", Closes)]
    server = make_server(*rules, new_loop=new_loop)
    Looks.kept.clear()
    client = server.connect()
    for n, (open, done) in enumerate(events):
        ask(client, f"/{n}")
        assert b"HTTP/1.1 504 " in read_until(client, b"</html>")
        open.set()
        assert done.wait(WAIT)
        ask(client, "/plain")
        assert read_until(client, b"raw").startswith(b"HTTP/1.1 200 OK")
    first, second = Looks.kept
    assert first is not second

    async def late() -> None:
        for stream in Looks.kept:
            with pytest.raises(AbandonedError, match="its timeout"):
                stream.write(b"late")

    server.call(late)
    ask(client, "/close")
    assert read(client).raw == b""
    Looks.kept.clear()


def test_stream_of_who_goes_on(make_server, new_loop, timeouts, gate):
    """Who has caught the timeout may use it until the response has ended."""
    kept: list[Any] = []

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def load(self) -> None:
            gate.hold()
            gate.done.set()

        async def get(self) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await self.load()
            connection: Any = self.request.connection
            await connection.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            kept.append(connection)
            self.write("fallback")

    def late() -> None:
        with pytest.raises(AbandonedError, match="its timeout"):
            kept[0].stream.write(b"late")

    server = make_server(("/", Handler), ("/plain", Plain), new_loop=new_loop)
    client = server.connect()
    ask(client, "/")
    answer = read_until(client, b"fallback")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    server.call(late)
    ask(client, "/plain", CLOSE)
    assert read(client).body == b"raw"
    gate.open.set()
    assert gate.done.wait(WAIT)


def test_socket_of_who_goes_on(make_server, new_loop, timeouts, gate):
    """Who has caught the timeout may make the connection a WebSocket."""

    class Handler(WebSocketHandler):
        @unblock(timeout=TIMEOUT)
        def load(self) -> None:
            gate.hold()
            gate.done.set()

        async def get(self, *args: Any, **kwargs: Any) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await self.load()
            await super().get(*args, **kwargs)

        def on_message(self, message: Any) -> None:
            self.write_message(f"not {message}")

    server = make_server(("/", Handler), new_loop=new_loop)

    async def talk() -> Any:
        client = await websocket_connect(f"ws://127.0.0.1:{server.port}/")
        server.web_sockets.append(client)
        await client.write_message("late")
        return await client.read_message()

    assert server.call(talk) == "not late"
    gate.open.set()
    assert gate.done.wait(WAIT)


def test_request_that_is_still_read(make_server, new_loop, timeouts, gate):
    """Its connection reads on until it is closed."""

    @stream_request_body
    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def prepare(self) -> None:
            gate.hold()
            gate.done.set()

        def post(self) -> None: ...

    server = make_server(("/", Handler), new_loop=new_loop)
    client = server.connect()
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsome")
    assert b"HTTP/1.1 504 " in read_until(client, b"</html>")
    gate.open.set()
    assert gate.done.wait(WAIT)
    assert client.recv(1) == b""


def test_connection_of_another_kind(new_loop):
    """There is nothing to take."""
    connection = SimpleNamespace(stream=object())
    before = vars(connection).copy()
    take_stream(connection, None, "why")
    assert vars(connection) == before
