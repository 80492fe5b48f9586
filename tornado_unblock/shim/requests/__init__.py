"""requests for both colours.

    from tornado_unblock.shim import requests      # instead of: import requests

    response = requests.get(url)                   # as ever: blocks
    response = await requests.get.aio(url)         # in a coroutine; over aiohttp

Names, results and exceptions are those of requests; what is not here is looked up
there. The functions share a pool of connections, and nothing else.

It needs the extra ``requests``: ``pip install 'tornado-unblock[requests]'``.

# Threads: any; see `Session`.
"""

from __future__ import annotations

from typing import Any

try:
    import aiohttp  # noqa: F401
    import requests as _requests
except ImportError as error:
    raise ImportError(
        "tornado_unblock.shim.requests needs requests and aiohttp: "
        "pip install 'tornado-unblock[requests]'"
    ) from error

from requests import (
    adapters,
    auth,
    certs,
    codes,
    cookies,
    exceptions,
    hooks,
    models,
    structures,
    utils,
)
from requests.exceptions import (
    ConnectionError,
    ConnectTimeout,
    HTTPError,
    JSONDecodeError,
    ReadTimeout,
    RequestException,
    Timeout,
    TooManyRedirects,
    URLRequired,
)
from requests.models import PreparedRequest, Request

from tornado_unblock.shim.requests._response import Chunks, Response
from tornado_unblock.shim.requests._session import (
    Session,
    close,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    request,
)

__version__ = _requests.__version__

__all__ = [
    "Chunks",
    "ConnectTimeout",
    "ConnectionError",
    "HTTPError",
    "JSONDecodeError",
    "PreparedRequest",
    "ReadTimeout",
    "Request",
    "RequestException",
    "Response",
    "Session",
    "Timeout",
    "TooManyRedirects",
    "URLRequired",
    "adapters",
    "auth",
    "certs",
    "close",
    "codes",
    "cookies",
    "delete",
    "exceptions",
    "get",
    "head",
    "hooks",
    "models",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "session",
    "structures",
    "utils",
]


def session() -> Session:
    """Return a `Session`."""
    return Session()


def __getattr__(name: str) -> Any:
    return getattr(_requests, name)
