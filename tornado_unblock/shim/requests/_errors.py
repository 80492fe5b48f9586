"""What aiohttp reports, in the words of requests.

requests wraps what urllib3 raises, and code looks inside (``error.args[0].reason``):
so what is raised here is nested in the same way.

# Threads: any; no state.
"""

from __future__ import annotations

import http.client
import os
import socket
from typing import Any

import aiohttp
import requests
from requests import exceptions
from urllib3 import exceptions as urllib3_errors
from urllib3.util import Timeout, parse_url


def exchange_error(
    error: Exception, request: requests.PreparedRequest, timeout: Timeout
) -> exceptions.RequestException:
    """Return what requests raises where no response came; any thread."""
    pool = pool_name(request)
    if isinstance(error, aiohttp.SocketTimeoutError):
        text = f"Read timed out. (read timeout={timeout.read_timeout})"
        late = urllib3_errors.ReadTimeoutError(pool, _target(request), text)
        return exceptions.ReadTimeout(late, request=request)
    kind, reason = _connect_reason(error, pool, timeout)
    if kind is not None:
        given_up = urllib3_errors.MaxRetryError(pool, _target(request), reason)
        return kind(given_up, request=request)  # type: ignore[no-any-return]
    aborted = urllib3_errors.ProtocolError("Connection aborted.", _aborted(error))
    return exceptions.ConnectionError(aborted, request=request)


def body_error(
    error: Exception,
    request: requests.PreparedRequest,
    received: int,
    missing: int,
) -> exceptions.RequestException:
    """Return what requests raises for a body that breaks off; any thread.

    Args:
        error: What aiohttp raised.
        request: The request it was the answer to.
        received: How many bytes came.
        missing: How many more were announced; 0 if unknown.
    """
    if isinstance(error, aiohttp.SocketTimeoutError):
        pool = pool_name(request)
        late = urllib3_errors.ReadTimeoutError(pool, _no_url, "Read timed out.")
        return exceptions.ConnectionError(late, request=request)
    cause: Exception = error
    if isinstance(error, aiohttp.ClientPayloadError):
        cause = urllib3_errors.IncompleteRead(received, missing)
    broken = urllib3_errors.ProtocolError(f"Connection broken: {cause!r}", cause)
    return exceptions.ChunkedEncodingError(broken, request=request)


def pool_name(request: requests.PreparedRequest) -> Any:
    """Return how urllib3 names the pool that a request would go through."""
    url = parse_url(request.url or "")
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    kind = "HTTPS" if secure else "HTTP"
    return f"{kind}ConnectionPool(host={url.host!r}, port={port})"


# What urllib3 says for "some request of this pool"; its stubs want a text.
_no_url: Any = None


def _target(request: requests.PreparedRequest) -> str:
    return request.path_url


def _connect_reason(error: Exception, pool: Any, timeout: Timeout) -> tuple[Any, Any]:
    """Return requests' class and urllib3's reason, if no connection was made."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        text = f"{pool}: Connection timed out. (connect timeout={{}})"
        late = urllib3_errors.ConnectTimeoutError(
            pool, text.format(timeout.connect_timeout)
        )
        return exceptions.ConnectTimeout, late
    if isinstance(error, aiohttp.ClientHttpProxyError):
        refused = OSError(f"Tunnel connection failed: {error.status} {error.message}")
        return exceptions.ProxyError, _proxy_error(refused)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        failed = urllib3_errors.SSLError(error.certificate_error)
        return exceptions.SSLError, failed
    if isinstance(error, aiohttp.ClientSSLError):
        return exceptions.SSLError, urllib3_errors.SSLError(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = _plain(error.os_error)
        text = f"Failed to establish a new connection: {cause}"
        reason = urllib3_errors.NewConnectionError(pool, text)
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return exceptions.ProxyError, _proxy_error(reason)
        return exceptions.ConnectionError, reason
    return None, None


def _proxy_error(reason: Exception) -> urllib3_errors.ProxyError:
    return urllib3_errors.ProxyError("Unable to connect to proxy", reason)


def _aborted(error: Exception) -> Exception:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return http.client.RemoteDisconnected(
            "Remote end closed connection without response"
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return http.client.BadStatusLine(error.message)
    if isinstance(error, OSError) and error.errno is not None:
        return _plain(error)
    return error


def _plain(error: OSError) -> OSError:
    """Return it in the words of the system, not of asyncio."""
    if type(error) is socket.gaierror or error.errno is None:
        return error
    # OSError picks the class for the number: ConnectionResetError and so on.
    return OSError(error.errno, os.strerror(error.errno))
