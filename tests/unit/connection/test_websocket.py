"""A WebSocket is read on while a worker has one of its messages."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Optional

import pytest
import tornado
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.conftest import Server, uvloop
from tornado_unblock import unblock
from tornado_unblock._connection.websocket import READ_AHEAD

LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)

#: Seconds; long enough for a pong on a busy machine.
INTERVAL = 0.5
#: Tornado before 6.5 looks when it is to ping, and needs more than an interval.
TIMEOUT = INTERVAL if tornado.version_info >= (6, 5) else 1.5 * INTERVAL


class Slow(WebSocketHandler):
    """Its first message waits at a gate; each is sent back."""

    def initialize(self, notes: Any) -> None:
        self.notes = notes
        notes.handlers.append(self)

    def get_compression_options(self) -> Optional[dict[str, Any]]:
        return {} if self.notes.compressed else None

    def on_message(self, message: Any) -> None:
        if not self.notes.entered.is_set():
            self.notes.entered.set()
            assert self.notes.gate.wait(WAIT)
        self.notes.seen.append(message if len(message) < 9 else len(message))
        if self.ws_connection is not None and not self.ws_connection.is_closing():
            self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        self.notes.seen.append("closed")
        self.notes.closed.set()


class SlowMethod(Slow):
    """Only the message hops."""

    on_message = unblock(Slow.on_message)


SlowClass = unblock(type("SlowClass", (Slow,), {}))


class Notes:
    """What a test and its handler know of each other."""

    def __init__(self, compressed: bool = False) -> None:
        self.entered, self.gate = threading.Event(), threading.Event()
        self.closed = threading.Event()
        self.seen: list[Any] = []
        self.handlers: list[Any] = []
        self.compressed = compressed

    async def until_entered(self) -> None:
        while not self.entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Client:
    """A client that counts pings and pongs."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.pings, self.pongs = 0, 0
        self._changed = asyncio.Event()
        connection.on_ping = self._pinged
        connection.on_pong = self._ponged

    def _pinged(self, data: bytes) -> None:
        self.pings += 1
        self._changed.set()

    def _ponged(self, data: bytes) -> None:
        self.pongs += 1
        self._changed.set()

    async def until(self, **counts: int) -> None:
        """Wait until so many pings or pongs have come."""
        while any(getattr(self, name) < count for name, count in counts.items()):
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), WAIT)

    async def send(self, *messages: Any) -> None:
        for message in messages:
            await self.connection.write_message(message, isinstance(message, bytes))

    async def answers(self, count: int) -> list[Any]:
        return [await self.connection.read_message() for _ in range(count)]


async def connect(server: Server, **options: Any) -> Client:
    connection = await websocket_connect(f"ws://127.0.0.1:{server.port}/", **options)
    server.web_sockets.append(connection)
    return Client(connection)


@LOOPS
@pytest.mark.parametrize("cls", [SlowMethod, SlowClass])
def test_pings_are_answered_while_a_message_is_worked_on(make_server, new_loop, cls):
    """Those of the client, behind messages that wait; these come in order."""
    notes = Notes()
    server = make_server(("/", cls, {"notes": notes}), new_loop=new_loop)

    async def run() -> None:
        client = await connect(server)
        await client.send("1")
        await notes.until_entered()
        for number in range(2, 6):
            client.connection.ping(b"!")
            await client.send(str(number))
        client.connection.ping(b"!")
        await client.until(pongs=5)
        assert notes.seen == []
        notes.gate.set()
        assert await client.answers(5) == ["1", "2", "3", "4", "5"]

    server.call(run)


@pytest.mark.parametrize("cls", [SlowMethod, SlowClass])
def test_ping_interval_does_not_close_a_busy_socket(make_server, cls):
    """Tornado's timer sends its pings, and their pongs are read."""
    notes = Notes()
    server = make_server(
        ("/", cls, {"notes": notes}),
        websocket_ping_interval=INTERVAL,
        websocket_ping_timeout=TIMEOUT,
    )

    async def run() -> None:
        client = await connect(server)
        await client.send("1", "2")
        await notes.until_entered()
        await client.until(pings=3)
        notes.gate.set()
        assert await client.answers(2) == ["1", "2"]

    server.call(run)


def test_client_that_has_to_wait_loses_no_pong(make_server):
    """More than is read ahead: the pongs stand behind it, and are not missed."""
    notes = Notes()
    server = make_server(
        ("/", SlowMethod, {"notes": notes}),
        websocket_ping_interval=INTERVAL,
        websocket_ping_timeout=TIMEOUT,
    )
    big = b"x" * READ_AHEAD

    async def run() -> None:
        client = await connect(server)
        await client.send(b"1", big, big, big)
        await notes.until_entered()
        await client.until(pings=3)
        assert not notes.handlers[0].ws_connection.is_closing()
        notes.gate.set()
        assert await client.answers(4) == [b"1", big, big, big]

    server.call(run)


