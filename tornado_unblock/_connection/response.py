"""One response on its way out, from whichever thread it is written.

What any thread calls, and what the loop thread then does, stand in one file: each half
relies on what the other one leaves behind.

# Threads: any. On the loop thread each call goes straight to the connection.
# Guarantees, for calls from another thread:
# - what is written goes out in the order of the calls, each as it was when
#   the call was made: a header set later does not reach the wire;
# - an error the connection raises is raised in the caller. What provably
#   cannot fail is posted; what might waits for the loop's answer;
# - one chunk may be on its way to the client; the next `write` waits for it;
# - `finish` never waits;
# - it is finished once; what comes after its end is refused, and never becomes part of
#   the next response of the connection;
# - who may write is asked of the right through which it comes, not of the thread;
# - a client that has left ends the writing: `StreamClosedError`.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import Callable, Optional, Protocol, TypeVar, Union

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream, StreamClosedError
from tornado.log import app_log

from tornado_unblock._errors import AbandonedError
from tornado_unblock._loop.futures import copy_outcome, for_this_thread
from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.lease import Lease, here, running_loop
from tornado_unblock._loop.portal import Portal

RESPONSE_ENDED = "its response has ended; nothing more can be sent"
NO_HEAD = "no head of this response has been sent yet; what comes before it is lost"
SECOND_HEAD = (
    "the head of this response has been sent already: a body and what it has handed to "
    "other threads or callbacks write the same response at once"
)


StartLine = Union[RequestStartLine, ResponseStartLine]
Sending = Callable[..., "asyncio.Future[None]"]
"""A method of a connection's; its Future is done when what it sends is sent."""

_T = TypeVar("_T")
_Calls = list[tuple[Callable[..., object], tuple[object, ...]]]


class Listener(Protocol):
    """Who is told on the loop thread what becomes of a connection."""

    retry_after: Optional[int]
    """Seconds a 503 is to name, or None."""

    @property
    def was_abandoned(self) -> bool:
        """Whether a body of this response was abandoned."""

    def closing(self) -> None:
        """The client left."""

    def finishing(self) -> None:
        """The loop thread ends the response."""

    def response_ended(self) -> None:
        """The response has ended."""


class Right(Protocol):
    """A right to write a response; see `RequestConnection`."""

    revoked: Optional[str]

    def check(self) -> None:
        """Raise unless the calling thread may write now."""


