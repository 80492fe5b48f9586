"""`asynchronous`: a verb that returns before its response is finished.

# Threads: the decorated verb runs on the loop thread or in a worker; `_Request`
# is settled on the loop thread.
# Guarantees:
# - the request ends when ``finish`` was called, from whatever thread, or when its
#   client has left;
# - what the verb or a later callback raises is answered as any error of a
#   handler, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator
from typing import Any, Callable, TypeVar

from tornado import gen
from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.web import RequestHandler

from tornado_unblock._executors.functions import describe, is_async
from tornado_unblock._handlers.hooks import Hook, install_hook, remove_hook
from tornado_unblock._handlers.results import client_gone
from tornado_unblock.shim.legacy._contexts import gated, pushed
from tornado_unblock.shim.legacy._futures import give, new_future, on_loop
from tornado_unblock.shim.legacy._gen import is_engine

_F = TypeVar("_F", bound=Callable[..., Any])


# Where a handler has its open request.
_OPEN = "_tornado_unblock_open_request"


def asynchronous(method: _F) -> _F:
    """Keep the request open when the verb returns, until ``self.finish()``.

    What later callbacks raise is answered with a 500 if they were handed to the
    loop by the verb or by one of its callbacks. A coroutine is returned as it is.
    Put it on verbs only, above or below `unblock`.

    Args:
        method: A verb of a `tornado.web.RequestHandler`.

    Returns:
        The verb. It returns a Future, done when the request has ended.

    Raises:
        TypeError: ``method`` is no verb.
    """
    _check(method)
    if is_async(method) and not is_engine(method):
        return method
    # The end of an unblocked body is not the end of the request.
    options = getattr(method, "_self_unblock_options", None)

    @functools.wraps(method)
    def verb(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        # One for a verb and those of its base classes that it calls.
        request = vars(self).get(_OPEN) or _Request(self)
        with pushed(request):
            result = method(self, *args, **kwargs)
            if result is not None:
                follow = gated(request.io_loop, request.follow)
                on_loop(request.io_loop, follow, result, options is None)
        if self._finished and result is None:
            return None
        return request.future

    if options is not None:
        verb._self_unblock_options = options  # type: ignore[attr-defined]
    return verb  # type: ignore[return-value]


def _check(method: Any) -> None:
    if isinstance(method, (type, staticmethod, classmethod)) or not callable(method):
        raise TypeError(
            f"asynchronous is for verbs such as get and post, not for {method!r}"
        )
    if getattr(method, "__name__", "") == "prepare":
        raise TypeError(
            f"{describe(method)}: prepare cannot be asynchronous with callbacks, nor "
            "could it in Tornado 3 to 5; write it as a coroutine: async def prepare"
        )


class _Request:
    """One request that is open after its verb has returned."""

    active = True

    def __init__(self, handler: RequestHandler) -> None:
        handler._auto_finish = False
        vars(handler)[_OPEN] = self
        self._handler = handler
        self.io_loop = IOLoop.current()
        self.future: asyncio.Future[Any] = new_future(self.io_loop)
        # Tornado calls these last when a response is finished or given away.
        for name in ("_break_cycles", "detach"):
            install_hook(handler, name, Hook(self._end_by, name))
        connection: Any = handler.request.connection
        connection.set_close_callback(self._closed)
        if client_gone(handler):
            self._end()

    def _end_by(self, name: str) -> Any:
        remove_hook(self._handler, name)
        vars(self._handler).pop(_OPEN, None)
        try:
            return getattr(self._handler, name)()
        finally:
            self._end()

    def _end(self) -> None:
        on_loop(self.io_loop, give, self.future, None)

    def _closed(self) -> None:
        try:
            self._handler.on_connection_close()
        finally:
            self._end()

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Answer with an error what a callback raises."""
        try:
            yield
        except Exception as error:
            on_loop(self.io_loop, self._fail, error)

    def _fail(self, error: Exception) -> None:
        try:
            raise error  # log_exception asks sys.exc_info
        except Exception:
            try:
                self._handler._handle_request_exception(error)
            except Exception:
                app_log.error("Exception in exception handler", exc_info=True)
                self._end()

    def follow(self, result: Any, finishes: bool) -> None:
        """Await what the verb returned; loop thread."""
        try:
            future = gen.convert_yielded(result)
        except gen.BadYieldError as error:
            self._fail(error)
        else:
            future.add_done_callback(functools.partial(self._followed, finishes))

    def _followed(self, finishes: bool, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self.future.cancel()
            return
        with self.scope():
            future.result()
            if finishes and not self._handler._finished:
                self._handler.finish()
