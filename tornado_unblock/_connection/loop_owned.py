"""Tornado's connections, WebSockets, streams and files, whoever's, from any thread.

A body reaches more than its own connection: the sockets of other clients that it tells
something, handlers that are parked until it finishes them, streams of its own. They
belong to the thread that runs their loop, and corrupt what they send when two threads
use them at once. So Tornado's own methods ask where they are called: on the loop's
thread they go straight on; elsewhere the call is carried there. It is the object that
is asked, not the thread: a stream knows its loop.

It is long since it is one table (`GUARDED`, `guarded_sockets`) and the functions in it,
each a few lines, by the kind of object: streams, HTTP/1, WebSockets.

# Threads: any.
# Guarantees:
# - no method of `GUARDED` touches its object on another thread than its loop's while
#   that loop runs;
# - what one thread sends leaves in the order of its calls, each as it was when the call
#   was made;
# - what can be known to fail when the call is made is raised there. What returns a
#   Future tells it by that. What tells nobody is logged, once;
# - what is only sent is posted and not waited for. What gives something back (reads,
#   `detach`, a response that may contradict its Content-Length) waits for the loop, as
#   `Portal.call` does.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import struct
import sys
import threading
from typing import TYPE_CHECKING, Callable, Optional, Protocol, TypeVar, Union

from tornado import iostream
from tornado.escape import json_encode, utf8
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.platform.asyncio import BaseAsyncIOLoop

from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.response import (
    NO_HEAD,
    RESPONSE_ENDED,
    SECOND_HEAD,
    Sending,
    StartLine,
    harmless,
    snapshot,
)
from tornado_unblock._connection.server_stream import (
    TAKEN,
    check_stream,
    leave_stream,
)
from tornado_unblock._connection.websocket import install_reading_on
from tornado_unblock._errors import AbandonedError, LoopThreadError, log
from tornado_unblock._loop.futures import for_this_thread
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._loop.portal import CALL_TIMEOUT, Portal, portal_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from tornado.iostream import BaseIOStream
    from tornado.platform.asyncio import BaseAsyncIOLoop
    from tornado.websocket import (
        WebSocketHandler,
        WebSocketProtocol,
        WebSocketProtocol13,
    )

    class _OnLoop(Protocol):
        """What knows its loop: a stream, a WebSocket's client."""

        io_loop: BaseAsyncIOLoop
        _tornado_unblock_taken: Optional[str]  # see `TAKEN`

    class _OnStream(Protocol):
        """What has a stream: a connection, a WebSocket's protocol."""

        stream: Optional[_OnLoop]


_T = TypeVar("_T")
_Own = Callable[..., object]
"""A method of Tornado's, as it was."""
_Carry = Callable[..., object]
"""``carry(portal, own, target, *args, **kwargs)`` stands for ``own(target, ...)``."""

# What a thread has promised of the length of a response that it writes: bytes that are
# still to come, or None without a Content-Length. An attribute of the connection, which
# serves one request; not there when the loop thread wrote the headers.
_REMAINING = "_tornado_unblock_remaining"
# Whether a handler that workers have makes the response.
_BY_HANDLER = "_tornado_unblock_by_handler"
# Whether the end of a response was asked for before its head.
_FINISH_WAITS = "_tornado_unblock_finish_waits"
# Whether a thread has asked for the end of a WebSocket that the loop has yet to close.
_CLOSING = "_tornado_unblock_closing"
_MARK = "_tornado_unblock_guards"

# The payload of a control frame, by RFC 6455.
_MOST = 125


# --- how a call is carried ----------------------------------------------------


def _wait(
    portal: Portal,
    own: Callable[..., _T],
    target: object,
    *args: object,
    **kwargs: object,
) -> _T:
    """Have the loop thread do it, and return or raise what comes of it."""
    if running_loop() is not None:
        raise LoopThreadError(
            f"{_name(own)} was called in a thread that runs another event loop "
            "than the object's own, and would block it; use "
            "asyncio.run_coroutine_threadsafe(..., the_other_loop)"
        )
    return portal.call(functools.partial(own, target, *args, **kwargs))


def _post(
    portal: Portal, own: _Own, target: object, *args: object, **kwargs: object
) -> None:
    """Have the loop thread do it, and go on."""
    portal.call_soon(_do, functools.partial(own, target, *args, **kwargs))


def _do(call: functools.partial[object]) -> None:
    try:
        call()
    except Exception as error:
        name = _name(call.func)
        log(logging.ERROR, "%s failed, called from another thread", name, error=error)


