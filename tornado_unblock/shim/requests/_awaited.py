"""How a session's call is awaited.

requests' own code runs as far as it does not touch the network: merging settings,
preparing, following redirects, keeping cookies. What this adds is the order in which
it is called, with an await in between.

# Threads: loop threads; a session is used by one task at a time, as in requests.
# Guarantees:
# - a method that a subclass overrides is called, or refused, never passed over;
# - files to be sent are read in a worker.
"""

from __future__ import annotations

import copy
import datetime
import functools
import inspect
import threading
import time
from typing import Any, Callable

import requests
import requests.cookies
import requests.utils
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from requests.exceptions import (
    ChunkedEncodingError,
    ContentDecodingError,
    TooManyRedirects,
)

from tornado_unblock.shim._crossing.wait import call
from tornado_unblock.shim.requests._client import Options, exchange
from tornado_unblock.shim.requests._response import Response


def aio_of(session: Any, name: str) -> Callable[..., Any]:
    """Return the awaited twin of a method, or say that a subclass lacks it."""
    method = getattr(session, name)
    if not hasattr(method, "aio"):
        raise NotImplementedError(
            f"{type(session).__qualname__}.{name} overrides the sync call only; put "
            "@shim.dual on it, or join it and an async one with shim.pair"
        )
    return method.aio  # type: ignore[no-any-return]


class _Awaited:
    """The session as requests' own code sees it while a call is awaited."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        auth = request.auth if request.auth is not None else self._session.auth
        if isinstance(auth, HTTPDigestAuth):
            # It keeps its state per thread, and many calls share this one.
            request.auth = copy.copy(auth)
            request.auth._thread_local = threading.local()
        return self._session.prepare_request(request)  # type: ignore[no-any-return]

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        return functools.partial(aio_of(self._session, "send"), request, **kwargs)


async def request_aio(
    session: Any, method: str, url: Any, *args: Any, **kwargs: Any
) -> Response:
    """Do what ``session.request`` does; loop thread."""
    awaited: Any = _Awaited(session)
    prepare = functools.partial(
        requests.Session.request, awaited, method, url, *args, **kwargs
    )
    # Preparing reads the files to be sent: `files` is the fifth of the others.
    reads = kwargs.get("files") or len(args) > 4
    send: Any = await call(prepare) if reads else prepare()
    return await send()  # type: ignore[no-any-return]


async def send_aio(
    session: Any, request: requests.PreparedRequest, **kwargs: Any
) -> Response:
    """Do what ``session.send`` does; loop thread."""
    if isinstance(request, requests.Request):
        raise ValueError("Session.send takes a PreparedRequest: prepare it first")
    kwargs.setdefault("stream", session.stream)
    kwargs.setdefault("verify", session.verify)
    kwargs.setdefault("cert", session.cert)
    if "proxies" not in kwargs:
        kwargs["proxies"] = requests.utils.resolve_proxies(
            request, session.proxies, session.trust_env
        )
    follow = kwargs.pop("allow_redirects", True)
    response = await _exchange(session, request, kwargs)
    if follow:
        response = await _follow(session, response, request, kwargs)
    elif session.get_redirect_target(response):
        response._next = await _redirected(session, response, request, kwargs)
    if not kwargs["stream"]:
        await response.load.aio()
    return response


async def _exchange(
    session: Any, request: requests.PreparedRequest, kwargs: Any
) -> Response:
    _check_adapter(session.get_adapter(url=request.url or ""))
    start = time.monotonic()
    response = await exchange(request, Options(**kwargs))
    response.elapsed = datetime.timedelta(seconds=time.monotonic() - start)
    for hook in request.hooks.get("response") or ():
        response = await _hooked(hook, response, kwargs)
    cookies: Any = requests.cookies
    for each in (*response.history, response):
        cookies.extract_cookies_to_jar(session.cookies, each.request, each.raw)
    return response


def _check_adapter(adapter: Any) -> None:
    if type(adapter) is not HTTPAdapter:
        raise NotImplementedError(
            f"awaited calls do not go through {type(adapter).__qualname__}; only "
            "HTTPAdapter itself may be mounted. Call without .aio, in a worker"
        )
    if adapter.max_retries.total:
        raise NotImplementedError(
            "awaited calls do not repeat requests (HTTPAdapter(max_retries=...)); put "
            "tornado_unblock.shim.retry around the call"
        )


async def _hooked(hook: Callable[..., Any], response: Response, kwargs: Any) -> Any:
    """Call one hook, and answer for the request that digest auth sends from it."""
    if not kwargs["stream"]:
        await response.load.aio()
    digest = inspect.ismethod(hook) and isinstance(hook.__self__, HTTPDigestAuth)
    if not digest:
        result = hook(response, **kwargs)
        return response if result is None else result
    await response.load.aio()
    response.connection, adapter = _Again(), response.connection
    try:
        result = hook(response, **kwargs)
    finally:
        response.connection = adapter
    if not isinstance(result, _Blank):
        return response if result is None else result
    answer = await exchange(result.request, Options(**kwargs))
    answer.history.append(response)
    return answer


class _Blank(requests.Response):
    """Stands for the response that digest auth's second request will get."""


class _Again(HTTPAdapter):
    """Sends nothing: says that there is something to send."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        return _Blank()


async def _follow(
    session: Any,
    response: Response,
    request: requests.PreparedRequest,
    kwargs: Any,
) -> Response:
    history: list[requests.Response] = []
    while session.get_redirect_target(response):
        if len(history) >= session.max_redirects:
            response.history = history
            response.close()
            raise TooManyRedirects(
                f"Exceeded {session.max_redirects} redirects.", response=response
            )
        request = await _redirected(session, response, request, kwargs)
        response.history, history = history, [*history, response]
        if len(history) > 1:
            response._next = request
        kwargs["proxies"] = session.rebuild_proxies(request, kwargs["proxies"])
        response = await _exchange(session, request, kwargs)
    response.history = history or response.history
    return response


async def _redirected(
    session: Any,
    response: Response,
    request: requests.PreparedRequest,
    kwargs: Any,
) -> requests.PreparedRequest:
    """Return the request that a redirect asks for."""
    try:
        await response.load.aio()
    except (ChunkedEncodingError, ContentDecodingError):
        pass  # as requests: what it says does not matter
    requests_to_come: Any = session.resolve_redirects(
        response, request, yield_requests=True, **kwargs
    )
    return next(requests_to_come)  # type: ignore[no-any-return]
