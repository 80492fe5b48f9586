"""WebSockets: order, parallel sockets, backpressure, broadcasts, closing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tornado.web import authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.gates import here
from tornado_unblock import (
    cancelled,
    configure,
    unblock,
)


async def connect(server: Any, path: str = "/", **options: Any) -> Any:
    socket = await websocket_connect(f"ws://127.0.0.1:{server.port}{path}", **options)
    server.web_sockets.append(socket)
    return socket


def talk(server: Any, *messages: Any, **options: Any) -> list[Any]:
    """Send messages; return as many answers."""

    async def run() -> list[Any]:
        socket = await connect(server, **options)
        for message in messages:
            await socket.write_message(message, isinstance(message, bytes))
        answers = [await socket.read_message() for _ in messages]
        socket.close()
        assert await socket.read_message() is None
        return answers

    return server.call(run)


@unblock
class Echo(WebSocketHandler):
    """Notes which thread runs what."""

    def initialize(self, notes: list[Any]) -> None:
        self.notes = notes

    def note(self, *what: Any) -> None:
        self.notes.append((*what, here()))

    def prepare(self) -> None:
        self.note("prepare")

    def check_origin(self, origin: str) -> bool:
        self.note("check_origin", origin)
        return origin != "http://evil"

    def select_subprotocol(self, offered: list[str]) -> Any:
        self.note("select", *offered)
        return offered[-1] if offered else None

    def open(self) -> None:
        self.note("open")

    def on_message(self, message: Any) -> None:
        self.note("message")
        self.write_message(message, binary=isinstance(message, bytes))

    def on_ping(self, data: bytes) -> None:
        self.note("ping", data)

    def on_pong(self, data: bytes) -> None:
        self.note("pong", data)

    def on_close(self) -> None:
        self.note("close")


def test_every_hook_runs_in_a_worker(make_server):
    """Handshake questions, messages, pings and closing."""
    notes: list[Any] = []
    server = make_server(("/", Echo, {"notes": notes}))

    async def run() -> None:
        socket = await connect(server, subprotocols=["a", "b"])
        assert socket.selected_subprotocol == "b"
        socket.ping(b"!")
        await socket.write_message("text")
        assert await socket.read_message() == "text"
        await socket.write_message(b"\x00", binary=True)
        assert await socket.read_message() == b"\x00"
        socket.close()

    server.call(run)
    server.until(lambda: any(note[0] == "close" for note in notes))
    assert [note[0] for note in notes] == [
        "prepare",
        "select",
        "open",
        "ping",
        "message",
        "message",
        "close",
    ]
    assert notes[1][1:3] == ("a", "b")
    assert not [note for note in notes if note[-1] == "loop"]


def test_origin_is_refused_from_a_worker(make_server, expect_log):
    """What `check_origin` said there counts."""
    from tornado.httpclient import HTTPClientError, HTTPRequest

    expect_log("tornado.access", "403 GET /")
    notes: list[Any] = []
    server = make_server(("/", Echo, {"notes": notes}))

    async def run() -> None:
        address = f"ws://127.0.0.1:{server.port}/"
        request = HTTPRequest(address, headers={"Origin": "http://evil"})
        with pytest.raises(HTTPClientError, match="403"):
            await websocket_connect(request)

    server.call(run)
    assert notes[1][:2] == ("check_origin", "http://evil")


def test_question_that_fails(make_server, expect_log):
    """Its error is raised where Tornado asks."""
    from tornado.httpclient import HTTPClientError, HTTPRequest

    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")

    @unblock
    class Handler(WebSocketHandler):
        def check_origin(self, origin: str) -> bool:
            raise LookupError(here())

    server = make_server(("/", Handler))

    async def run() -> None:
        address = f"ws://127.0.0.1:{server.port}/"
        request = HTTPRequest(address, headers={"Origin": "http://x"})
        with pytest.raises(HTTPClientError, match="500"):
            await websocket_connect(request)

    server.call(run)


def test_messages_of_one_socket_keep_their_order(make_server):
    """One at a time, also when the first takes longest."""
    entered, gate = threading.Event(), threading.Event()
    running: list[str] = []

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            running.append(message)
            if message == "0":
                entered.set()
                assert gate.wait(10)
            assert running[-1] == message
            self.write_message(message)

    server = make_server(("/", Handler))

    async def run() -> None:
        socket = await connect(server)
        for number in range(20):
            await socket.write_message(str(number))
        while not entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert running == ["0"]
        gate.set()
        answers = [await socket.read_message() for _ in range(20)]
        assert answers == [str(number) for number in range(20)]
        socket.close()

    server.call(run)


def test_sockets_run_in_parallel(make_server):
    """Ten messages of ten sockets meet at a barrier."""
    together = threading.Barrier(10)

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            together.wait(10)
            self.write_message(message)

    server = make_server(("/", Handler))

    async def run() -> None:
        sockets = [await connect(server) for _ in range(10)]
        for socket in sockets:
            await socket.write_message("x")
        for socket in sockets:
            assert await socket.read_message() == "x"
            socket.close()

    server.call(run)


def test_a_flood_is_held_back(make_server):
    """The socket is not read while its message is worked on: the client waits."""
    entered, gate = threading.Event(), threading.Event()
    got: list[int] = []

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            got.append(len(message))
            entered.set()
            assert gate.wait(10)

    server = make_server(("/", Handler))

    async def flood(socket: Any, sent: list[int]) -> None:
        for number in range(200):
            await socket.write_message(b"x" * 1_000_000, binary=True)
            sent.append(number)

    async def run() -> None:
        socket, sent = await connect(server), []  # type: ignore[var-annotated]
        task = asyncio.ensure_future(flood(socket, sent))
        while not entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        seen, rounds = -1, 0
        while rounds < 2000:
            rounds = rounds + 1 if len(sent) == seen else 0
            seen = len(sent)
            await asyncio.sleep(0)
        assert seen < 50
        assert got == [1_000_000]
        gate.set()
        await task
        while len(got) < 200:  # noqa: ASYNC110
            await asyncio.sleep(0)
        socket.close()

    server.call(run)


def test_broadcast_from_a_worker(make_server):
    """Frames to sockets that never ran a body themselves arrive whole."""
    sockets: list[WebSocketHandler] = []
    text = "x" * 70_000

    class Handler(WebSocketHandler):
        def open(self) -> None:
            sockets.append(self)

        @unblock
        def on_message(self, message: Any) -> None:
            for number in range(20):
                for socket in sockets:
                    socket.write_message(f"{number} {text}")
            for socket in sockets:
                socket.ping(b"?")
                socket.set_nodelay(True)
                socket.write_message({"done": here()})

    server = make_server(("/", Handler))

    async def run() -> None:
        clients = [await connect(server) for _ in range(5)]
        await clients[0].write_message("go")
        for client in clients:
            for number in range(20):
                assert await client.read_message() == f"{number} {text}"
            assert "unblock-default" in await client.read_message()
            client.close()

    server.call(run)


def test_close_comes_after_the_running_message(make_server, allow_log):
    """A client that vanishes mid-message loses nothing but its own reply."""
    # The loop may close before Tornado's own task for the socket has ended.
    allow_log("asyncio", "Task was destroyed but it is pending")
    entered, gate, closed = threading.Event(), threading.Event(), threading.Event()
    notes: list[Any] = []

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            entered.set()
            assert gate.wait(10)
            notes.append("message")
            cancelled()  # may know by now, or not
            try:
                self.write_message("to nobody")
            except WebSocketClosedError:
                pass
            notes.append("message done")

        def on_close(self) -> None:
            notes.append("close")
            closed.set()

    server = make_server(("/", Handler))

    async def run() -> None:
        socket = await connect(server)
        await socket.write_message("x")
        while not entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        socket.protocol.stream.close()
        for _ in range(500):
            await asyncio.sleep(0)

    server.call(run)
    gate.set()
    assert closed.wait(10)
    assert notes == ["message", "message done", "close"]


def test_error_in_a_message_aborts_its_socket_only(make_server, expect_log):
    """As inline: it is logged, and the socket is closed."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            if message == "bad":
                raise LookupError
            self.write_message(message)

    server = make_server(("/", Handler))

    async def run() -> None:
        good, bad = await connect(server), await connect(server)
        await bad.write_message("bad")
        assert await bad.read_message() is None
        await good.write_message("good")
        assert await good.read_message() == "good"
        good.close()

    server.call(run)