def _send(
    portal: Portal, own: Sending, target: object, *args: object, **kwargs: object
) -> asyncio.Future[None]:
    """Have the loop thread send it, and return a Future of that."""
    future: asyncio.Future[None] = portal.loop.create_future()
    send = functools.partial(own, target, *args, **kwargs)
    portal.call_soon(_send_now, send, future)
    return for_this_thread(future, portal.call_soon)


def _send_now(
    send: Callable[[], asyncio.Future[None]], future: asyncio.Future[None]
) -> None:
    try:
        source = send()
    except Exception as error:
        _fail(future, error)
    else:
        if source.done():
            _sent(future, source)
        else:
            source.add_done_callback(functools.partial(_sent, future))


def _sent(future: asyncio.Future[None], source: asyncio.Future[None]) -> None:
    # A Future that was cancelled meanwhile takes nothing back: it is on its way.
    error = None if source.cancelled() else source.exception()
    if error is not None:
        _fail(future, error)
    elif not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    """Say that it was not sent; what nobody retrieves is logged by asyncio."""
    if future.done():
        return
    future.set_exception(error)
    # Awaiting what is sent is optional: that the client left is no news.
    if type(error).__name__ in ("StreamClosedError", "WebSocketClosedError"):
        future.exception()


def _name(own: _Own) -> str:
    return str(getattr(own, "__qualname__", own))


# --- streams --------------------------------------------------------------------


def _write_stream(
    portal: Portal, own: Sending, stream: BaseIOStream, data: Union[bytes, memoryview]
) -> asyncio.Future[None]:
    if stream.closed():
        raise StreamClosedError(real_error=stream.error)
    data = bytes(data)  # it may change before the loop thread comes to it
    if stream.max_write_buffer_size is not None:
        return _wait(portal, own, stream, data)
    return _send(portal, own, stream, data)


def _close_stream(
    portal: Portal, own: _Own, stream: BaseIOStream, exc_info: object = False
) -> None:
    if exc_info is True:
        exc_info = sys.exc_info()  # this thread's
    _post(portal, own, stream, exc_info)


# --- HTTP/1 ---------------------------------------------------------------------


def _write_headers(
    portal: Portal,
    own: Sending,
    connection: HTTP1Connection,
    start_line: StartLine,
    headers: HTTPHeaders,
    chunk: Optional[bytes] = None,
) -> asyncio.Future[None]:
    chunk = None if chunk is None else bytes(chunk)
    headers = snapshot(headers)
    own_state = vars(connection)
    own_state.pop(_REMAINING, None)
    if not isinstance(start_line, ResponseStartLine) or not harmless(
        start_line.reason, headers
    ):
        return _answered(portal, own, connection, start_line, headers, chunk)
    length = headers.get("Content-Length")
    has_no_body = start_line.code == 304 or _is_head(connection)
    if has_no_body:
        own_state[_REMAINING] = 0
    elif length is None:
        own_state[_REMAINING] = None
    elif length.isascii() and length.isdigit():
        own_state[_REMAINING] = int(length)
    if not _fits(connection, chunk):
        return _answered(portal, own, connection, start_line, headers, chunk)
    return _send(portal, own, connection, start_line, headers, chunk)


def _is_head(connection: HTTP1Connection) -> bool:
    start_line = getattr(connection, "_request_start_line", None)
    return getattr(start_line, "method", None) == "HEAD"


def _fits(connection: HTTP1Connection, chunk: Optional[bytes]) -> bool:
    """Whether ``chunk`` is known to be no more than what was promised."""
    own_state = vars(connection)
    if _REMAINING not in own_state:
        return False
    if own_state[_REMAINING] is None or not chunk:
        return True
    if own_state[_REMAINING] < len(chunk):
        return False
    own_state[_REMAINING] -= len(chunk)
    return True


def _answered(
    portal: Portal, own: Callable[..., _T], connection: HTTP1Connection, *args: object
) -> _T:
    """Wait for what the connection says to it, and know nothing from then on."""
    vars(connection).pop(_REMAINING, None)
    return _wait(portal, own, connection, *args)


def _write(
    portal: Portal, own: Sending, connection: HTTP1Connection, chunk: bytes
) -> asyncio.Future[None]:
    chunk = bytes(chunk)
    if _fits(connection, chunk):
        return _send(portal, own, connection, chunk)
    return _answered(portal, own, connection, chunk)


