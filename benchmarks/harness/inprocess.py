"""Requests to a Tornado application without sockets.

What Tornado and the sockets do for a connection grows with the connections and hides
what a hop costs. Here a request begins where the HTTP server hands it to the
application, and ends where the response is finished.
"""

# Threads: the loop thread alone.

from __future__ import annotations

import asyncio
from typing import Any, Callable

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application


class Sink(HTTPConnection):
    """A connection whose client takes everything at once."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.status = 0
        self.finished: asyncio.Future[int] = loop.create_future()
        self._taken: asyncio.Future[None] = loop.create_future()
        self._taken.set_result(None)
        # HTTP1Connection, which this stands for, has this too.
        self.stream = None

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Take them."""
        assert isinstance(start_line, ResponseStartLine)
        self.status = start_line.code
        return self._taken

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Take it."""
        return self._taken

    def finish(self) -> None:
        """End the response."""
        self.finished.set_result(self.status)

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Never call it: this client does not leave."""


def request(application: Application, path: str) -> asyncio.Future[int]:
    """Begin a GET request; the loop must run.

    Returns:
        The Future of its status, set when the response is finished.
    """
    sink = Sink()
    delegate: HTTPMessageDelegate = application.start_request(object(), sink)
    line, headers = RequestStartLine("GET", path, "HTTP/1.1"), HTTPHeaders()
    headers["Host"] = "bench"
    begun: Any = delegate.headers_received(line, headers)
    assert begun is None  # no page here streams its request
    delegate.finish()
    return sink.finished


async def all_well(requests: list[asyncio.Future[int]]) -> None:
    """Wait for them.

    Raises:
        RuntimeError: One was not answered with 200.
    """
    statuses = await asyncio.gather(*requests)
    failed = [status for status in statuses if status != 200]
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(statuses)} requests failed, one with {failed[0]}"
        )
