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
import logging
from collections.abc import Coroutine, Iterator
from typing import Optional, TypeVar, Union

from tornado.iostream import StreamClosedError
from tornado.log import LogFormatter, access_log
from tornado.web import Application, RequestHandler

from tornado_unblock._errors import ResultError
from tornado_unblock._executors.registry import JSONEncoder, json_encoder
from tornado_unblock._handlers.methods import is_socket
from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.lease import here
from tornado_unblock._loop.portal import Portal

_LOG_REQUEST = Application.log_request
_FORMATTERS = (logging.Formatter, LogFormatter)

JSON = "application/json; charset=UTF-8"

# From so many bytes on, hashing them for the Etag takes about as long as a hop.
_LONG = 65536
# So many chunks take a while to add up.
_MANY = 64


_Chunk = Union[str, bytes, dict[str, object], None]
_T = TypeVar("_T")


def send(
    handler: RequestHandler,
    value: object,
    encoder: Optional[JSONEncoder],
    endpoint: str,
) -> object:
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
        text = _encode(value, encoder, endpoint)
        handler.set_header("Content-Type", JSON)
        handler.write(text)
    return None


def is_awaitable(value: object) -> bool:
    """Whether Tornado would wait for ``value``.

    Its type is asked, as ``await`` does: a proxy may claim any attribute.
    """
    kind = type(value)
    return issubclass(kind, (asyncio.Future, concurrent.futures.Future)) or any(
        "__await__" in vars(base) for base in kind.__mro__
    )


def auto_finish(handler: RequestHandler, plain: bool) -> None:
    """Finish as Tornado would next, in the worker, if that may take long.

    Where it is quick, Tornado does it on the loop thread, as in any handler: a
    worker would take longer (docs/how-it-works.md).

    Args:
        handler: Finished already, or told not to be, it is left alone.
        plain: Whether nothing but Tornado's own code runs when it finishes.
    """
    lease = here.lease
    if handler._finished or not handler._auto_finish or lease is None:
        return
    if plain and not handler._transforms and _logs_plainly(handler):
        chunks = handler._write_buffer
        if len(chunks) < _MANY and sum(map(len, chunks)) < _LONG:
            lease.leaves_finish = True
            return
    handler.finish()


def _logs_plainly(handler: RequestHandler) -> bool:
    """Whether nothing but Tornado's and logging's own code logs the request.

    What others have put there may look for what the body has left in its thread.
    """
    application = handler.application
    log_request = getattr(application.log_request, "__func__", None)
    if "log_function" in application.settings or log_request is not _LOG_REQUEST:
        return False
    status = handler._status_code
    level = logging.INFO if status < 400 else logging.WARNING
    if status >= 500:
        level = logging.ERROR
    return not access_log.isEnabledFor(level) or _is_plain(access_log)


def _is_plain(logger: logging.Logger) -> bool:
    if (
        logger.filters
        or type(logger) is not logging.Logger
        or logging.getLogRecordFactory() is not logging.LogRecord
    ):
        return False
    above: Optional[logging.Logger] = logger
    while above is not None:
        if not all(map(_is_plain_handler, above.handlers)):
            return False
        above = above.parent if above.propagate else None
    return True


def _is_plain_handler(handler: logging.Handler) -> bool:
    return (
        type(handler).__module__ in ("logging", "logging.handlers")
        and not handler.filters
        and (handler.formatter is None or type(handler.formatter) in _FORMATTERS)
    )


def client_gone(handler: RequestHandler) -> bool:
    """Whether the client is known to have left; any thread."""
    if is_socket(handler) and handler.ws_connection is not None:
        return handler.ws_connection.is_closing()
    stream = getattr(handler.request.connection, "stream", None)
    return stream is None or bool(stream.closed())


def _encode(
    value: object, encoder: Optional[JSONEncoder], endpoint: str
) -> Union[str, bytes]:
    try:
        return (encoder or json_encoder())(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ResultError(
            f"{endpoint} returned a {type(value).__name__} that cannot be sent as "
            f"JSON: {error}; return str, bytes or JSON-able values, or set an "
            "encoder with configure(json_encoder=...)"
        ) from error


def _stream(handler: RequestHandler, chunks: Iterator[_Chunk]) -> None:
    close = getattr(chunks, "close", None)
    with contextlib.ExitStack() as stack:
        if close is not None:
            stack.callback(close)
        for chunk in chunks:
            if chunk is not None:
                handler.write(chunk)
            try:
                # Waits until the chunk before this one has left for the client.
                handler.flush()
            except StreamClosedError:
                return


def drive(
    coroutine: Coroutine[Optional[asyncio.Future[object]], None, _T], portal: Portal
) -> _T:
    """Run ``coroutine`` to its end in this worker.

    Args:
        coroutine: It may await Futures of the portal's loop, nothing else.
        portal: The way to that loop.

    Returns:
        What it returns; what it raises is raised.
    """
    while True:
        try:
            awaited = coroutine.send(None)
        except StopIteration as stop:
            result: _T = stop.value
            return result
        if awaited is not None:
            _wait(awaited, portal)


def _wait(future: asyncio.Future[object], portal: Portal) -> None:
    latch = Latch()
    portal.call_soon(future.add_done_callback, latch.open)
    latch.wait(portal.loop)
