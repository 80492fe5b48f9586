"""The body of an awaited answer: what stands behind `requests.Response.raw`.

# Threads: `chunks` on the answer's own loop; `close` anywhere.
# Guarantees:
# - one that is not read to its end is closed, at the latest when it is forgotten;
# - content is decoded by urllib3, as in requests;
# - multiple headers of one name are kept.
"""

from __future__ import annotations

import http.client
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, Optional

import aiohttp
import requests
from requests import exceptions
from urllib3.exceptions import DecodeError
from urllib3.response import HTTPResponse

from tornado_unblock._errors import LoopClosedError
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim.requests._errors import body_error


class Raw:
    """An answer of aiohttp, as far as requests' own code asks for it.

    Args:
        answer: The answer; its body is not decoded.
        request: The request.
    """

    def __init__(
        self, answer: aiohttp.ClientResponse, request: requests.PreparedRequest
    ) -> None:
        self._answer: Optional[aiohttp.ClientResponse] = answer
        self._request = request
        self._portal = current_portal()
        self._received = 0
        message: Any = http.client.HTTPMessage()
        for name, value in answer.raw_headers:
            message.add_header(name.decode("latin-1"), value.decode("latin-1"))
        # Where requests looks for cookies.
        self._original_response = SimpleNamespace(msg=message)
        # Keeps the headers, and decodes what they say is encoded.
        self._codec: Any = HTTPResponse(
            b"", message.items(), answer.status, preload_content=False
        )
        self.headers = self._codec.headers
        self.status = answer.status
        reason = (answer.reason or "").encode("utf-8", "surrogateescape")
        self.reason = reason.decode("latin-1")

    async def chunks(self, size: Optional[int]) -> AsyncGenerator[bytes, None]:
        """Yield the decoded body in pieces of ``size`` bytes; loop thread.

        Args:
            size: None: as it comes.

        Raises:
            requests.exceptions.ChunkedEncodingError: The body broke off.
            ConnectionError: Nothing came for as long as the read timeout.
            requests.exceptions.ContentDecodingError: It is not encoded as it says.
        """
        rest = b""
        async for piece in self._decoded():
            rest += piece
            step = size or len(rest) or 1
            whole = len(rest) - len(rest) % step
            for start in range(0, whole, step):
                yield rest[start : start + step]
            rest = rest[whole:]
        if rest:
            yield rest

    async def _decoded(self) -> AsyncGenerator[bytes, None]:
        self._codec._init_decoder()
        try:
            async for piece in self._pieces():
                yield self._codec._decode(piece, True, False)
            yield self._codec._decode(b"", True, True)
        except DecodeError as error:
            self.close()
            raise exceptions.ContentDecodingError(
                error, request=self._request
            ) from error

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        answer = self._answer
        if answer is None:
            return
        try:
            while True:
                piece = await answer.content.readany()
                if not piece:
                    break
                self._received += len(piece)
                yield piece
            self._answer = None
        except (aiohttp.ClientError, OSError) as error:
            missing = (answer.content_length or self._received) - self._received
            raise body_error(error, self._request, self._received, missing) from error
        finally:
            # Not read to its end, whoever decided so: not fit for another request.
            self.close()

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Return nothing more, after the end; any thread.

        Raises:
            NotImplementedError: The body has not been read.
        """
        if self._answer is None:
            return b""
        raise NotImplementedError(
            "response.raw cannot be read after an awaited call; use "
            "`async for chunk in response.iter_content(size)`"
        )

    def close(self) -> None:
        """Close the connection unless the body was read to its end; any thread."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if running_loop() is self._portal.loop:
            answer.close()
            return
        try:
            self._portal.call_soon(answer.close)
        except LoopClosedError:
            _disown(answer)

    def release_conn(self) -> None:
        """Do nothing: aiohttp takes the connection back at the end of the body."""

    def __del__(self) -> None:
        if getattr(self, "_answer", None) is not None:
            self.close()


def _disown(answer: Any) -> None:
    """Keep aiohttp from giving a connection back to a loop that is closed."""
    connection, answer._connection = answer._connection, None
    if connection is not None:
        connection._protocol = None