def test_closing_from_a_worker(make_server):
    """With code and reason."""

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            self.close(4000, "enough")

    server = make_server(("/", Handler))

    async def run() -> None:
        socket = await connect(server)
        await socket.write_message("x")
        assert await socket.read_message() is None
        assert (socket.close_code, socket.close_reason) == (4000, "enough")

    server.call(run)


def test_unsupported_message_raises_in_the_body(make_server):
    """What the connection refuses reaches the body, as inline."""
    errors: list[str] = []

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            try:
                self.write_message(7)  # type: ignore[arg-type]
            except TypeError as error:
                errors.append(type(error).__name__)
            self.write_message("ok")

    assert talk(make_server(("/", Handler)), "x") == ["ok"]
    assert errors == ["TypeError"]


def test_plain_request_to_a_socket(make_server, expect_log):
    """It is refused as ever."""
    expect_log("tornado.access", "400 GET /")
    notes: list[Any] = []
    server = make_server(("/", Echo, {"notes": notes}))
    assert server.get("/").body == b'Can "Upgrade" only to "WebSocket".'


def test_sync_get_in_front_of_the_handshake(make_server):
    """``@authenticated`` on a socket asks for the user in the worker of prepare."""
    notes: list[Any] = []

    @unblock
    class Handler(Echo):
        def get_current_user(self) -> str:
            self.note("user")
            return "ann"

        @authenticated
        def get(self, *args: Any, **kwargs: Any) -> Any:
            self.note("get")
            return super().get(*args, **kwargs)

        def on_finish(self) -> None:
            self.note("on_finish")

    server = make_server(("/", Handler, {"notes": notes}))
    assert talk(server, "text") == ["text"]
    server.until(lambda: any(note[0] == "close" for note in notes))
    assert [note[0] for note in notes] == [
        "prepare",
        "select",
        "user",
        "get",
        "on_finish",
        "open",
        "message",
        "close",
    ]
    assert not [note for note in notes if note[-1] == "loop"]
    assert len({note[-1] for note in notes[:4]}) == 1


def test_messages_on_a_full_executor(make_server, expect_log):
    """A message with no room to wait ends its socket, as an error in it does."""
    from tests.unit.handlers.test_websocket import connect

    configure("sockets", max_workers=1, max_waiting=0)
    expect_log("tornado.general", "503 GET /.*max_waiting=0")
    gate, entered = threading.Event(), threading.Event()

    @unblock(executor="sockets")
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            entered.set()
            assert gate.wait(10)

        def on_close(self) -> None:
            closed.release()

    closed = threading.Semaphore(0)
    server = make_server(("/", Handler))

    async def run() -> None:
        first, second = await connect(server), await connect(server)
        await first.write_message("x")
        while not entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        await second.write_message("y")
        assert await second.read_message() is None
        gate.set()
        first.close()

    server.call(run)
    for _ in range(2):
        assert closed.acquire(timeout=WAIT)


def test_hooks_of_a_socket_called_by_its_body(make_server):
    """In a worker they are the plain methods."""
    from tests.unit.handlers.test_websocket import talk

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            if message == "first":
                self.on_message("second")
            else:
                self.write_message(message)

    assert talk(make_server(("/", Handler)), "first") == ["second"]