def _finish(portal: Portal, own: _Own, connection: HTTP1Connection) -> None:
    if vars(connection).get(_REMAINING, 1):
        _answered(portal, own, connection)
    else:
        _post(portal, own, connection)


def expect_head(connection: object) -> None:
    """Have a handler's response begin with a head; bare callbacks write their own."""
    if issubclass(type(connection), HTTP1Connection):
        setattr(connection, _BY_HANDLER, True)


def _one_head(own: _Own) -> _Own:
    """Have a server's connection send one head, before the end of its response."""

    @functools.wraps(own)
    def write_headers(self: HTTP1Connection, *args: object, **kwargs: object) -> object:
        if not self.is_client:
            head = self._response_start_line
            if self._write_finished:
                raise AbandonedError(RESPONSE_ENDED)
            if head is not None and head.code >= 200:
                raise RuntimeError(SECOND_HEAD)
        written = own(self, *args, **kwargs)
        if getattr(self, _FINISH_WAITS):
            setattr(self, _FINISH_WAITS, False)
            self.finish()
        return written

    return write_headers


def _between_head_and_end(own: _Own) -> _Own:
    """Have a server's connection send nothing that is part of no response."""

    @functools.wraps(own)
    def write(self: HTTP1Connection, chunk: bytes) -> object:
        if chunk and not self.is_client:
            if self._write_finished:
                raise AbandonedError(RESPONSE_ENDED)
            if self._response_start_line is None and getattr(self, _BY_HANDLER):
                raise RuntimeError(NO_HEAD)
        return own(self, chunk)

    return write


def _one_end(own: _Own) -> _Own:
    """Have a server's connection end a response once, and not before its head.

    Another thread may have told the handler that the head is sent, and be about to. It
    has as long as any that waits for the loop.
    """

    @functools.wraps(own)
    def finish(self: HTTP1Connection) -> None:
        if not self.is_client:
            if self._write_finished:
                return
            if self._response_start_line is None and getattr(self, _BY_HANDLER):
                setattr(self, _FINISH_WAITS, True)
                io_loop = self.stream.io_loop
                io_loop.call_later(CALL_TIMEOUT, _give_up_head, self)
                return
        own(self)
        leave_stream(self)

    return finish


def _give_up_head(connection: HTTP1Connection) -> None:
    """Close a connection whose head has not come: its client waits for nothing."""
    if getattr(connection, _FINISH_WAITS):
        connection.close()


# --- WebSockets -------------------------------------------------------------------


def _write_message(
    portal: Portal,
    own: Sending,
    protocol: WebSocketProtocol13,
    message: Union[str, bytes, dict[str, object]],
    binary: bool = False,
) -> asyncio.Future[None]:
    if not _is_open(protocol):
        raise _closed_error()
    if isinstance(message, dict):
        message = json_encode(message)
    message = utf8(message)
    write = functools.partial(_write_if_open, own)
    return _send(portal, write, protocol, message, binary)


def _write_if_open(
    own: Sending, protocol: WebSocketProtocol13, message: bytes, binary: bool
) -> asyncio.Future[None]:
    if protocol.is_closing():
        raise _closed_error()
    return own(protocol, message, binary=binary)


def _write_ping(
    portal: Portal, own: _Own, protocol: WebSocketProtocol13, data: bytes
) -> None:
    if not _is_open(protocol):
        raise _closed_error()
    assert isinstance(data, bytes)  # as Tornado says it
    _check_control(data)
    _post(portal, functools.partial(_ping_if_open, own), protocol, data)


def _ping_if_open(own: _Own, protocol: WebSocketProtocol13, data: bytes) -> None:
    if not protocol.is_closing():
        own(protocol, data)


def _close_socket(
    portal: Portal,
    own: _Own,
    protocol: WebSocketProtocol13,
    code: Optional[int] = None,
    reason: Optional[str] = None,
) -> None:
    _check_close(code, reason)
    vars(protocol)[_CLOSING] = True
    _post(portal, own, protocol, code, reason)


def _check_close(code: Optional[int], reason: Optional[str]) -> None:
    """Raise what Tornado would raise for such an end of a WebSocket."""
    if code is None and reason is not None:
        code = 1000
    status = b"" if code is None else struct.pack(">H", code)
    _check_control(status + utf8(reason or ""))


def _check_control(data: bytes) -> None:
    if len(data) > _MOST:
        raise ValueError(f"control frame payloads may not exceed {_MOST} bytes")


