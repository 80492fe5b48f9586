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
from typing import Any, Callable, Optional, Protocol

from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.log import app_log

from tornado_unblock._headers import harmless, snapshot
from tornado_unblock._latch import Latch
from tornado_unblock._loop_affine import LoopAffine, LoopAffineStream, check_lease
from tornado_unblock._loop_calls import copy_outcome
from tornado_unblock._portal import Lease, Portal, current_lease


class Listener(Protocol):
    """Who is told on the loop thread what becomes of a connection."""

    retry_after: Optional[int]
    """Seconds a 503 is to name, or None."""

    def closing(self) -> None:
        """The client left."""

    def finishing(self) -> None:
        """The loop thread ends the response."""

    def over(self) -> None:
        """The response has ended."""


class RequestConnection(LoopAffine):
    """What stands in for the connection of one request."""

    # As class attributes, so that making one costs little.

    # The request's method; a HEAD response has no body.
    _self_method: Optional[str] = None
    # Whether it is known what the connection expects; if not, each call waits.
    _self_known = True
    # Whether any byte of the response has left, and all that Content-Length
    # promised; the loop thread's view.
    _self_sent = _self_whole = False
    # Bytes that Content-Length still promises; None when it is not given.
    _self_remaining: Optional[int] = None
    # The latch of the chunk that is on its way, if any.
    _self_unsent: Optional[Latch] = None
    _self_close_callback: Optional[Callable[[], None]] = None
    # Calls kept back until `release`; None: they are posted at once.
    _self_held: Optional[list[tuple[Any, ...]]] = None
    _self_last = False

    def __init__(
        self, wrapped: HTTPConnection, portal: Portal, listener: Listener
    ) -> None:
        super().__init__(wrapped, portal)
        self._self_listener = listener

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
        if self._self_on_loop():
            self._self_known = False
            self._self_sent = True
            self._self_add_retry_after(start_line, headers)
            written: asyncio.Future[None] = self.__wrapped__.write_headers(
                start_line, headers, chunk
            )
            return written
        check_lease()
        self._self_wait_until_sent()
        self._self_add_retry_after(start_line, headers)
        if not self._self_foresee(start_line, headers, chunk):
            return self._self_answered("write_headers", start_line, headers, chunk)
        return self._self_post_write(
            self.__wrapped__.write_headers, start_line, snapshot(headers), chunk
        )

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Implements `HTTPConnection.write`."""
        if self._self_on_loop():
            self._self_known = False
            written: asyncio.Future[None] = self.__wrapped__.write(chunk)
            return written
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
        lease = current_lease()
        if lease is not None and not lease.take_right_to_finish():
            check_lease()
        if self._self_known and not self._self_remaining:
            self._self_post(self._self_perform, lease, self.__wrapped__.finish)
            if not self._self_last:
                self._self_post_held()
        else:
            self._self_answered("finish")
        if lease is None:  # a thread that is no worker; of one, its end tells
            self._self_portal.call_soon(self._self_listener.over)

    def set_close_callback(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called on the loop thread when the client leaves."""
        self._self_close_callback = callback
        if self._self_on_loop():
            own = None if callback is None else self._self_closed
            self.__wrapped__.set_close_callback(own)
        else:
            # The connection goes on calling this, which has a new callback.
            check_lease()
            lease = current_lease()
            if callback is None and self._self_held is None and lease is not None:
                # Tornado's `finish` begins so: what it sends leaves in one piece.
                self.hold()
                lease.parting = self.release

    def detach(self) -> Any:
        """Take the stream out of the connection; it is as safe as this."""
        if self._self_on_loop():
            return self.__wrapped__.detach()
        stream = self._self_call(self.__wrapped__.detach)
        return LoopAffineStream(stream, self._self_portal)

    def hold(self, last: bool = False) -> None:
        """Keep what follows back until `release`, to wake the loop once for all.

        Args:
            last: Also after `finish`: the body does nothing else.
        """
        self._self_held = []
        self._self_last = last

    def release(self) -> None:
        """Do what was kept back; loop thread, once the body has ended."""
        held, self._self_held = self._self_held, None
        _do_all(held or [])

    @property
    def sent(self) -> bool:
        """Whether any byte of the response has left."""
        return self._self_sent

    @property
    def whole(self) -> bool:
        """Whether all of a response of known length has left."""
        return self._self_whole

    # --- any thread but the loop's ------------------------------------------

    def _self_post_held(self) -> None:
        held, self._self_held = self._self_held, None
        if held:
            self._self_portal.call_soon(_do_all, held)

    def _self_post(self, fn: Callable[..., Any], *args: Any) -> None:
        if self._self_held is not None:
            self._self_held.append((fn, *args))
        else:
            self._self_portal.call_soon(fn, *args)

    def _self_answered(self, name: str, *args: Any) -> asyncio.Future[None]:
        self._self_known = False
        self._self_post_held()
        method = getattr(self.__wrapped__, name)
        self._self_sent = True
        future: asyncio.Future[None] = self._self_call(method, *args)
        return future

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
        if not harmless(start_line.reason, headers):
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
        future: asyncio.Future[None] = self._self_portal.loop.create_future()
        latch = self._self_unsent = Latch()
        lease = current_lease()
        self._self_post(self._self_perform_write, future, latch, lease, method, args)
        return future

    # --- loop thread ----------------------------------------------------------

    def _self_perform(
        self, lease: Optional[Lease], method: Callable[..., Any], *args: Any
    ) -> Any:
        if lease is not None and lease.revoked is not None:
            return None  # it was on its way when the request was taken
        self._self_sent = True
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
        lease: Optional[Lease],
        method: Callable[..., Any],
        args: Any,
    ) -> None:
        sent = self._self_perform(lease, method, *args)
        if sent is not None and self._self_unsent is latch:
            self._self_whole = self._self_remaining == 0
        if sent is None:
            latch.open()
            future.set_exception(StreamClosedError())
        else:
            if sent.done():
                latch.open()
            else:
                sent.add_done_callback(latch.open)
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


def _do_all(calls: list[tuple[Any, ...]]) -> None:
    for fn, *args in calls:
        fn(*args)
