"""The right to write one response: what stands in for the connection of a request.

A handler's own state may be touched by the worker that holds it. Its connection,
`tornado.http1connection.HTTP1Connection` as a rule, stays with the loop. A
`RequestConnection` takes its place in ``handler.request.connection``; what is sent
through it goes to the `ResponseWriter` of the response.

Each stay of a handler in a worker has one of its own. When the response is taken from
the stay, its RequestConnection is revoked: dead for whoever holds it, on any thread,
for good. Whoever answers instead has another one.

# Threads: any. On the loop thread each call goes straight through.
# Guarantees: through one that is revoked, or whose response has ended, nothing
# reaches the client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Callable, Optional, cast

from tornado.httputil import HTTPHeaders

from tornado_unblock._connection.response import (
    RESPONSE_ENDED,
    ResponseWriter,
    StartLine,
)
from tornado_unblock._errors import AbandonedError
from tornado_unblock._loop.lease import here, running_loop

if TYPE_CHECKING:
    from tornado.iostream import IOStream

    from tornado_unblock._connection.loop_affine import Check, LoopAffine


class RequestConnection:
    """One right to write one response.

    Most of its users want only what an HTTPConnection has: a plain object costs a tenth
    of a proxy. The proxy is made for what else is asked.
    """

    __slots__ = ("__weakref__", "loop_only", "revoked", "writer")

    writer: ResponseWriter
    """The response."""
    revoked: Optional[str]
    """Why it is dead; None while it lives. Set on the loop thread, once."""
    loop_only: bool
    """Whether only the loop thread may use it: a body was abandoned before."""

    def __init__(self, writer: ResponseWriter, loop_only: bool = False) -> None:
        set_own = object.__setattr__
        set_own(self, "writer", writer)
        set_own(self, "revoked", None)
        set_own(self, "loop_only", loop_only)

    def revoke(self, why: str) -> None:
        """Make it dead for good; loop thread."""
        object.__setattr__(self, "revoked", why)

    def refusal(self) -> Optional[str]:
        """Return why this thread may not write now, or None; any thread."""
        if self.revoked is not None:
            return self.revoked
        lease = here.lease
        if lease is not None:
            if lease.revoked is not None and lease.response is self.writer:
                return lease.revoked
        elif self.loop_only and running_loop() is not self.writer.portal.loop:
            return "its body was abandoned; only the loop thread answers now"
        return None

    def check(self) -> None:
        """Raise unless this thread may write now; any thread.

        Raises:
            AbandonedError: The response was taken from it.
        """
        why = self.refusal()
        if why is not None:
            raise AbandonedError(why)

    def write_headers(
        self,
        start_line: StartLine,
        headers: HTTPHeaders,
        chunk: Optional[bytes] = None,
    ) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write_headers`."""
        return self.writer.write_headers(self, start_line, headers, chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write`."""
        return self.writer.write(self, chunk)

    def finish(self) -> None:
        """Implements `HTTPConnection.finish`."""
        self.writer.finish(self)

    def set_close_callback(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called on the loop thread when the client leaves."""
        self.writer.set_close_callback(self, callback)

    def detach(self) -> object:
        """Take the stream out of the connection; it is as safe as this."""
        stream = self._all_else()._self_call(self.writer.detach)
        return self._safe(cast("IOStream", stream), self.check)

    @property
    def stream(self) -> object:
        """The connection's stream, as safe as the connection."""
        return self._safe(
            self.writer.connection.stream,  # type: ignore[attr-defined]
            self._check_stream,
        )

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """That of the connection: `isinstance` says what it says inline."""
        return type(self.writer.connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all_else(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.writer.connection, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.writer.connection, name)

    def __eq__(self, other: object) -> bool:
        return self is other or self.writer.connection == other

    def __hash__(self) -> int:
        return hash(self.writer.connection)

    def __repr__(self) -> str:
        return f"<RequestConnection of {self.writer.connection!r}>"

    def _check_stream(self) -> None:
        self.check()
        if self.writer.ended:
            raise AbandonedError(RESPONSE_ENDED)

    def _safe(self, stream: Optional[IOStream], check: Check) -> object:
        portal = self.writer.portal
        alive_on_loop = running_loop() is portal.loop and self.revoked is None
        if stream is None or alive_on_loop:
            return stream
        from tornado_unblock._connection.loop_affine import LoopAffineStream

        return LoopAffineStream(stream, portal, check)

    def _all_else(self) -> LoopAffine:
        # Here, since it brings wrapt, which is there once something is unblocked.
        from tornado_unblock._connection.loop_affine import LoopAffine

        return LoopAffine(self.writer.connection, self.writer.portal, self.check)
