"""WebSockets: the connection for any thread, and questions asked ahead.

# Threads: `SocketConnection` may be used by any, `ask_ahead` runs in a worker.
# Guarantees:
# - frames leave in the order of the calls, and each is whole;
# - Tornado's questions that it needs answered at once (`check_origin`,
#   `select_subprotocol`) are answered in a worker before it asks them.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Callable, Optional

import tornado
from tornado.log import app_log

from tornado_unblock._connection.loop_affine import LoopAffine, check_lease
from tornado_unblock._handlers.hooks import Hook, install_hook
from tornado_unblock._handlers.methods import base_of
from tornado_unblock._loop.guard import copy_outcome
from tornado_unblock._loop.portal import Portal, current_portal

if TYPE_CHECKING:
    from tornado.websocket import WebSocketHandler


class SocketConnection(LoopAffine):
    """What stands in for the ``ws_connection`` of a `WebSocketHandler`."""

    def is_closing(self) -> bool:
        """Whether the socket is closed or closing; a look, so it does not wait."""
        return bool(self.__wrapped__.is_closing())

    def write_message(self, message: Any, binary: bool = False) -> asyncio.Future[None]:
        """Send a message; from a worker it is posted."""
        send = functools.partial(self.__wrapped__.write_message, binary=binary)
        if self._self_on_loop() or not isinstance(message, (str, bytes)):
            future: asyncio.Future[None] = self._self_now(send, message)
            return future
        check_lease()
        future = self._self_portal.loop.create_future()
        self._self_portal.call_soon(_send, send, message, future)
        return future

    def write_ping(self, data: bytes) -> None:
        """Send a ping; from a worker it is posted."""
        self._self_post(self.__wrapped__.write_ping, data)

    def close(self, code: Optional[int] = None, reason: Optional[str] = None) -> None:
        """Close the socket; from a worker it is posted."""
        self._self_post(self.__wrapped__.close, code, reason)

    def set_nodelay(self, value: bool) -> None:
        """Set the socket's no-delay flag; from a worker it is posted."""
        self._self_post(self.__wrapped__.set_nodelay, value)

    def _self_now(self, fn: Callable[..., Any], *args: Any) -> Any:
        return fn(*args) if self._self_on_loop() else self._self_call(fn, *args)

    def _self_post(self, fn: Callable[..., Any], *args: Any) -> None:
        if self._self_on_loop():
            fn(*args)
        else:
            check_lease()
            self._self_portal.call_soon(_try, fn, *args)


def guard_socket(handler: WebSocketHandler, portal: Portal) -> None:
    """Make what connects ``handler`` safe from any thread; before it connects."""
    own = handler.get_websocket_protocol
    install_hook(handler, "get_websocket_protocol", Hook(_guarded, own, portal))


def guard_socket_class(cls: type[WebSocketHandler]) -> None:
    """Do as `guard_socket` for every handler of ``cls`` and its subclasses."""
    own = cls.get_websocket_protocol

    @functools.wraps(own)
    def get_websocket_protocol(self: WebSocketHandler) -> Any:
        return _guarded(functools.partial(own, self), current_portal())

    cls.get_websocket_protocol = get_websocket_protocol  # type: ignore[method-assign]


def _guarded(own: Callable[[], Any], portal: Portal) -> Any:
    connection = own()
    if connection is None or isinstance(connection, SocketConnection):
        return connection
    return SocketConnection(connection, portal)


def ask_ahead(handler: Any) -> None:
    """Answer, in this worker, what Tornado will ask on the loop thread."""
    headers = handler.request.headers
    origin = headers.get("Origin", headers.get("Sec-Websocket-Origin"))
    if origin is not None:
        _ask(handler, "check_origin", origin)
    offered = headers.get("Sec-WebSocket-Protocol", "")
    names = [name.strip() for name in offered.split(",")] if offered else []
    _ask(handler, "select_subprotocol", names)


def _ask(handler: Any, name: str, question: Any) -> None:
    if getattr(type(handler), name) is getattr(base_of(type(handler)), name):
        return
    own = getattr(handler, name)
    outcome: asyncio.Future[Any] = asyncio.Future()
    try:
        outcome.set_result(own(question))
    except Exception as error:
        outcome.set_exception(error)
        outcome.exception()
    install_hook(handler, name, Hook(_answer, own, question, outcome))


def _answer(
    own: Callable[[Any], Any], known: Any, outcome: asyncio.Future[Any], question: Any
) -> Any:
    return outcome.result() if question == known else own(question)


def abort_on_error(
    handler: WebSocketHandler, future: asyncio.Future[Any]
) -> asyncio.Future[Any]:
    """Have an error of a hook end its socket, as that of an inline hook does.

    Before 6.6 Tornado only logs what an awaited hook raises.
    """
    if tornado.version_info >= (6, 6):
        return future
    shown = future.get_loop().create_future()  # pragma: no cover - before 6.6
    future.add_done_callback(  # pragma: no cover - before 6.6
        functools.partial(_abort, handler, shown)
    )
    return shown  # pragma: no cover - before 6.6


def _abort(  # pragma: no cover - before 6.6
    handler: WebSocketHandler, shown: asyncio.Future[Any], future: asyncio.Future[Any]
) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        handler.log_exception(type(error), error, error.__traceback__)
        if handler.ws_connection is not None:
            handler.ws_connection._abort()
    if not shown.done():
        shown.set_result(None)


def _send(send: Callable[..., Any], message: Any, future: asyncio.Future[None]) -> None:
    from tornado.websocket import WebSocketClosedError  # not before: see `_sockets`

    try:
        copy_outcome(send(message), future)
    except WebSocketClosedError as error:
        # It closed while the message was on its way here; awaiting is optional.
        future.set_exception(error)
        future.exception()


def _try(fn: Callable[..., Any], *args: Any) -> None:
    from tornado.websocket import WebSocketClosedError  # as above

    try:
        fn(*args)
    except WebSocketClosedError:
        pass  # it closed while this was on its way here
    except Exception:
        app_log.error("The WebSocket refused %r", fn, exc_info=True)