def _is_open(protocol: Optional[WebSocketProtocol]) -> bool:
    """Whether messages can be sent; a look, from any thread."""
    return (
        protocol is not None
        and protocol.stream is not None  # else it is in its handshake
        and not protocol.is_closing()
        and _CLOSING not in vars(protocol)
    )


def _is_unopened(protocol: WebSocketProtocol13) -> bool:
    return True


def _refuse(protocol: WebSocketProtocol13) -> None:
    raise _closed_error()


def _closed_error() -> Exception:
    from tornado.websocket import WebSocketClosedError  # it is imported by now

    return WebSocketClosedError()


def _check_right(handler: WebSocketHandler) -> None:
    """Raise `AbandonedError` where the socket was taken from the body that has it."""
    connection: object = handler.request.connection
    if type(connection) is RequestConnection:
        connection.check()


def _protocol_of(handler: WebSocketHandler) -> WebSocketProtocol:
    """Return the protocol of a socket; one that is not open is refused as inline."""
    # Once: the loop thread may take it away at any time.
    protocol = handler.ws_connection
    if protocol is None or not _is_open(protocol):
        raise _closed_error()
    return protocol


def _handler_write(
    own: _Own,
    handler: WebSocketHandler,
    message: Union[str, bytes, dict[str, object]],
    binary: bool = False,
) -> asyncio.Future[None]:
    _check_right(handler)
    return _protocol_of(handler).write_message(message, binary=binary)


def _handler_ping(
    own: _Own, handler: WebSocketHandler, data: Union[str, bytes] = b""
) -> None:
    _check_right(handler)
    data = utf8(data)
    _protocol_of(handler).write_ping(data)


def _handler_close(
    own: _Own,
    handler: WebSocketHandler,
    code: Optional[int] = None,
    reason: Optional[str] = None,
) -> None:
    _check_right(handler)
    protocol = handler.ws_connection
    if protocol is None or protocol.stream is None:
        return  # as on the loop thread, of a socket that is not open yet
    portal = portal_to(
        protocol.stream.io_loop.asyncio_loop,  # type: ignore[attr-defined]
    )
    if portal is None:
        own(handler, code, reason)
    else:
        _check_close(code, reason)
        vars(protocol)[_CLOSING] = True
        _post(portal, own, handler, code, reason)


def _handler_set_nodelay(own: _Own, handler: WebSocketHandler, value: bool) -> None:
    _check_right(handler)
    _protocol_of(handler).set_nodelay(value)


# --- putting them there -------------------------------------------------------------


def _on_stream(own: _Own, carry: _Carry) -> _Own:
    """Guard a method of what has an ``io_loop``."""
    running, name = running_loop, own.__name__

    @functools.wraps(own)
    def method(self: _OnLoop, *args: object, **kwargs: object) -> object:
        if self._tornado_unblock_taken is not None:
            check_stream(self, name)
        loop = self.io_loop.asyncio_loop
        if running() is loop:
            return own(self, *args, **kwargs)
        return _elsewhere(loop, carry, own, self, args, kwargs)

    return method


def _on_io_loop(own: _Own, carry: _Carry) -> _Own:
    """Guard a method of an `IOLoop` itself."""
    running = running_loop

    @functools.wraps(own)
    def method(self: BaseAsyncIOLoop, *args: object, **kwargs: object) -> object:
        loop = self.asyncio_loop
        if running() is loop:
            return own(self, *args, **kwargs)
        return _elsewhere(loop, carry, own, self, args, kwargs)

    return method


def _on_connection(own: _Own, carry: _Carry) -> _Own:
    """Guard a method of what has a ``stream``, or had one."""
    running = running_loop

    @functools.wraps(own)
    def method(self: _OnStream, *args: object, **kwargs: object) -> object:
        stream = self.stream
        if stream is None or running() is stream.io_loop.asyncio_loop:
            return own(self, *args, **kwargs)
        loop = stream.io_loop.asyncio_loop
        return _elsewhere(loop, carry, own, self, args, kwargs)

    return method


def _when_open(own: _Own, unopened: _Own) -> _Own:
    """Have ``unopened`` called for a WebSocket in its handshake, on any thread."""

    @functools.wraps(own)
    def method(self: _OnStream, *args: object, **kwargs: object) -> object:
        if self.stream is None:
            return unopened(self)
        return own(self, *args, **kwargs)

    return method


