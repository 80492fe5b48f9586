"""Slow readers, small send buffers, eight workers: every frame parses."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tests.patience import WAIT
from tests.unit.conftest import Server, uvloop
from tornado_unblock import unblock, unblock_application

WORKERS, SOCKETS, MESSAGES = 8, 6, 30
SMALL = 4096  # bytes; what the kernel makes of it is a few KiB
# Comes last. A close would not do: five seconds after it, Tornado cuts off what a slow
# client has not read.
END = b"the end"
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


class Shared(WebSocketHandler):
    """A socket that is not unblocked, with a small send buffer."""

    def initialize(self, shared: list[Any], compressed: bool) -> None:
        self.shared, self.compressed = shared, compressed

    def get_compression_options(self) -> Optional[dict[str, Any]]:
        return {} if self.compressed else None

    def open(self) -> None:
        stream = self.ws_connection.stream
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        self.shared.append(self)

    def on_message(self, message: Any) -> None:
        """Nothing is sent by clients."""


class Frames:
    """What a client reads, slowly, frame by frame."""

    def __init__(self, client: socket.socket, compressed: bool) -> None:
        self._file = client.makefile("rb", buffering=0)
        self._compressed = compressed
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def head(self) -> bytes:
        """Read the answer to the handshake."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        return head

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while True:
            first, length = self._read(2)
            assert first & 0x80
            assert bool(first & 0x40) == (self._compressed and first & 0xF < 8)
            assert not first & 0x30
            assert length < 0x80
            if length == 126:
                length = int.from_bytes(self._read(2), "big")
            payload = self._read(length)
            if first & 0x40:
                payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
            if payload == END:
                return
            yield first & 0xF, payload

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._file.read(min(length - len(data), 1021))
            assert part, "it ended within a frame"
            data += part
        return data


def payload(worker: int, number: int) -> str:
    """Return a message that does not compress to nothing."""
    filling = "".join(str((worker * 7919 + number * i) % 997) for i in range(900))
    return json.dumps({"worker": worker, "number": number, "filling": filling})


def tell(shared: list[Any], worker: int) -> None:
    """Send to all, with pings in between."""
    for number in range(MESSAGES):
        for each in shared:
            each.write_message(payload(worker, number))
            if number % 7 == 0:
                each.ping(f"{worker}")


def start(server: Server, shared: list[Any], compressed: bool) -> list[Frames]:
    """Open the sockets, whose clients read nothing yet."""
    readers = []
    for _ in range(SOCKETS):
        client = server.connect(SO_RCVBUF=SMALL)
        client.sendall(HANDSHAKE)
        reader = Frames(client, compressed)
        head = reader.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert (b"permessage-deflate" in head) == compressed
        readers.append(reader)
    server.until(lambda: len(shared) == SOCKETS)
    return readers


def check(reader: Frames) -> None:
    """Read all frames: each is what one worker sent, in its order, and none is lost."""
    next_number = dict.fromkeys(range(WORKERS), 0)
    pings = 0
    for opcode, data in reader:
        if opcode == 9:
            assert int(data) in next_number
            pings += 1
        elif opcode == 1:
            message = json.loads(data)
            worker, number = message["worker"], message["number"]
            assert data.decode() == payload(worker, number)
            assert number == next_number[worker]
            next_number[worker] += 1
    assert set(next_number.values()) == {MESSAGES}
    assert pings == WORKERS * len(range(0, MESSAGES, 7))


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflate"])
@pytest.mark.parametrize("how", ["method", "application", "threads"])
def test_every_frame_parses(make_server, new_loop, compressed, how):
    """Whatever is unblocked, and from threads that nobody knows of."""
    shared: list[Any] = []
    together = threading.Barrier(WORKERS)
    names = iter(range(WORKERS))

    def body() -> None:
        worker = next(names)
        together.wait(WAIT)
        tell(shared, worker)
        if together.wait(WAIT) == 0:
            for each in shared:
                each.write_message(END.decode())

    class Post(RequestHandler):
        def post(self) -> None:
            if how != "threads":
                body()

    if how == "method":
        Post.post = unblock(Post.post)  # type: ignore[method-assign]
    rules = [
        ("/ws", Shared, {"shared": shared, "compressed": compressed}),
        ("/post", Post),
    ]
    server = make_server(*rules, new_loop=new_loop)
    if how != "method":
        assert server.server is not None
        unblock_application(server.server.request_callback, routes={"/ws": None})
    readers = start(server, shared, compressed)
    threads = []
    if how == "threads":
        threads = [threading.Thread(target=body) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
    else:
        for _ in range(WORKERS):
            server.send("/post", method="POST", headers="Content-Length: 0\r\n")
    for reader in readers:
        check(reader)
    for thread in threads:
        thread.join(WAIT)
