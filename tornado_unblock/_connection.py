"""The connection of a handler, safe to use from any thread.

A handler's own state may be touched by the worker that holds it. Its
connection, `tornado.http1connection.HTTP1Connection` as a rule, stays with the
loop. `RequestConnection` takes its place in ``handler.request.connection``;
what is sent through it goes to `Outgoing`.

# Threads: any. On the loop thread each call goes straight through.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from tornado.httputil import HTTPConnection, HTTPHeaders

from tornado_unblock._loop_affine import LoopAffine, LoopAffineStream
from tornado_unblock._outgoing import Listener, Outgoing
from tornado_unblock._portal import Portal


class RequestConnection(LoopAffine):
    """What stands in for the connection of one request."""

    def __init__(
        self, wrapped: HTTPConnection, portal: Portal, listener: Listener
    ) -> None:
        super().__init__(wrapped, portal)
        # All else is there: attributes of a proxy are dear.
        self._self_outgoing = Outgoing(wrapped, portal, listener)

    @property
    def outgoing(self) -> Outgoing:
        """The response."""
        return self._self_outgoing

    @property
    def stream(self) -> Any:
        """The connection's stream, as safe as the connection."""
        stream = self.__wrapped__.stream
        if stream is None or self._self_on_loop():
            return stream
        return LoopAffineStream(stream, self._self_portal)

    def write_headers(
        self,
        start_line: Any,
        headers: HTTPHeaders,
        chunk: Optional[bytes] = None,
    ) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write_headers`."""
        return self._self_outgoing.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write`."""
        return self._self_outgoing.write(chunk)

    def finish(self) -> None:
        """Implements `HTTPConnection.finish`."""
        self._self_outgoing.finish()

    def set_close_callback(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called on the loop thread when the client leaves."""
        self._self_outgoing.set_close_callback(callback)

    def detach(self) -> Any:
        """Take the stream out of the connection; it is as safe as this."""
        if self._self_on_loop():
            return self.__wrapped__.detach()
        stream = self._self_call(self.__wrapped__.detach)
        return LoopAffineStream(stream, self._self_portal)
