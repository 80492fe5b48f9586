"""The connection of a WebSocket, used from a worker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado.websocket import WebSocketClosedError

from tornado_unblock import run_in_executor
from tornado_unblock._connection.websocket import SocketConnection
from tornado_unblock._loop.portal import current_portal


class Refusing:
    """A WebSocket connection that refuses everything."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def write_message(self, message: str, binary: bool = False) -> Any:
        if message == "fine":
            return asyncio.get_running_loop().create_future()
        raise self.error

    def write_ping(self, data: bytes) -> None:
        raise self.error


def test_socket_that_closes_while_a_frame_is_on_its_way():
    """The Future says so; a ping has nobody to tell."""

    def body(connection: Any) -> Any:
        connection.write_ping(b"")
        return [connection.write_message("x")]

    async def main() -> None:
        connection = SocketConnection(
            Refusing(WebSocketClosedError), current_portal(), int
        )
        (future,) = await run_in_executor(body, connection)
        with pytest.raises(WebSocketClosedError):
            await future
        with pytest.raises(WebSocketClosedError):
            connection.write_ping(b"")
        assert isinstance(connection.write_message("fine"), asyncio.Future)

    asyncio.run(main())


def test_socket_that_refuses_a_ping(expect_log):
    """What nobody waits for is logged."""
    expect_log("tornado.application", "The WebSocket refused .*write_ping")

    async def main() -> None:
        connection = SocketConnection(Refusing(LookupError), current_portal(), int)
        await run_in_executor(connection.write_ping, b"")

    asyncio.run(main())
