"""WebSockets: a view for what calls their hooks, and questions asked ahead.

# Threads: `ask_ahead` runs in a worker, all else on the loop thread.
# Guarantees:
# - Tornado's questions that it needs answered at once (`check_origin`,
#   `select_subprotocol`) are answered in a worker before it asks them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from typing import Any, Callable

import tornado
from tornado.web import RequestHandler

from tornado_unblock._handlers.loop_view import (
    Answer,
    HopFunction,
    LoopView,
    set_answers,
)
from tornado_unblock._handlers.methods import ASKED_AHEAD, base_of


def socket_hops(cls: type[RequestHandler]) -> dict[str, HopFunction]:
    """Return what stands on the view of a WebSocket beside its hooks."""
    hops: dict[str, HopFunction] = {
        "get_websocket_protocol": _connect,
        **dict.fromkeys(ASKED_AHEAD, _answer),
    }
    if cls.get is base_of(cls).get:
        hops["get"] = _get
    return hops


def _get(view: LoopView, name: str, /, *args: object, **kwargs: object) -> object:
    """Run Tornado's own ``get``, which makes the connection, with the view."""
    return getattr(type(view._unblock_target), name)(view, *args, **kwargs)


def ask_ahead(view: LoopView) -> None:
    """Answer, in this worker, what Tornado will ask on the loop thread."""
    handler = view._unblock_target
    cls, headers = type(handler), handler.request.headers
    offered = headers.get("Sec-WebSocket-Protocol", "")
    questions = {
        "check_origin": headers.get("Origin", headers.get("Sec-Websocket-Origin")),
        "select_subprotocol": [name.strip() for name in offered.split(",") if offered],
    }
    set_answers(
        view,
        {
            name: Answer(question, _outcome(getattr(handler, name), question))
            for name, question in questions.items()
            if question is not None
            and getattr(cls, name) is not getattr(base_of(cls), name)
        },
    )


def _outcome(
    method: Callable[[object], object], question: object
) -> concurrent.futures.Future[object]:
    outcome: concurrent.futures.Future[object] = concurrent.futures.Future()
    try:
        outcome.set_result(method(question))
    except Exception as error:
        outcome.set_exception(error)
    return outcome


def _answer(view: LoopView, name: str, question: object) -> object:
    answer = view._unblock_answers.get(name)
    if answer is not None and answer.question == question:
        return answer.outcome.result()
    return getattr(view._unblock_target, name)(question)


def _connect(view: LoopView, name: str) -> object:
    """Make the connection; what it calls on its handler, it calls on the view."""
    protocol: Any = getattr(view._unblock_target, name)()
    if protocol is not None:
        protocol.handler = view
        # A `get` of the user's is called with the handler, and passes it on.
        accept = protocol.accept_connection
        protocol.accept_connection = lambda handler: accept(view)
    return protocol


def abort_on_error(
    handler: RequestHandler, future: asyncio.Future[object]
) -> asyncio.Future[object]:
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
    handler: Any, shown: asyncio.Future[object], future: asyncio.Future[object]
) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        handler.log_exception(type(error), error, error.__traceback__)
        if handler.ws_connection is not None:
            handler.ws_connection._abort()
    if not shown.done():
        shown.set_result(None)
