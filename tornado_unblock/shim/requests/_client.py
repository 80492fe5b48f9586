"""One request and its response over aiohttp, in the terms of requests.

# Threads: loop threads. What a fork leaves behind is guarded by running first.
# Guarantees:
# - each loop has one pool of connections, closed with the loop;
# - nothing of what requests prepared is changed on its way;
# - a cancelled call closes its connection;
# - a forked child makes a pool of its own and leaves its parent's alone.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple, Optional

import aiohttp
import requests
import requests.utils
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL
from requests.utils import select_proxy, urldefragauth
from urllib3.util import Timeout, parse_url
from yarl import URL

from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.per_loop import ClosedPerLoop
from tornado_unblock._loop.weak import members
from tornado_unblock.shim.requests._errors import exchange_error
from tornado_unblock.shim.requests._raw import Raw
from tornado_unblock.shim.requests._response import Response
from tornado_unblock.shim.requests._tls import Cert, Verify, tls_context
from tornado_unblock.shim.requests._upload import Upload, wire_headers

# As long as http.client takes lines to be, in bytes.
_LINE = 65536
_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class _Kept(NamedTuple):
    client: aiohttp.ClientSession
    # A loop that ends in an orderly way closes its async generators first.
    closing: AsyncGenerator[None, None]


_clients: weakref.WeakSet[aiohttp.ClientSession] = weakref.WeakSet()


def _make() -> _Kept:
    connector = aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver())
    client = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_OURS,
        max_line_size=_LINE,
        max_field_size=_LINE,
    )
    # requests never sends a request twice.
    client._retry_connection = False
    _clients.add(client)
    closing = _close_in_the_end(client)
    try:
        closing.__anext__().send(None)
    except StopIteration:
        pass
    return _Kept(client, closing)


async def _close_in_the_end(
    client: aiohttp.ClientSession,
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.close()


def _drop(kept: _Kept) -> None:
    """Close the sockets of a loop that is closed already."""
    connector: Any = kept.client.connector
    if connector is None:
        return
    kept.client.detach()
    idle = [each[0] for pooled in connector._conns.values() for each in pooled]
    for protocol in (*idle, *connector._acquired):
        _cut(protocol.transport)
    connector._conns.clear()
    connector._acquired.clear()
    connector._close()


def _cut(transport: Any) -> None:
    # Its own close() needs the loop. Those of uvloop have no attributes to set.
    while hasattr(transport, "__dict__"):
        transport._closed = True
        sock, transport._sock = getattr(transport, "_sock", None), None
        if sock is not None:
            sock.close()
        tls = getattr(transport, "_ssl_protocol", None)
        transport = getattr(tls, "_transport", None)


clients = ClosedPerLoop(_make, lambda kept: kept.closing.aclose(), _drop)

# Never touched again, and never collected: closing them would reach the parent's
# event loop.
_of_the_parent: list[Any] = []


def _forget_parent() -> None:
    for client in [client for client in members(_clients) if not client.closed]:
        connector: Any = client.connector
        client.detach()
        _of_the_parent.append((connector, dict(connector._conns)))
        connector._conns.clear()
    _clients.clear()


at_fork(Step.POOLS, _forget_parent)


class Options(NamedTuple):
    """How to send one request: what requests gives to an adapter."""

    timeout: Any = None
    verify: Verify = True
    cert: Cert = None
    proxies: Any = None
    stream: Optional[bool] = False


class _NoAdapter(HTTPAdapter):
    """What a response of an awaited call has as its `connection`."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "a hook or an auth handler that sends a request itself is not covered by "
            "awaited calls (HTTPDigestAuth is); call without .aio, in a worker"
        )


_adapter = _NoAdapter()


async def exchange(request: requests.PreparedRequest, options: Options) -> Response:
    """Send one request and return its response, the body not read; loop thread.

    Raises:
        RequestException: What requests raises in this case.
        NotImplementedError: The proxy or a header is not covered.
    """
    timeout = _timeout(options.timeout)
    proxy, proxy_headers = _proxy(request, options.proxies)
    ssl = await tls_context(request, options.verify, options.cert)
    headers = wire_headers(request)
    if proxy is not None and ssl is True:
        headers.update(proxy_headers)
        proxy_headers = {}
    upload = Upload(request)
    try:
        answer = await clients.get().client.request(
            request.method or "",
            URL(parse_url(urldefragauth(request.url or "")).url, encoded=True),
            data=upload.data(),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                sock_connect=timeout.connect_timeout,
                sock_read=timeout.read_timeout,
            ),
            ssl=ssl,
            proxy=proxy,
            proxy_headers=proxy_headers or None,
        )
    except (aiohttp.ClientError, OSError) as error:
        if upload.error is not None:
            raise upload.error from None
        raise exchange_error(error, request, timeout) from error
    raw: Any = Raw(answer, request)
    response = _adapter.build_response(request, raw)
    response.__class__ = Response
    assert isinstance(response, Response)
    return response


def _timeout(timeout: Any) -> Any:
    if isinstance(timeout, Timeout):
        timeout = timeout.clone()
    elif isinstance(timeout, tuple):
        if len(timeout) != 2:
            raise ValueError(
                f"timeout is a number of seconds or a pair (connect, read), "
                f"not {timeout!r}"
            )
        timeout = Timeout(connect=timeout[0], read=timeout[1])
    else:
        timeout = Timeout(connect=timeout, read=timeout)
    timeout.start_connect()
    return timeout


def _proxy(
    request: requests.PreparedRequest, proxies: Any
) -> tuple[Optional[URL], dict[str, str]]:
    proxy = select_proxy(request.url or "", proxies)
    if not proxy:
        return None, {}
    utils: Any = requests.utils
    proxy = utils.prepend_scheme_if_needed(proxy, "http")
    parsed = parse_url(proxy)
    if not parsed.host:
        raise InvalidProxyURL(
            f"the proxy URL {proxy!r} names no host; check `proxies` and the "
            "environment",
            request=request,
        )
    if parsed.scheme != "http":
        raise NotImplementedError(
            f"proxies of the kind {parsed.scheme}:// are not covered by awaited calls; "
            "use one of the kind http://, or call without .aio, in a worker"
        )
    url = URL.build(scheme="http", host=parsed.host, port=parsed.port or 80)
    return url, dict(_adapter.proxy_headers(proxy))
