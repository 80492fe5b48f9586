"""The connection of a handler, safe to use from any thread.

A handler's own state may be touched by the worker that holds it. Its
connection, `tornado.http1connection.HTTP1Connection` as a rule, stays with the
loop. `RequestConnection` takes its place in ``handler.request.connection``;
what is sent through it goes to `ResponseWriter`.

# Threads: any. On the loop thread each call goes straight through.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from tornado.httputil import HTTPHeaders

from tornado_unblock._connection.loop_affine import LoopAffine, LoopAffineStream
from tornado_unblock._connection.response import ResponseWriter
from tornado_unblock._loop.lease import running_loop


class RequestConnection:
    """What stands in for the connection of one request.

    Each request has one, and most use only what an HTTPConnection has: a plain
    object costs a tenth of a proxy. The proxy is made for what else is asked.
    """

    __slots__ = ("__weakref__", "writer")

    writer: ResponseWriter
    """The response."""

    def __init__(self, writer: ResponseWriter) -> None:
        object.__setattr__(self, "writer", writer)

    @property
    def stream(self) -> Any:
        """The connection's stream, as safe as the connection."""
        return self._safe(self.writer.connection.stream)  # type: ignore[attr-defined]

    def write_headers(
        self,
        start_line: Any,
        headers: HTTPHeaders,
        chunk: Optional[bytes] = None,
    ) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write_headers`."""
        return self.writer.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write`."""
        return self.writer.write(chunk)

    def finish(self) -> None:
        """Implements `HTTPConnection.finish`."""
        self.writer.finish()

    def set_close_callback(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called on the loop thread when the client leaves."""
        self.writer.set_close_callback(callback)

    def detach(self) -> Any:
        """Take the stream out of the connection; it is as safe as this."""
        return self._safe(self._all_else().detach())

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """That of the connection: `isinstance` says what it says inline."""
        return type(self.writer.connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all_else(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.writer.connection, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.writer.connection, name)

    def __eq__(self, other: object) -> bool:
        return self is other or self.writer.connection == other

    def __hash__(self) -> int:
        return hash(self.writer.connection)

    def __repr__(self) -> str:
        return f"<RequestConnection of {self.writer.connection!r}>"

    def _safe(self, stream: Any) -> Any:
        portal = self.writer.portal
        if stream is None or running_loop() is portal.loop:
            return stream
        return LoopAffineStream(stream, portal)

    def _all_else(self) -> Any:
        return LoopAffine(self.writer.connection, self.writer.portal)
