"""What a request sends, as aiohttp takes it.

# Threads: loop threads; a body that has to be read is read in a worker.
# Guarantees:
# - what goes over the wire is what requests prepared, byte for byte;
# - an error of the caller's own iterator comes back to the caller as it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any, Optional, Union

import requests
import urllib3
from multidict import CIMultiDict

from tornado_unblock.shim._crossing.dual import dual

_urllib3: Any = urllib3

# Read or written at a time, in bytes.
_PIECE = 65536

Data = Union[bytes, AsyncGenerator[bytes, None], None]


class Upload:
    """The body of one request.

    Args:
        request: The prepared request.
    """

    def __init__(self, request: requests.PreparedRequest) -> None:
        self._body: Any = request.body
        if isinstance(self._body, str):
            self._body = self._body.encode("utf-8")
        # What reading the caller's file or iterator raised.
        self.error: Optional[Exception] = None

    def data(self) -> Data:
        """Return what to give to aiohttp; loop thread."""
        if self._body is None:
            return None
        if isinstance(self._body, (bytes, bytearray)):
            small = len(self._body) <= _PIECE
            return bytes(self._body) if small else self._sliced()
        return self._read()

    async def _sliced(self) -> AsyncGenerator[bytes, None]:
        # Writing megabytes at once would fill the transport's buffer.
        for start in range(0, len(self._body), _PIECE):
            yield bytes(self._body[start : start + _PIECE])

    async def _read(self) -> AsyncGenerator[bytes, None]:
        pieces = _pieces.aio(self._body)
        try:
            async for piece in pieces:
                yield piece
        except Exception as error:
            self.error = error
            raise
        finally:
            await pieces.aclose()


@dual
def _pieces(body: Any) -> Iterator[bytes]:
    for piece in _blocks(body) if hasattr(body, "read") else body:
        # An empty one would end a chunked body.
        if piece:
            yield piece.encode("utf-8") if isinstance(piece, str) else piece


def _blocks(file: Any) -> Iterator[Any]:
    while True:
        block = file.read(_PIECE)
        if not block:
            return
        yield block


def wire_headers(request: requests.PreparedRequest) -> CIMultiDict[str]:
    """Return the headers as urllib3 would send them; any thread.

    Raises:
        NotImplementedError: aiohttp sends UTF-8 only, and one is something else.
    """
    given = request.headers
    headers: CIMultiDict[str] = CIMultiDict()
    if "Accept-Encoding" not in given:
        headers["Accept-Encoding"] = "identity"
    if "User-Agent" not in given:
        headers["User-Agent"] = f"python-urllib3/{_urllib3.__version__}"
    for name, value in given.items():
        # aiohttp says so itself, of a body whose length is not known.
        if name.lower() != "transfer-encoding" or request.body is None:
            headers.add(_text(name, name), _text(name, value))
    return headers


def _text(name: Any, value: Any) -> str:
    encoded = value.encode("latin-1") if isinstance(value, str) else value
    try:
        return str(encoded, "utf-8")
    except UnicodeDecodeError:
        raise NotImplementedError(
            f"the header {name!r} is neither ASCII nor UTF-8, which an awaited call "
            "cannot send; call without .aio, in a worker"
        ) from None
