"""WebSockets: questions asked ahead, and errors of hooks.

# Threads: `ask_ahead` runs in a worker, `abort_on_error` on the loop thread.
# Guarantees:
# - Tornado's questions that it needs answered at once (`check_origin`,
#   `select_subprotocol`) are answered in a worker before it asks them.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Callable

import tornado

from tornado_unblock._handlers.hooks import Hook, install_hook
from tornado_unblock._handlers.methods import base_of

if TYPE_CHECKING:
    from tornado.websocket import WebSocketHandler


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
