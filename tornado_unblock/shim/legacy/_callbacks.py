"""``callback=`` for what returns a Future today, as Tornado 3 to 5 had it.

# Threads: any. What is called goes to the loop thread; callbacks run there.
"""

from __future__ import annotations

import asyncio
import functools
import time
import types
from typing import Any, Callable, NamedTuple, Optional

from tornado import auth, iostream, netutil, web, websocket
from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest, HTTPResponse
from tornado.ioloop import IOLoop
from tornado.log import app_log, gen_log

from tornado_unblock._handlers.ownership import refuse_abandoned_bodies
from tornado_unblock.shim.legacy._futures import call_on_loop, when_done

Deliver = Callable[[Any, Callable[..., Any], asyncio.Future[Any]], Any]
"""``deliver(owner, callback, future)``: ``owner``'s ``future`` is done."""


# --- what a callback is called with -----------------------------------------------

# Each returns what the callback returns, for the loop to await if it can be.


def _value(owner: Any, callback: Callable[..., Any], future: Any) -> Any:
    return callback(future.result())


def _signal(owner: Any, callback: Callable[..., Any], future: Any) -> Any:
    return callback() if _succeeded(future) else None


def _future(owner: Any, callback: Callable[..., Any], future: Any) -> Any:
    return callback(future)


def _user(owner: Any, callback: Callable[..., Any], future: Any) -> Any:
    try:
        user = future.result()
    except auth.AuthError as error:
        gen_log.warning("%s", error)
        user = None
    return callback(user)


def _data(stream: Any, callback: Callable[..., Any], future: Any) -> Any:
    if not _succeeded(future):
        return None
    return _or_close(stream, callback, future.result())


def _stream_signal(stream: Any, callback: Callable[..., Any], future: Any) -> Any:
    return _or_close(stream, callback) if _succeeded(future) else None


def _succeeded(future: asyncio.Future[Any]) -> bool:
    # Whoever gave a callback hears of a failure by set_close_callback.
    return not future.cancelled() and future.exception() is None


def _or_close(stream: Any, callback: Callable[..., Any], *args: Any) -> Any:
    try:
        return callback(*args)
    except Exception:
        app_log.error("Uncaught exception, closing connection.", exc_info=True)
        stream.close()
        raise


# --- methods that took one ----------------------------------------------------------


class Taker(NamedTuple):
    """A method that took ``callback=``."""

    owner: type
    name: str
    # Where it stood among the positional arguments.
    at: int
    deliver: Deliver
    # Whether it must run on the loop thread.
    moves: bool = True


_RESOLVERS = [
    cls
    for cls in vars(netutil).values()
    if isinstance(cls, type)
    and issubclass(cls, netutil.Resolver)
    and "resolve" in vars(cls)
]

TAKERS = [
    Taker(iostream.BaseIOStream, "read_until_regex", 1, _data),
    Taker(iostream.BaseIOStream, "read_until", 1, _data),
    Taker(iostream.BaseIOStream, "read_bytes", 1, _data),
    Taker(iostream.BaseIOStream, "read_into", 1, _data),
    Taker(iostream.BaseIOStream, "read_until_close", 0, _data),
    Taker(iostream.BaseIOStream, "write", 1, _stream_signal),
    Taker(iostream.IOStream, "connect", 1, _stream_signal),
    Taker(iostream.SSLIOStream, "connect", 1, _stream_signal),
    Taker(iostream.SSLIOStream, "wait_for_handshake", 0, _stream_signal),
    *(Taker(cls, "resolve", 3, _value) for cls in _RESOLVERS),
    Taker(websocket.WebSocketClientConnection, "read_message", 0, _future),
    Taker(web.RequestHandler, "flush", 1, _signal, moves=False),
    Taker(auth.OpenIdMixin, "get_authenticated_user", 0, _user),
    Taker(auth.OAuthMixin, "authorize_redirect", 3, _signal),
    Taker(auth.OAuthMixin, "get_authenticated_user", 0, _user),
    Taker(auth.OAuth2Mixin, "oauth2_request", 1, _user),
    Taker(auth.TwitterMixin, "authenticate_redirect", 1, _signal),
    Taker(auth.TwitterMixin, "twitter_request", 1, _user),
    Taker(auth.GoogleOAuth2Mixin, "get_authenticated_user", 2, _user),
    Taker(auth.FacebookGraphMixin, "get_authenticated_user", 4, _user),
    Taker(auth.FacebookGraphMixin, "facebook_request", 1, _user),
]


