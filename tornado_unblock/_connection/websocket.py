"""A WebSocket is read on while a worker has one of its messages.

Tornado awaits what ``on_message`` returns before it reads the next frame. A message
that takes long would keep it from pings, which the client waits to be answered, and
from pongs, without which Tornado's own timer (``websocket_ping_interval``) closes the
socket. Inline the loop stood still meanwhile, its timers too.

# Threads: the loop thread only.
# Guarantees, for sockets whose message hops:
# - control frames are read meanwhile: pings are answered, pongs noted;
# - messages are handled one by one and in order, and the end of the socket after them;
# - up to `READ_AHEAD` bytes of them are read ahead, and the message that is the first
#   beyond that. Then the client has to wait, and its pongs are not missed.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import logging
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional, cast

from tornado.iostream import StreamClosedError

from tornado_unblock._errors import log

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import ModuleType

    from tornado.websocket import WebSocketProtocol, WebSocketProtocol13

    _HandleMessage = Callable[
        [WebSocketProtocol13, int, bytes], Optional[asyncio.Future[None]]
    ]

READ_AHEAD = 65536
"""How many bytes of messages wait for the one that is worked on."""

_STATE = "_tornado_unblock_reading"
_TEXT, _BINARY, _CLOSE = 0x1, 0x2, 0x8


def read_on(protocol: WebSocketProtocol) -> None:
    """Have ``protocol`` read on during the message that it hands over just now."""
    own = vars(protocol)
    reading = own.get(_STATE)
    if reading is None:
        reading = own[_STATE] = _Reading(cast("WebSocketProtocol13", protocol))
    reading.asked = True


class _Frame(NamedTuple):
    """A message, or the end, that waits for its turn."""

    handle: Callable[[int, bytes], Optional[asyncio.Future[None]]]
    opcode: int
    data: bytes
    # What its header said; the next header changes it on the protocol.
    compressed: Optional[bool]


class _Reading:
    """What of one socket was read ahead."""

    def __init__(self, protocol: WebSocketProtocol13) -> None:
        self._protocol = protocol
        # Whether the message that is just handed over went to a worker.
        self.asked = False
        # Whether a message is worked on.
        self.is_busy = False
        self._held: collections.deque[_Frame] = collections.deque()
        self._size = 0
        # Who waits until there is room, and until nothing is held and worked on.
        self._room: Optional[asyncio.Future[None]] = None
        self._idle: Optional[asyncio.Future[None]] = None

    def hold(self, frame: _Frame) -> Optional[asyncio.Future[None]]:
        """Keep a frame for later; returns what to wait for before reading on."""
        self._held.append(frame)
        self._size += len(frame.data)
        if self._size <= READ_AHEAD and frame.opcode != _CLOSE:
            return None
        self._room = asyncio.get_running_loop().create_future()
        self.excuse_pong()
        return self._room

    def excuse_pong(self) -> None:
        """Have Tornado miss no pong while it is kept from reading it."""
        if self._room is not None:
            protocol = self._protocol
            if "last_pong" in vars(protocol):  # pragma: no cover - before 6.5
                vars(protocol)["last_pong"] = protocol.stream.io_loop.time()
            else:  # pragma: no cover - since 6.5
                protocol._received_pong = True

    def wait_for(self, result: asyncio.Future[None]) -> None:
        """Hold what comes until ``result`` is done."""
        self.is_busy = True
        result.add_done_callback(self._go_on)

    async def until_idle(self) -> None:
        """Wait until what was read is handled."""
        if self.is_busy:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def _go_on(self, result: asyncio.Future[None]) -> None:
        self.is_busy = False
        while self._held and not self.is_busy:
            frame = self._held.popleft()
            self._size -= len(frame.data)
            done = self._handle(frame)
            if done is not None:
                self.wait_for(done)
        if self._size <= READ_AHEAD and not any(f.opcode == _CLOSE for f in self._held):
            room, self._room = self._room, None
            _open(room)
        if not self.is_busy:
            idle, self._idle = self._idle, None
            _open(idle)

    def _handle(self, frame: _Frame) -> Optional[asyncio.Future[None]]:
        protocol = self._protocol
        now = protocol._frame_compressed
        protocol._frame_compressed = frame.compressed
        try:
            return frame.handle(frame.opcode, frame.data)
        except Exception as error:  # bytes that do not inflate, say
            log(logging.ERROR, "A WebSocket's message cannot be read", error=error)
            protocol._abort()
            return None
        finally:
            protocol._frame_compressed = now


def _open(future: Optional[asyncio.Future[None]]) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _handle_message(
    own: _HandleMessage, protocol: WebSocketProtocol13, opcode: int, data: bytes
) -> Optional[asyncio.Future[None]]:
    """Handle a frame now, or hold it while a message is worked on."""
    reading: Optional[_Reading] = vars(protocol).get(_STATE)
    result: Optional[asyncio.Future[None]]
    if reading is not None:
        reading.asked = False
        if reading.is_busy:
            if opcode in (_TEXT, _BINARY, _CLOSE):
                handle = functools.partial(own, protocol)
                compressed = protocol._frame_compressed
                return reading.hold(_Frame(handle, opcode, data, compressed))
            own(protocol, opcode, data)  # what it returns is behind the message
            return None
    result = own(protocol, opcode, data)
    if result is not None and opcode in (_TEXT, _BINARY):
        reading = vars(protocol).get(_STATE)
        if reading is not None and reading.asked:
            reading.wait_for(result)
            return None
    return result


async def _receive_frame(
    own: Callable[[WebSocketProtocol13], Awaitable[None]],
    protocol: WebSocketProtocol13,
) -> None:
    """Read a frame; the end of the stream comes after what was read before it."""
    try:
        await own(protocol)
    except StreamClosedError:
        reading: Optional[_Reading] = vars(protocol).get(_STATE)
        if reading is not None:
            await reading.until_idle()
        raise


def _write_ping(
    own: Callable[[WebSocketProtocol13, bytes], object],
    protocol: WebSocketProtocol13,
    data: bytes,
) -> None:
    """Ping, and miss no pong if the client has to wait."""
    own(protocol, data)
    reading: Optional[_Reading] = vars(protocol).get(_STATE)
    if reading is not None:
        reading.excuse_pong()


def install_reading_on(module: ModuleType) -> None:
    """Have `tornado.websocket` ask, at each frame, whether to read on; once."""
    cls = module.WebSocketProtocol13
    for name, instead in (
        ("_handle_message", _handle_message),
        ("_receive_frame", _receive_frame),
        ("write_ping", _write_ping),
    ):
        own = vars(cls)[name]
        setattr(cls, name, _replaced(own, instead))


def _replaced(
    own: Callable[..., object], instead: Callable[..., object]
) -> Callable[..., object]:
    @functools.wraps(own)
    def method(self: object, *args: object) -> object:
        return instead(own, self, *args)

    return method
