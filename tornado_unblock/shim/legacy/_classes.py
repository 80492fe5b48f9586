"""Tornado's classes with the arguments they took in Tornado 3 to 5.

# Threads: those of the classes they derive from, but for `IOLoop.instance` and
# `AsyncHTTPClient`, which any worker may use.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

import wrapt
from tornado import httpclient, httpserver, ioloop, iostream, websocket
from tornado.gen import with_timeout as _with_timeout
from tornado.ioloop import IOLoop as _IOLoop

from tornado_unblock._errors import LoopThreadError
from tornado_unblock._loop.lease import current_lease, running_loop
from tornado_unblock.shim.legacy._callbacks import fetch, take_callback, taken
from tornado_unblock.shim.legacy._futures import call_on_loop, when_done

if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy

_websocket_connect = websocket.websocket_connect

_T = TypeVar("_T")


def without_io_loop(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments without an IOLoop, which must be the present one.

    Raises:
        NotImplementedError: It is another loop.
    """
    given = [arg for arg in args if isinstance(arg, _IOLoop)]
    kwargs = dict(kwargs)
    given.append(kwargs.pop("io_loop", None))
    for io_loop in given:
        if io_loop is not None and io_loop is not _IOLoop.current():
            raise NotImplementedError(
                "io_loop= names a loop that is not the current one, which Tornado "
                "cannot do since 5.0; make the object on that loop, with "
                "io_loop.add_callback(...)"
            )
    return tuple(arg for arg in args if not isinstance(arg, _IOLoop)), kwargs


def instance() -> _IOLoop:
    """Return the application's IOLoop; any thread.

    In a thread that has a loop, or is a worker, that one. In any other thread
    the one that runs; before any runs, the thread's own.

    Raises:
        LoopThreadError: Several run, so that it is not clear which is meant.
    """
    if running_loop() is None and current_lease() is None:
        known = dict(_IOLoop._ioloop_for_asyncio)
        running = [known[loop] for loop in known if loop.is_running()]
        if len(running) > 1:
            raise LoopThreadError(
                f"IOLoop.instance() in a thread without a loop, while {len(running)} "
                "loops run: keep the IOLoop you mean in a variable"
            )
        if running:
            return running[0]
    return _IOLoop.current()


def initialized() -> bool:
    """Whether there is an IOLoop in this process; any thread."""
    return any(not loop.is_closed() for loop in dict(_IOLoop._ioloop_for_asyncio))


class IOLoop(_IOLoop):
    """`tornado.ioloop.IOLoop` with `instance` and `initialized` of old."""

    instance = staticmethod(instance)
    initialized = staticmethod(initialized)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a loop of Tornado's."""
        return _IOLoop(*args, **kwargs)


class PeriodicCallback(ioloop.PeriodicCallback):
    """`tornado.ioloop.PeriodicCallback` that accepts ``io_loop=``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs = without_io_loop(args, kwargs)
        super().__init__(*args, **kwargs)


class HTTPServer(httpserver.HTTPServer):
    """`tornado.httpserver.HTTPServer` that accepts ``io_loop=``."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments of the class."""
        args, kwargs = without_io_loop(args, kwargs)
        super().initialize(*args, **kwargs)


class IOStream(iostream.IOStream):
    """`tornado.iostream.IOStream` that accepts ``callback=`` and ``io_loop=``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs = without_io_loop(args, kwargs)
        super().__init__(*args, **kwargs)

    read_until_regex = taken(iostream.BaseIOStream, "read_until_regex")
    read_until = taken(iostream.BaseIOStream, "read_until")
    read_bytes = taken(iostream.BaseIOStream, "read_bytes")
    read_into = taken(iostream.BaseIOStream, "read_into")
    read_until_close = taken(iostream.BaseIOStream, "read_until_close")
    write = taken(iostream.BaseIOStream, "write")
    connect = taken(iostream.IOStream, "connect")


# Two workers must not make two clients for one loop. A client may make another.
_making = threading.RLock()


def make_client(make: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """Return ``make(...)``, a client of the current loop; loop thread or worker."""
    args, kwargs = without_io_loop(args, kwargs)
    with _making:
        return make(*args, **kwargs)


class AsyncHTTPClient(_Proxy):
    """Tornado's client of the loop; `fetch` accepts ``callback=``.

    Args:
        *args: As for `tornado.httpclient.AsyncHTTPClient`, and ``io_loop=``.
        **kwargs: Likewise.
    """

    configure = staticmethod(httpclient.AsyncHTTPClient.configure)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(make_client(httpclient.AsyncHTTPClient, *args, **kwargs))

    def fetch(
        self,
        request: Union[str, httpclient.HTTPRequest],
        callback: Optional[Callable[[httpclient.HTTPResponse], Any]] = None,
        raise_error: bool = True,
        **kwargs: Any,
    ) -> asyncio.Future[httpclient.HTTPResponse]:
        """Send a request; loop thread or worker.

        Args:
            request: A URL or an `HTTPRequest`.
            callback: Called with the response, on the loop thread. Whatever goes
                wrong is in its ``error``; without a response its code is 599.
            raise_error: Whether the Future raises for a bad status.
            **kwargs: For the request, if it is a URL.

        Returns:
            The Future of the response.
        """
        future: asyncio.Future[httpclient.HTTPResponse] = fetch(
            self.__wrapped__, request, callback, raise_error, **kwargs
        )
        return future


def with_timeout(*args: Any, **kwargs: Any) -> asyncio.Future[Any]:
    """`tornado.gen.with_timeout` that accepts ``io_loop=``."""
    args, kwargs = without_io_loop(args, kwargs)
    return _with_timeout(*args, **kwargs)


def websocket_connect(
    *args: Any, **kwargs: Any
) -> Awaitable[websocket.WebSocketClientConnection]:
    """`tornado.websocket.websocket_connect`, with ``callback=`` and ``io_loop=``."""
    args, kwargs = without_io_loop(args, kwargs)
    callback, args = take_callback(args, kwargs, 1)
    connected = call_on_loop(_websocket_connect, *args, **kwargs)
    if callback is not None:
        when_done(_IOLoop.current(), connected, callback)
    return connected  # type: ignore[no-any-return]
