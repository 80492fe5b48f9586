"""`Session` for both colours, and the functions of the module.

# Threads: a session as in requests; the functions anywhere.
# Guarantees:
# - the functions share their connections, and nothing else: each call begins with no
#   cookies, as in requests;
# - a forked child opens connections of its own, and leaves its parent's alone.
"""

# A dual is no plain method, but stands in for one.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Union

import requests
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest

from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members
from tornado_unblock.shim._crossing.dual import Dual, pair
from tornado_unblock.shim.requests._awaited import aio_of, request_aio, send_aio
from tornado_unblock.shim.requests._client import clients
from tornado_unblock.shim.requests._response import Response, joined, ours

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_Url = Union[str, bytes]

# How many hosts, and connections to each, are kept open for the functions: as many as
# there may be threads, since urllib3 warns of each that it throws away.
_POOL = 256


class Session(requests.Session):
    """A `requests.Session` whose calls have ``.aio``.

    Headers, cookies, auth, params, hooks, proxies and the rest belong to the session
    in both colours. So do the pooled connections in sync calls; awaited calls share
    one pool per loop.
    """

    def __init__(self) -> None:
        super().__init__()
        _sessions.add(self)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    async def _request(
        self, method: str, url: _Url, *args: Any, **kwargs: Any
    ) -> Response:
        return await request_aio(self, method, url, *args, **kwargs)

    @joined(_request)
    def request(  # type: ignore[override]
        self, method: str, url: _Url, *args: Any, **kwargs: Any
    ) -> Response:
        """Send a request, and return the response; see `requests.Session.request`."""
        return ours(super().request(method, url, *args, **kwargs))

    async def _send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        return await send_aio(self, request, **kwargs)

    @joined(_send)
    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send a prepared request; see `requests.Session.send`."""
        return ours(super().send(request, **kwargs))

    async def _get(self, url: _Url, params: Any = None, **kwargs: Any) -> Response:
        return await self._ask("GET", url, params=params, **kwargs)

    @joined(_get)
    def get(self, url: _Url, params: Any = None, **kwargs: Any) -> Response:
        """Send a GET request; see `requests.Session.get`."""
        return self.request("GET", url, params=params, **kwargs)

    async def _head(self, url: _Url, **kwargs: Any) -> Response:
        kwargs.setdefault("allow_redirects", False)
        return await self._ask("HEAD", url, **kwargs)

    @joined(_head)
    def head(self, url: _Url, **kwargs: Any) -> Response:
        """Send a HEAD request; see `requests.Session.head`."""
        kwargs.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **kwargs)

    async def _options(self, url: _Url, **kwargs: Any) -> Response:
        return await self._ask("OPTIONS", url, **kwargs)

    @joined(_options)
    def options(self, url: _Url, **kwargs: Any) -> Response:
        """Send an OPTIONS request; see `requests.Session.options`."""
        return self.request("OPTIONS", url, **kwargs)

    async def _post(
        self, url: _Url, data: Any = None, json: Any = None, **kwargs: Any
    ) -> Response:
        return await self._ask("POST", url, data=data, json=json, **kwargs)

    @joined(_post)
    def post(
        self, url: _Url, data: Any = None, json: Any = None, **kwargs: Any
    ) -> Response:
        """Send a POST request; see `requests.Session.post`."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    async def _put(self, url: _Url, data: Any = None, **kwargs: Any) -> Response:
        return await self._ask("PUT", url, data=data, **kwargs)

    @joined(_put)
    def put(self, url: _Url, data: Any = None, **kwargs: Any) -> Response:
        """Send a PUT request; see `requests.Session.put`."""
        return self.request("PUT", url, data=data, **kwargs)

    async def _patch(self, url: _Url, data: Any = None, **kwargs: Any) -> Response:
        return await self._ask("PATCH", url, data=data, **kwargs)

    @joined(_patch)
    def patch(self, url: _Url, data: Any = None, **kwargs: Any) -> Response:
        """Send a PATCH request; see `requests.Session.patch`."""
        return self.request("PATCH", url, data=data, **kwargs)

    async def _delete(self, url: _Url, **kwargs: Any) -> Response:
        return await self._ask("DELETE", url, **kwargs)

    @joined(_delete)
    def delete(self, url: _Url, **kwargs: Any) -> Response:
        """Send a DELETE request; see `requests.Session.delete`."""
        return self.request("DELETE", url, **kwargs)

    async def _ask(self, *args: Any, **kwargs: Any) -> Response:
        # By name: a subclass may have a `request` of its own.
        return await aio_of(self, "request")(*args, **kwargs)  # type: ignore[no-any-return]


_sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()


def _shared() -> HTTPAdapter:
    return HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL)


# What the functions send with. Replaced in a forked child only.
_adapter = _shared()


class _Once(Session):
    """A session for one call: the shared connections, and no cookies yet."""

    def __init__(self) -> None:
        super().__init__()
        self.adapters.update({"https://": _adapter, "http://": _adapter})


def _function(method: Dual[_P, Response]) -> Dual[_P, Response]:
    """Make a function of the module like a method of a session."""
    name = method.__name__

    def blocking(*args: Any, **kwargs: Any) -> Response:
        return getattr(_Once(), name)(*args, **kwargs)  # type: ignore[no-any-return]

    async def awaited(*args: Any, **kwargs: Any) -> Response:
        return await getattr(_Once(), name).aio(*args, **kwargs)  # type: ignore[no-any-return]

    blocking.__name__ = blocking.__qualname__ = name
    blocking.__doc__ = method.__doc__
    blocking.__module__ = __package__ or __name__
    joint: Any = pair(blocking, awaited)
    return joint  # type: ignore[no-any-return]


_like = Session()
request = _function(_like.request)
get = _function(_like.get)
head = _function(_like.head)
options = _function(_like.options)
post = _function(_like.post)
put = _function(_like.put)
patch = _function(_like.patch)
delete = _function(_like.delete)


async def _close() -> None:
    _adapter.close()
    await clients.close()


@joined(_close)
def close() -> None:
    """Close the connections that the functions keep; the next call opens new ones.

    ``await close.aio()`` also closes those of the running loop, which are closed with
    it in any case.
    """
    _adapter.close()


# Pools of the parent, never touched again: a lock of one may be held for ever.
_of_the_parent: list[Any] = []


def _forget_parent() -> None:
    for session in [*members(_sessions), _Once()]:
        for mounted in session.adapters.values():
            adapter: Any = mounted
            if isinstance(mounted, HTTPAdapter):
                _of_the_parent.append((adapter.poolmanager, adapter.proxy_manager))
                # As if it had been pickled: the same settings, and empty pools.
                adapter.__setstate__(adapter.__getstate__())


at_fork(Step.POOLS, _forget_parent)