class ResponseWriter:
    """The response of one request."""

    __slots__ = (
        # Set once.
        *("connection", "listener", "method", "portal"),
        # The loop thread's.
        *(
            "_close_callback",
            "client_left",
            "complete",
            "deferred",
            "detached",
            "ended",
            "sent",
        ),
        # Whose turn it is to write.
        *("_held", "_remaining", "_unsent", "predictable"),
        # Taken by one thread: list.pop is atomic.
        "_right_to_finish",
    )

    def __init__(
        self, connection: HTTPConnection, portal: Portal, listener: Listener
    ) -> None:
        self.connection = connection
        self.portal = portal
        self.listener = listener
        # The request's method; a HEAD response has no body.
        self.method: Optional[str] = None
        # Whether it is known what the connection expects; if not, each call waits.
        self.predictable = True
        # Whether any byte of the response has left, and all that Content-Length
        # promised; whether it has ended, so that what comes now would be part of the
        # next one.
        self.sent = self.complete = self.ended = False
        self.client_left = False
        # The stream, once it was taken out of the connection: there is no response.
        self.detached: Optional[IOStream] = None
        # What has to wait for the head of the response.
        self.deferred: list[Callable[[], object]] = []
        self._right_to_finish = [True]
        # Bytes that Content-Length still promises; None when it is not given.
        self._remaining: Optional[int] = None
        # The latch of the chunk that is on its way, if any.
        self._unsent: Optional[Latch] = None
        self._close_callback: Optional[Callable[[], None]] = None
        # Calls kept back until `finish` or the body's end; None: they are posted at
        # once.
        self._held: Optional[_Calls] = None

    # --- who finishes ------------------------------------------------------------

    def take_right_to_finish(self) -> bool:
        """Take the right to finish it; any thread, the first one gets it.

        A worker takes it when it finishes, the loop thread when it takes the response
        from a worker.
        """
        try:
            return self._right_to_finish.pop()
        except IndexError:
            return False

    def give_right_back(self) -> None:
        """Undo a `take_right_to_finish`."""
        self._right_to_finish.append(True)

    @property
    def may_finish(self) -> bool:
        """Whether nobody has finished it yet; any thread."""
        return bool(self._right_to_finish)

    # --- any thread ----------------------------------------------------------------

    def write_headers(
        self,
        right: Right,
        start_line: StartLine,
        headers: HTTPHeaders,
        chunk: Optional[bytes],
    ) -> asyncio.Future[None]:
        """See `HTTPConnection.write_headers`."""
        right.check()
        if self.ended:
            raise AbandonedError(RESPONSE_ENDED)
        if running_loop() is self.portal.loop:
            if self.sent:
                raise RuntimeError(SECOND_HEAD)
            self.predictable = False
            self.sent = not _only_informs(start_line)
            self._add_retry_after(start_line, headers)
            return self.connection.write_headers(start_line, headers, chunk)
        self._wait_until_sent(right)
        self._add_retry_after(start_line, headers)
        send = self.connection.write_headers
        if _only_informs(start_line) or not self.foresee(start_line, headers, chunk):
            return self._answered(right, send, start_line, headers, chunk)
        return self._post_write(right, send, start_line, snapshot(headers), chunk)

    def write(self, right: Right, chunk: bytes) -> asyncio.Future[None]:
        """See `HTTPConnection.write`."""
        right.check()
        if self.ended:
            return self._write_after_end(chunk)
        if running_loop() is self.portal.loop:
            if not self.sent:
                return self._defer(chunk)
            self.predictable = False
            return self.connection.write(chunk)
        self._wait_until_sent(right)
        if not self.predictable or not self._fits(chunk):
            return self._answered(right, self.connection.write, chunk)
        return self._post_write(right, self.connection.write, chunk)

    def finish(self, right: Right) -> None:
        """See `HTTPConnection.finish`."""
        right.check()
        if self.ended:
            return  # as the connection does, to which this is no news
        if running_loop() is self.portal.loop:
            if self.deferred or not self.sent:
                self._check_head_comes()
                self.deferred.append(self._finish_now)
            else:
                self._finish_now()
            return
        if self.take_right_to_finish():
            try:
                right.check()  # it may have been revoked just before
            except AbandonedError:
                self.give_right_back()
                raise
        lease = self._own_lease()
        if self.predictable and not self._remaining:
            self._post(self._perform_finish, right, lease)
            self._post_held()
            if lease is not None:
                lease.before_settle = None
        else:
            self._ask(right, self.connection.finish)
        if lease is None:  # else its end tells
            self.portal.call_soon(self.listener.response_ended)

    def set_close_callback(
        self, right: Right, callback: Optional[Callable[[], None]]
    ) -> None:
        """See `HTTP1Connection.set_close_callback`."""
        if running_loop() is self.portal.loop:
            self.watch_close(callback)
            return
        right.check()
        # The connection goes on calling `_closed`, which has a new callback.
        self._close_callback = callback
        lease = self._own_lease()
        if callback is None and self._held is None and lease is not None:
            # Tornado's `finish` begins so: what it sends leaves in one piece.
            self._held = []
            lease.before_settle = self._release

    # --- any thread but the loop's ------------------------------------------

    def foresee(
        self, start_line: StartLine, headers: HTTPHeaders, chunk: Optional[bytes]
    ) -> bool:
        """Whether `HTTP1Connection.write_headers` is sure to accept this."""
        if not self.predictable or not isinstance(start_line, ResponseStartLine):
            return False
        if not harmless(start_line.reason, headers):
            return False
        if self.method == "HEAD" or start_line.code == 304:
            self._remaining = 0
        else:
            length = headers.get("Content-Length")
            if length is not None:
                if not (length.isascii() and length.isdigit()):
                    return False
                self._remaining = int(length)
        return self._remaining is None or self._fits(chunk)

    def _fits(self, chunk: Optional[bytes]) -> bool:
        if self._remaining is None or not chunk:
            return True
        self._remaining -= len(chunk)
        return self._remaining >= 0

    def _post(self, fn: Callable[..., object], *args: object) -> None:
        if self._held is not None:
            self._held.append((fn, args))
        else:
            self.portal.call_soon(fn, *args)

    def _post_held(self) -> None:
        held, self._held = self._held, None
        if held:
            self.portal.call_soon(_do_all, held)

    def _post_write(
        self, right: Right, method: Sending, *args: object
    ) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self.portal.loop.create_future()
        if self._held:  # `finish` writes once: this is something else
            self._post_held()
        # Of what `finish` sends nothing is left to wait for.
        latch = self._unsent = Latch() if self._held is None else None
        lease = self._own_lease()
        self._post(self._perform_write, future, latch, right, lease, method, args)
        return for_this_thread(future, self.portal.call_soon)

    def _answered(
        self, right: Right, method: Sending, *args: object
    ) -> asyncio.Future[None]:
        future = self._ask(right, method, *args)
        return for_this_thread(future, self.portal.call_soon)

    def _ask(self, right: Right, method: Callable[..., _T], *args: object) -> _T:
        """Wait for what the connection says to it."""
        self.predictable = False
        self._post_held()
        lease = self._own_lease()
        answer: _T = self.portal.call(self._perform_now, right, lease, method, args)
        return answer

    def _wait_until_sent(self, right: Right) -> None:
        unsent = self._unsent
        if unsent is not None:
            unsent.wait(self.portal.loop)
            right.check()
        if self.client_left and self._held is None and self._own_lease() is not None:
            # To a body, as awaiting it would say; `finish` says nothing of it.
            raise StreamClosedError

    def _write_after_end(self, chunk: bytes) -> asyncio.Future[None]:
        """Refuse what would become part of the next response."""
        if chunk:
            raise AbandonedError(RESPONSE_ENDED)
        nothing: asyncio.Future[None] = self.portal.loop.create_future()
        nothing.set_result(None)
        return for_this_thread(nothing, self.portal.call_soon)

    def _own_lease(self) -> Optional[Lease]:
        """Return the lease of this thread, if it is to make this very response."""
        lease = here.lease
        return lease if lease is not None and lease.response is self else None

    # --- loop thread ----------------------------------------------------------

    def watch_close(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called when the client leaves."""
        self._close_callback = callback
        own = None if callback is None else self._closed
        self.connection.set_close_callback(own)  # type: ignore[attr-defined]

    def _release(self) -> None:
        """Do what was kept back, once the body has ended."""
        held, self._held = self._held, None
        _do_all(held or [])

    def _is_lost(self, right: Right, lease: Optional[Lease]) -> bool:
        """Whether what was on its way comes too late."""
        return (
            self.ended
            or right.revoked is not None
            or (lease is not None and lease.revoked is not None)
        )

    def _perform_now(
        self,
        right: Right,
        lease: Optional[Lease],
        method: Callable[..., _T],
        args: tuple[object, ...],
    ) -> _T:
        if self._is_lost(right, lease):
            raise AbandonedError(right.revoked or RESPONSE_ENDED)
        if self.sent and _is_head(args):
            raise RuntimeError(SECOND_HEAD)
        informs = _is_head(args) and _only_informs(args[0])
        self.sent = self.sent or not informs
        result = method(*args)
        self.ended = not args  # `finish`
        if self.deferred and self.sent:
            self._send_deferred()
        return result

    def _perform_finish(self, right: Right, lease: Optional[Lease]) -> None:
        # Lost, it has ended nothing: whoever answers instead does.
        if self._is_lost(right, lease):
            return
        if not self.sent:
            self.deferred.append(functools.partial(self._perform_finish, right, lease))
            return
        self._perform(right, lease, self.connection.finish)
        self.ended = True

    def _perform(
        self,
        right: Right,
        lease: Optional[Lease],
        method: Callable[..., _T],
        *args: object,
    ) -> Optional[_T]:
        if self._is_lost(right, lease):
            return None
        self.sent = True
        try:
            return method(*args)
        except Exception:
            # Nobody waits for it. The response cannot be completed.
            app_log.error("The connection refused %r", method, exc_info=True)
            self.connection.close()  # type: ignore[attr-defined]
            return None

    def _perform_write(
        self,
        future: asyncio.Future[None],
        latch: Optional[Latch],
        right: Right,
        lease: Optional[Lease],
        method: Sending,
        args: tuple[object, ...],
    ) -> None:
        sent = None
        if self.sent and _is_head(args):
            app_log.error(SECOND_HEAD)
        else:
            sent = self._perform(right, lease, method, *args)
        if self.deferred and self.sent:
            self._send_deferred()
        if sent is not None and self._unsent is latch:
            self.complete = self._remaining == 0
        if sent is None:
            future.set_exception(StreamClosedError())
        else:
            copy_outcome(sent, future)
        if latch is not None:
            if sent is None or sent.done():
                latch.open()
            else:
                sent.add_done_callback(latch.open)
        if future.done() and not future.cancelled():
            future.exception()  # as with Tornado's own: awaiting it is optional

    def _finish_now(self) -> None:
        self.listener.finishing()
        self.take_right_to_finish()
        self.connection.finish()
        self.ended = True

    def _defer(self, chunk: bytes) -> asyncio.Future[None]:
        """Send ``chunk`` after the head, which a worker is about to send.

        Its handler says already that it is sent.
        """
        self._check_head_comes()
        future: asyncio.Future[None] = self.portal.loop.create_future()
        self.deferred.append(functools.partial(self._write_deferred, chunk, future))
        return future

    def _check_head_comes(self) -> None:
        if self.listener.was_abandoned:
            raise AbandonedError(
                "the body that was to send the head of this response was abandoned"
            )

    def _write_deferred(self, chunk: bytes, future: asyncio.Future[None]) -> None:
        self.predictable = False
        copy_outcome(self.connection.write(chunk), future)

    def _send_deferred(self) -> None:
        """Do what had to wait for the head; it has been sent."""
        deferred, self.deferred = self.deferred, []
        for call in deferred:
            call()

    def detach(self) -> IOStream:
        """Take the stream out of the connection; what is sent then is no response.

        Raises:
            AbandonedError: The response has ended: the next one needs the stream.
        """
        head = getattr(self.connection, "_response_start_line", None)
        if self.ended and getattr(head, "code", None) != 101:
            raise AbandonedError(RESPONSE_ENDED)
        stream: IOStream = self.connection.detach()  # type: ignore[attr-defined]
        self.detached, self.ended = stream, True
        return stream

    def drop_deferred(self) -> None:
        """Give up on a head that no worker has sent; the bodies have ended."""
        self.connection.close()  # type: ignore[attr-defined]
        self.deferred.clear()

    def _add_retry_after(self, start_line: StartLine, headers: HTTPHeaders) -> None:
        seconds = self.listener.retry_after
        if seconds is None or not isinstance(start_line, ResponseStartLine):
            return
        if start_line.code == 503:
            headers["Retry-After"] = str(seconds)

    def _closed(self) -> None:
        callback, self._close_callback = self._close_callback, None
        self.client_left = True
        if self._unsent is not None:
            self._unsent.open()
        self.listener.closing()
        if callback is not None:
            callback()


def _is_head(args: tuple[object, ...]) -> bool:
    """Whether these are arguments of `write_headers`; a chunk is alone."""
    return len(args) > 1


def _only_informs(start_line: object) -> bool:
    """Whether this is a head before the head of the response: 103 Early Hints, say."""
    return (
        isinstance(start_line, ResponseStartLine)
        and start_line.code < 200
        and start_line.code != 101  # after which there is no other
    )


def _do_all(calls: _Calls) -> None:
    for fn, args in calls:
        fn(*args)


# Text that HTTP1Connection takes without complaint in every supported Tornado:
# Latin-1 without control characters.
_harmless = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch


def harmless(reason: str, headers: HTTPHeaders) -> bool:
    """Whether no Tornado refuses any of this."""
    # What `get_all` yields, one by one.
    lists = headers._as_list
    parts = [reason, *lists]
    for values in lists.values():
        parts += values
    try:
        # One look at all of it is cheaper than one at each.
        text = "".join(parts)
    except TypeError:  # old Tornado lets bytes in
        return False
    # Nearly always it is plain ASCII, and that is cheaper still to see.
    return (text.isascii() and text.isprintable()) or _harmless(text) is not None


def snapshot(headers: HTTPHeaders) -> HTTPHeaders:
    """Return a copy of ``headers``, cheaper than `HTTPHeaders.copy` by far.

    That one parses and checks each line again; these have been checked.
    """
    copy = HTTPHeaders.__new__(HTTPHeaders)
    own = vars(copy)
    for name, value in vars(headers).items():
        own[name] = value.copy() if type(value) is dict else value
    own["_as_list"] = {name: values[:] for name, values in headers._as_list.items()}
    return copy