def test_compressed_messages_that_wait(make_server):
    """They are inflated in the order in which they came, whatever came in between."""
    notes = Notes(compressed=True)
    server = make_server(("/", SlowMethod, {"notes": notes}))

    async def run() -> None:
        client = await connect(server, compression_options={})
        await client.send("first")
        await notes.until_entered()
        for _ in range(5):
            await client.send("the same again")
            client.connection.ping(b"")
        await client.until(pongs=5)
        notes.gate.set()
        assert await client.answers(6) == ["first", *["the same again"] * 5]

    server.call(run)


def test_close_comes_after_the_messages_before_it(make_server):
    """The client's goodbye waits for its turn, and is answered."""
    notes = Notes()
    server = make_server(("/", SlowMethod, {"notes": notes}))

    async def run() -> None:
        client = await connect(server)
        await client.send("1", "2")
        await notes.until_entered()
        await client.send("3")
        client.connection.close(4004)
        protocol = notes.handlers[0].ws_connection
        while protocol.stream._read_future is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not protocol.client_terminated
        notes.gate.set()
        assert await client.answers(4) == ["1", "2", "3", None]
        assert client.connection.close_code == 4004

    server.call(run)
    assert notes.closed.wait(WAIT)
    assert notes.seen == ["1", "2", "3", "closed"]


def test_client_that_vanishes(make_server):
    """What it sent before is handled, then the socket is closed."""
    notes = Notes()
    server = make_server(("/", SlowMethod, {"notes": notes}))

    async def run() -> None:
        client = await connect(server)
        await client.send("1", "2", "3")
        await notes.until_entered()
        client.connection.protocol.stream.close()
        protocol = notes.handlers[0].ws_connection
        while not protocol.stream.closed():  # noqa: ASYNC110
            await asyncio.sleep(0)
        notes.gate.set()

    server.call(run)
    assert notes.closed.wait(WAIT)
    assert notes.seen == ["1", "2", "3", "closed"]


def test_message_that_does_not_inflate(make_server, expect_log):
    """It ends its socket, as it would have without waiting."""
    expect_log("tornado.application", "A WebSocket's message cannot be read")
    notes = Notes(compressed=True)
    server = make_server(("/", SlowMethod, {"notes": notes}))

    async def run() -> None:
        client = await connect(server, compression_options={})
        await client.send("first")
        await notes.until_entered()
        protocol = client.connection.protocol
        protocol._write_frame(True, 0x1, b"\xff\xff\xff", flags=0x40)
        client.connection.ping(b"")
        await client.until(pongs=1)
        notes.gate.set()
        assert await client.answers(2) == ["first", None]

    server.call(run)
    assert notes.closed.wait(WAIT)


def test_coroutines_are_as_they_were(make_server):
    """A native ``on_message`` is awaited before the next frame is read."""
    gates: list[asyncio.Event] = []
    notes: list[Any] = []

    class Native(WebSocketHandler):
        @unblock
        def open(self) -> None:
            notes.append("open")

        async def on_message(self, message: Any) -> None:
            gates.append(asyncio.Event())
            await gates[-1].wait()
            await self.write_message(message)

        def on_ping(self, data: bytes) -> None:
            notes.append(data)

    server = make_server(("/", Native))

    async def run() -> None:
        client = await connect(server)
        await client.send("1")
        client.connection.ping(b"late")
        while not gates:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert notes == ["open"]
        gates[0].set()
        assert await client.answers(1) == ["1"]
        await client.until(pongs=1)

    server.call(run)


def test_error_while_messages_wait(make_server, expect_log):
    """The socket is aborted, and what waits with it is dropped, as inline."""
    expect_log("tornado.application", "Uncaught exception GET /")
    notes = Notes()

    class Failing(SlowMethod):
        @unblock
        def on_message(self, message: Any) -> None:
            notes.entered.set()
            assert notes.gate.wait(WAIT)
            notes.seen.append(message)
            raise LookupError

    server = make_server(("/", Failing, {"notes": notes}))

    async def run() -> None:
        client = await connect(server)
        await client.send("1", "2")
        await notes.until_entered()
        client.connection.ping(b"")
        await client.until(pongs=1)
        notes.gate.set()
        assert await client.answers(1) == [None]

    server.call(run)
    assert notes.closed.wait(WAIT)
    assert notes.seen == ["1", "closed"]
