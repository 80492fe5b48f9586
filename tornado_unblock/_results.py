"""Sending what a body returns, in its worker, as if the body had written it.

| returned                  | sent                                             |
|---------------------------|--------------------------------------------------|
| None                      | nothing: Tornado finishes as ever                |
| an awaitable              | nothing: it is awaited on the loop thread        |
| a generator               | chunk by chunk, waiting for the client           |
| str, bytes                | as `write` does                                  |
| dict, list, number, bool… | JSON with its content type                       |
"""

from __future__ import annotations

import asyncio
import collections.abc
import concurrent.futures
import contextlib
from collections.abc import Iterator
from typing import Any

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_unblock._errors import ResultError
from tornado_unblock._executors import JSONEncoder
from tornado_unblock._offload import Offload
from tornado_unblock._outgoing import Outgoing
from tornado_unblock._portal import current_lease

JSON = "application/json; charset=UTF-8"


def send(handler: RequestHandler, value: Any, encoder: JSONEncoder, route: str) -> Any:
    """Send ``value``; returns it when it is for the loop thread to await.

    Raises:
        ResultError: It cannot be encoded as JSON.
    """
    if is_awaitable(value):
        return value
    if isinstance(value, (str, bytes)):
        handler.write(value)
    elif isinstance(value, collections.abc.Iterator):
        _stream(handler, value)
    else:
        text = _encode(value, encoder, route)
        handler.set_header("Content-Type", JSON)
        handler.write(text)
    return None


def is_awaitable(value: object) -> bool:
    """Whether Tornado would wait for ``value``."""
    return isinstance(value, (asyncio.Future, concurrent.futures.Future)) or hasattr(
        value, "__await__"
    )


def auto_finish(handler: RequestHandler, lingers: bool) -> None:
    """Finish as Tornado would next, in the worker, to spare the loop thread.

    Args:
        handler: Finished already, or told not to be, it is left alone.
        lingers: See `lingers`.
    """
    lease = current_lease()
    if not handler._auto_finish or handler._finished or lease is None:
        return
    if lease.revoked is None and not lingers and isinstance(lease, Offload):
        connection: Any = handler.request.connection
        outgoing: Outgoing = connection.outgoing
        # The response leaves with the news that the body has ended.
        outgoing.hold(last=True)
        lease.parting = outgoing.release
    handler.finish()


def lingers(cls: type[RequestHandler]) -> bool:
    """Whether work that may take long follows the last byte of a response."""
    return (
        cls.on_finish is not RequestHandler.on_finish
        or cls._log is not RequestHandler._log
    )


def client_gone(handler: RequestHandler) -> bool:
    """Whether the client is known to have left; any thread."""
    if isinstance(handler, WebSocketHandler) and handler.ws_connection is not None:
        return handler.ws_connection.is_closing()
    stream = getattr(handler.request.connection, "stream", None)
    return stream is None or bool(stream.closed())


def _encode(value: Any, encoder: JSONEncoder, route: str) -> Any:
    try:
        return encoder(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ResultError(
            f"{route} returned a {type(value).__name__} that cannot be sent as "
            f"JSON: {error}; return str, bytes or JSON-able values, or set an "
            "encoder with configure(json_encoder=...)"
        ) from error


def _stream(handler: RequestHandler, chunks: Iterator[Any]) -> None:
    close = getattr(chunks, "close", None)
    with contextlib.ExitStack() as stack:
        if close is not None:
            stack.callback(close)
        for chunk in chunks:
            if chunk is not None:
                handler.write(chunk)
            # Waits until the chunk before this one has left for the client.
            handler.flush()
            if client_gone(handler):
                return
