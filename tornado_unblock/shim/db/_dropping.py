"""Letting go of connections without a word to the server or to their loop.

# Threads: a `Tracked` belongs to its loop's thread; its `drop` comes when the loop
# is closed, from whichever thread closed it.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine


def immortal(value: object) -> None:
    """Never free ``value``, not even when the interpreter ends.

    A forked child must not close its parent's connections: some drivers tell the
    server when they do.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


class Tracked:
    """An engine that knows its open connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._open: dict[int, Any] = {}
        pool = engine.sync_engine
        event.listen(pool, "connect", self._opened)
        event.listen(pool, "close", self._closing)
        event.listen(pool, "close_detached", self._closing)

    async def close(self) -> None:
        """Close what idles in the pool; loop thread."""
        await self.engine.dispose()

    def drop(self) -> None:
        """Close the sockets; the loop is closed."""
        while self._open:
            _drop(self._open.popitem()[1])

    def _opened(self, connection: Any, record: Any) -> None:
        self._open[id(connection)] = connection.driver_connection

    def _closing(self, connection: Any, record: Any = None) -> None:
        self._open.pop(id(connection), None)


def _drop(connection: Any) -> None:
    """Close one driver's connection whose loop is closed."""
    pgconn = getattr(connection, "pgconn", None)
    if pgconn is not None:  # psycopg
        pgconn.finish()
        return
    writer = getattr(connection, "_writer", None)  # asyncmy, aiomysql
    sever(getattr(writer, "transport", getattr(connection, "_transport", None)))
    with contextlib.suppress(Exception):
        # It finds its transport closed, and takes note.
        getattr(connection, "terminate", connection.close)()


def sever(transport: Any) -> None:
    """Close a transport's socket, and have the transport know; its loop is closed.

    What its own ``__del__`` does, but for the warning. Asyncio has nothing public
    for that: `close` and `abort` need the loop.
    """
    protocol = getattr(transport, "_ssl_protocol", None)
    if protocol is not None:
        transport._closed = True
        transport = protocol._transport
    sock = getattr(transport, "_sock", None)
    if sock is not None:  # not with uvloop, which closes all it has
        transport._closing = True
        transport._conn_lost = 1
        transport._sock = None
        sock.close()
