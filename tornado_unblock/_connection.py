"""The connection of a handler, safe to use from any thread.

A handler's own state may be touched by the worker that holds it. Its
connection, `tornado.http1connection.HTTP1Connection` as a rule, stays with the
loop. `RequestConnection` takes its place in ``handler.request.connection``.

# Threads: any. On the loop thread each call goes straight through.
# Guarantees, for calls from another thread:
# - what is written goes out in the order of the calls, each as it was when
#   the call was made: a header set later does not reach the wire;
# - an error the connection raises is raised in the caller. What provably
#   cannot fail is posted; what might waits for the loop's answer;
# - one chunk may be on its way to the client; the next `write` waits for it;
# - `finish` never waits;
# - after the request was taken from a worker, its calls raise `AbandonedError`.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import Any, Callable, Optional, Protocol

import wrapt
from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.log import app_log

from tornado_unblock._errors import AbandonedError
from tornado_unblock._portal import (
    Latch,
    Portal,
    copy_outcome,
    current_lease,
    running_loop,
)

# Header text that HTTP1Connection takes without complaint in every supported
# Tornado: Latin-1 without control characters.
_harmless = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch


class Listener(Protocol):
    """Who is told on the loop thread what becomes of a connection."""

    retry_after: Optional[int]
    """Seconds a 503 is to name, or None."""

    def closing(self) -> None:
        """The client left."""

    def finishing(self) -> None:
        """The loop thread ends the response."""


def check_lease() -> None:
    """Raise `AbandonedError` in a worker whose request was taken from it."""
    lease = current_lease()
    if lease is not None and lease.revoked is not None:
        raise AbandonedError(lease.revoked)


class LoopAffine(wrapt.ObjectProxy):  # type: ignore[misc]
    """Any object whose methods must run on the loop thread.

    Called elsewhere, a method runs there and its result is waited for.
    """

    def __init__(self, wrapped: Any, portal: Portal) -> None:
        super().__init__(wrapped)
        self._self_portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if self._self_on_loop() or not callable(value):
            return value
        return functools.partial(self._self_call, value)

    def _self_on_loop(self) -> bool:
        return running_loop() is self._self_portal.loop

    def _self_call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        check_lease()
        return self._self_portal.call(functools.partial(method, *args, **kwargs))


class RequestConnection(LoopAffine):
    """What stands in for the connection of one request."""

    def __init__(
        self,
        wrapped: HTTPConnection,
        portal: Portal,
        listener: Listener,
        *,
        method: str,
        untouched: bool,
    ) -> None:
        """Take the place of ``wrapped``; loop thread only.

        Args:
            wrapped: The connection.
            portal: The way to its loop.
            listener: Who is told what becomes of it.
            method: The request's method; a HEAD response has no body.
            untouched: Whether nothing was written to it yet.
        """
        super().__init__(wrapped, portal)
        self._self_method = method
        # Whether it is known what the connection expects; False for good once
        # it is not, and then each call waits for the loop's answer.
        self._self_known = untouched
        # Bytes that Content-Length still promises; None when it is not given.
        self._self_remaining: Optional[int] = None
        # The latch of the chunk that is on its way, if any.
        self._self_unsent: Optional[Latch] = None
        self._self_close_callback: Optional[Callable[[], None]] = None
        self._self_listener = listener

    @property
    def stream(self) -> Any:
        """The connection's stream, as safe as the connection."""
        stream = self.__wrapped__.stream
        if stream is None or self._self_on_loop():
            return stream
        return _Stream(stream, self._self_portal)

    def write_headers(
        self,
        start_line: Any,
        headers: HTTPHeaders,
        chunk: Optional[bytes] = None,
    ) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write_headers`."""
        if self._self_on_loop():
            self._self_known = False
            self._self_add_retry_after(start_line, headers)
            return self.__wrapped__.write_headers(start_line, headers, chunk)  # type: ignore[no-any-return]
        check_lease()
        self._self_wait_until_sent()
        self._self_add_retry_after(start_line, headers)
        if not self._self_foresee(start_line, headers, chunk):
            return self._self_answered("write_headers", start_line, headers, chunk)
        return self._self_post_write(
            self.__wrapped__.write_headers, start_line, _snapshot(headers), chunk
        )

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write`."""
        if self._self_on_loop():
            self._self_known = False
            return self.__wrapped__.write(chunk)  # type: ignore[no-any-return]
        check_lease()
        self._self_wait_until_sent()
        if not self._self_known or not self._self_fits(chunk):
            return self._self_answered("write", chunk)
        return self._self_post_write(self.__wrapped__.write, chunk)

    def finish(self) -> None:
        """Implements `HTTPConnection.finish`."""
        if self._self_on_loop():
            self._self_listener.finishing()
            self.__wrapped__.finish()
            return
        check_lease()
        if self._self_known and not self._self_remaining:
            self._self_portal.call_soon(self._self_perform, self.__wrapped__.finish)
        else:
            self._self_answered("finish")

    def set_close_callback(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called on the loop thread when the client leaves."""
        self._self_close_callback = callback
        own = None if callback is None else self._self_closed
        if self._self_on_loop():
            self.__wrapped__.set_close_callback(own)
            return
        check_lease()
        self._self_portal.call_soon(
            self._self_perform, self.__wrapped__.set_close_callback, own
        )

    def detach(self) -> Any:
        """Take the stream out of the connection; it is as safe as this."""
        if self._self_on_loop():
            return self.__wrapped__.detach()
        stream = self._self_call(self.__wrapped__.detach)
        return _Stream(stream, self._self_portal)

    # --- any thread but the loop's ------------------------------------------

    def _self_answered(self, name: str, *args: Any) -> Any:
        self._self_known = False
        return self._self_call(getattr(self.__wrapped__, name), *args)

    def _self_wait_until_sent(self) -> None:
        unsent = self._self_unsent
        if unsent is not None:
            unsent.wait(self._self_portal.loop)
            check_lease()

    def _self_foresee(
        self, start_line: Any, headers: HTTPHeaders, chunk: Optional[bytes]
    ) -> bool:
        """Whether `HTTP1Connection.write_headers` is sure to accept this."""
        if not self._self_known or not isinstance(start_line, ResponseStartLine):
            return False
        if not _harmless(start_line.reason):
            return False
        for name, value in headers.get_all():
            if not (
                isinstance(value, str) and _harmless(name) and _harmless(value)
            ):
                return False
        if self._self_method == "HEAD" or start_line.code == 304:
            self._self_remaining = 0
        elif "Content-Length" in headers:
            length = headers["Content-Length"]
            if not (length.isascii() and length.isdigit()):
                return False
            self._self_remaining = int(length)
        return self._self_fits(chunk)

    def _self_fits(self, chunk: Optional[bytes]) -> bool:
        if self._self_remaining is None or not chunk:
            return True
        self._self_remaining -= len(chunk)
        return self._self_remaining >= 0

    def _self_post_write(
        self, method: Callable[..., Any], *args: Any
    ) -> asyncio.Future[None]:
        portal = self._self_portal
        future: asyncio.Future[None] = portal.loop.create_future()
        latch = self._self_unsent = Latch()
        portal.call_soon(self._self_perform_write, future, latch, method, args)
        return future

    # --- loop thread ----------------------------------------------------------

    def _self_perform(self, method: Callable[..., Any], *args: Any) -> Any:
        try:
            return method(*args)
        except Exception:
            # Nobody waits for it. The response cannot be completed.
            app_log.error("The connection refused %r", method, exc_info=True)
            self.__wrapped__.close()
            return None

    def _self_perform_write(
        self,
        future: asyncio.Future[None],
        latch: Latch,
        method: Callable[..., Any],
        args: Any,
    ) -> None:
        sent = self._self_perform(method, *args)
        if sent is None:
            latch.open()
            future.set_exception(StreamClosedError())
        else:
            if sent.done():
                latch.open()
            else:
                sent.add_done_callback(functools.partial(_open, latch))
            copy_outcome(sent, future)
        if future.done() and not future.cancelled():
            future.exception()  # as with Tornado's own: awaiting it is optional

    def _self_add_retry_after(self, start_line: Any, headers: HTTPHeaders) -> None:
        seconds = self._self_listener.retry_after
        if seconds is not None and start_line.code == 503:
            headers["Retry-After"] = str(seconds)

    def _self_closed(self) -> None:
        callback, self._self_close_callback = self._self_close_callback, None
        if self._self_unsent is not None:
            self._self_unsent.open()
        self._self_listener.closing()
        if callback is not None:
            callback()


class _Stream(LoopAffine):
    """A stream reached from a worker."""

    def closed(self) -> bool:
        """Whether the stream is closed; a look, so it does not wait."""
        return bool(self.__wrapped__.closed())

    @property
    def socket(self) -> Any:
        """The stream's socket; its methods run on the loop thread too."""
        socket = self.__wrapped__.socket
        return socket if self._self_on_loop() else LoopAffine(socket, self._self_portal)


def _open(latch: Latch, future: object) -> None:
    latch.open()


def _snapshot(headers: HTTPHeaders) -> HTTPHeaders:
    """Return a copy of ``headers``, cheaper than `HTTPHeaders.copy` by far.

    That one parses and checks each line again; these have been checked.
    """
    copy = HTTPHeaders.__new__(HTTPHeaders)
    for name, value in vars(headers).items():
        if isinstance(value, dict):
            value = {k: v[:] if isinstance(v, list) else v for k, v in value.items()}
        setattr(copy, name, value)
    return copy