def _on_handler(own: _Own, elsewhere: _Carry) -> _Own:
    """Guard a method of a WebSocket's handler: its protocol knows the loop."""
    running = running_loop

    @functools.wraps(own)
    def method(self: object, *args: object, **kwargs: object) -> object:
        if running() is not None:
            return own(self, *args, **kwargs)
        return elsewhere(own, self, *args, **kwargs)

    return method


def _elsewhere(
    loop: asyncio.AbstractEventLoop,
    carry: _Carry,
    own: _Own,
    target: object,
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> object:
    portal = portal_to(loop)
    if portal is None:
        return own(target, *args, **kwargs)
    return carry(portal, own, target, *args, **kwargs)


_Guard = Callable[[_Own, _Carry], _Own]
_Table = tuple[tuple[_Guard, tuple[type, ...], dict[str, _Carry]], ...]

_ONE_RESPONSE: _Table = (
    (lambda own, _: _one_head(own), (HTTP1Connection,), {"write_headers": _post}),
    (
        lambda own, _: _between_head_and_end(own),
        (HTTP1Connection,),
        {"write": _post},
    ),
    (lambda own, _: _one_end(own), (HTTP1Connection,), {"finish": _post}),
)

GUARDED: _Table = (
    *_ONE_RESPONSE,
    (
        _on_stream,
        (
            iostream.BaseIOStream,
            iostream.IOStream,
            iostream.SSLIOStream,
            iostream.PipeIOStream,
        ),
        {
            "write": _write_stream,
            "close": _close_stream,
            "set_close_callback": _post,
            "set_nodelay": _post,
            "read_until_regex": _wait,
            "read_until": _wait,
            "read_bytes": _wait,
            "read_into": _wait,
            "read_until_close": _wait,
            "connect": _wait,
            "start_tls": _wait,
            "wait_for_handshake": _wait,
        },
    ),
    (
        _on_io_loop,
        (BaseAsyncIOLoop,),
        # Not every loop hears of a file that another thread adds while it waits.
        dict.fromkeys(("add_handler", "update_handler", "remove_handler"), _wait),
    ),
    (
        _on_connection,
        (HTTP1Connection,),
        {
            "write_headers": _write_headers,
            "write": _write,
            "finish": _finish,
            "close": _post,
            "detach": _wait,
            "read_response": _wait,
        },
    ),
)
"""Each kind of guard, its classes, and how each of their methods is carried."""


def guarded_sockets(module: ModuleType) -> _Table:
    """Return the same for `tornado.websocket`, which only those import who use it."""
    protocols = (module.WebSocketProtocol13,)
    return (
        (
            _on_connection,
            protocols,
            {
                "write_message": _write_message,
                "write_ping": _write_ping,
                "close": _close_socket,
                "set_nodelay": _post,
            },
        ),
        (
            _when_open,
            protocols,
            {
                "write_message": _refuse,
                "write_ping": _refuse,
                "is_closing": _is_unopened,
            },
        ),
        (_on_connection, (module.WebSocketProtocol,), {"_abort": _post}),
        (
            _on_handler,
            (module.WebSocketHandler,),
            {
                "write_message": _handler_write,
                "ping": _handler_ping,
                "close": _handler_close,
                "set_nodelay": _handler_set_nodelay,
            },
        ),
        (_on_stream, (module.WebSocketClientConnection,), {"read_message": _wait}),
    )


_lock = threading.Lock()
_installed = False


def guard_tornado() -> None:
    """Guard Tornado's connections, WebSockets and streams; once, from any thread.

    What is there already when it is called is guarded too.
    """
    global _installed
    with _lock:
        if _installed:
            return
        import wrapt  # here: a third of what importing the library would cost

        # On the class, so that the dictionary of a connection need not be made.
        setattr(HTTP1Connection, _BY_HANDLER, False)
        setattr(HTTP1Connection, _FINISH_WAITS, False)
        setattr(iostream.BaseIOStream, TAKEN, None)
        _install(GUARDED)
        wrapt.register_post_import_hook(_guard_websocket, "tornado.websocket")
        _installed = True


def _guard_websocket(module: ModuleType) -> None:
    setattr(module.WebSocketClientConnection, TAKEN, None)
    install_reading_on(module)
    _install(guarded_sockets(module))


def _install(table: _Table) -> None:
    for guard, classes, methods in table:
        for cls in classes:
            for name in methods.keys() & vars(cls).keys():
                setattr(cls, name, guard(vars(cls)[name], methods[name]))