def taking(taker: Taker) -> Callable[..., Any]:
    """Return the method of ``taker``, that takes ``callback=`` again."""
    own = vars(taker.owner)[taker.name]

    @functools.wraps(own)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_streaming(taker.name, kwargs)
        callback, args = take_callback(args, kwargs, taker.at)
        call = call_on_loop if taker.moves else _call
        future = call(own, self, *args, **kwargs)
        if callback is None:
            return future
        deliver = functools.partial(taker.deliver, self, callback)
        when_done(IOLoop.current(), asyncio.ensure_future(future), deliver)
        return future if taker.deliver is _future else None

    return method


def _call(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return fn(*args, **kwargs)


def take_callback(
    args: tuple[Any, ...], kwargs: dict[str, Any], index: int
) -> tuple[Optional[Callable[..., Any]], tuple[Any, ...]]:
    """Return the callback, and the positional arguments without it."""
    callback = kwargs.pop("callback", None)
    if len(args) > index and (callable(args[index]) or args[index] is None):
        callback = args[index]
        args = args[:index] + args[index + 1 :]
    return callback, args


def _refuse_streaming(name: str, kwargs: dict[str, Any]) -> None:
    if kwargs.pop("streaming_callback", None) is not None:
        raise NotImplementedError(
            f"{name}(streaming_callback=) is not carried; read piece by piece with "
            "read_bytes(size, partial=True)"
        )


# --- fetch --------------------------------------------------------------------------

_fetch = AsyncHTTPClient.fetch


def fetch(
    self: AsyncHTTPClient,
    request: Any,
    callback: Any = None,
    raise_error: bool = True,
    **kwargs: Any,
) -> Any:
    """`AsyncHTTPClient.fetch`, that takes ``callback=`` again; loop thread or worker.

    Args:
        self: The client.
        request: A URL or an `HTTPRequest`.
        callback: Called with the response, on the loop thread. Whatever goes
            wrong is in its ``error``; without a response its code is 599.
        raise_error: Whether the Future raises for a status that is not a success.
        **kwargs: For the request.

    Returns:
        The Future of the response.
    """
    if isinstance(callback, bool):
        callback, raise_error = None, callback  # a call of today
    if callback is None:
        return call_on_loop(_fetch, self, request, raise_error=raise_error, **kwargs)
    if not isinstance(request, HTTPRequest):
        request, kwargs = HTTPRequest(request, **kwargs), {}
    future = call_on_loop(_fetch, self, request, raise_error=raise_error, **kwargs)
    when_done(IOLoop.current(), future, functools.partial(_respond, callback, request))
    return future


def _respond(callback: Callable[..., Any], request: Any, future: Any) -> Any:
    error = future.exception()
    if error is None:
        response = future.result()
    elif isinstance(error, HTTPError) and error.response is not None:
        response = error.response
    else:
        took = time.time() - request.start_time
        response = HTTPResponse(request, 599, error=error, request_time=took)
    return callback(response)


# --- by name ------------------------------------------------------------------------

# Taken now, with the check of who may answer around `flush`: `install` puts them in the
# place of the methods.
refuse_abandoned_bodies()
TAKEN = [(taker.owner, taker.name, taking(taker)) for taker in TAKERS]
TAKEN.append((AsyncHTTPClient, "fetch", fetch))
_TAKING = {vars(owner)[name]: method for owner, name, method in TAKEN}


def with_callback(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a bound method of Tornado so that it takes ``callback=``."""
    method = _TAKING.get(getattr(fn, "__func__", None))
    if method is None:
        return fn
    return types.MethodType(method, fn.__self__)  # type: ignore[attr-defined]


def taken(owner: type, name: str) -> Any:
    """Return the method ``name`` of ``owner`` that takes ``callback=``."""
    return _TAKING[vars(owner)[name]]
