"""A WebSocket's connection, usable from any thread.

# Threads: any. From a worker, what is sent is posted.
# Guarantees: frames leave in the order of the calls, and each is whole.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Callable, Optional

from tornado.log import app_log

from tornado_unblock._connection.loop_affine import LoopAffine
from tornado_unblock._loop.futures import copy_outcome

if TYPE_CHECKING:
    pass


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
        self._self_check()
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
            self._self_check()
            self._self_portal.call_soon(_try, fn, *args)


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
