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
from typing import TYPE_CHECKING, Any, Callable

import tornado

from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.websocket import SocketConnection
from tornado_unblock._handlers.hooks import Hook, install_hook
from tornado_unblock._handlers.methods import base_of
from tornado_unblock._loop.portal import Portal, current_portal

if TYPE_CHECKING:
    from tornado.websocket import WebSocketHandler


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
    check = functools.partial(_check, connection.handler)
    return SocketConnection(connection, portal, check)


def _check(handler: WebSocketHandler) -> None:
    connection: Any = handler.request.connection
    if type(connection) is RequestConnection:
        connection.check()


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
