"""`Response`: that of requests, whose body can be read in both colours.

# Threads: as in requests, one thread or task at a time.
# Guarantees: reading blocks only where that is allowed; the loop is never stalled.
"""

from __future__ import annotations

import codecs
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

import requests

from tornado_unblock.shim._crossing.dual import Dual, DualGenerator, pair
from tornado_unblock.shim._crossing.iterators import DualIterator
from tornado_unblock.shim._crossing.wait import check_may_block, wait
from tornado_unblock.shim.requests._raw import Raw

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, Self

    _P = ParamSpec("_P")
else:
    # typing has ParamSpec from Python 3.10 on; nothing looks at it when run.
    _P = TypeVar("_P")


_R = TypeVar("_R")


def joined(
    asynchronous: Callable[_P, Awaitable[_R]],
) -> Callable[[Callable[_P, _R]], Dual[_P, _R]]:
    """Give a sync function its async twin: `pair`, as a decorator."""
    return lambda sync: pair(sync, asynchronous)


class Chunks:
    """Pieces of a body: an iterator of both colours.

    Args:
        make: Makes the generator that gives them, of either colour.
        blocks: Whether its steps may block, if it is a sync one.
    """

    def __init__(self, make: Callable[[], Any], blocks: bool) -> None:
        self._make, self._blocks = make, blocks
        self._sync: Optional[Iterator[Any]] = None
        self._async: Optional[AsyncGenerator[Any, None]] = None

    def __iter__(self) -> Iterator[Any]:
        if self._sync is None:
            self._sync = iter(
                DualIterator(self._make) if self._blocks else self._make()
            )
        return self._sync

    def __next__(self) -> Any:
        return next(iter(self))

    def __aiter__(self) -> AsyncGenerator[Any, None]:
        if self._async is None:
            made = DualIterator(self._make).__aiter__ if self._blocks else self._plain
            self._async = made()
        return self._async

    async def __anext__(self) -> Any:
        return await self.__aiter__().__anext__()

    async def _plain(self) -> AsyncGenerator[Any, None]:
        for chunk in self._make():
            yield chunk


class _Chunked(DualGenerator[Any, Any]):
    """A method that returns `Chunks`, with ``.aio`` for symmetry."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


def _chunked(fn: Callable[..., Chunks]) -> Any:
    return _Chunked(fn, None, None)


class Response(requests.Response):
    """A `requests.Response`, for both colours.

    All but the body is there at once, and so is the body without ``stream=True``.
    With it, ``for`` and ``async for`` both iterate over `iter_content`,
    `iter_lines` and the response itself, and `load` reads the whole.
    """

    if TYPE_CHECKING:
        _content: Any
        _content_consumed: bool
        _next: Any
        raw: Any
        iter_content: Any
        iter_lines: Any
        load: Any
    else:

        @_chunked
        def iter_content(
            self, chunk_size: Optional[int] = 1, decode_unicode: bool = False
        ) -> Chunks:
            """Return the body in pieces; any thread.

            ``for`` blocks, and is refused where a loop runs unless the body is here
            already; ``async for`` does not.

            Args:
                chunk_size: Bytes per piece; None: as it comes.
                decode_unicode: Whether to decode it, if the encoding is known.
            """
            if not _is_awaited(self) or self._content_consumed:
                made = super().iter_content(chunk_size, decode_unicode)
                return Chunks(lambda: _each(made), not self._content_consumed)
            if chunk_size is not None and not isinstance(chunk_size, int):
                raise TypeError(f"chunk_size must be an int, not {chunk_size!r}")
            return Chunks(
                functools.partial(_awaited, self, chunk_size, decode_unicode), True
            )

        @_chunked
        def iter_lines(
            self,
            chunk_size: int = 512,
            decode_unicode: bool = False,
            delimiter: Any = None,
        ) -> Chunks:
            """Return the body line by line; as `iter_content`."""
            if not _is_awaited(self) or self._content_consumed:
                made = super().iter_lines(chunk_size, decode_unicode, delimiter)
                return Chunks(lambda: _each(made), not self._content_consumed)
            chunks = functools.partial(_awaited, self, chunk_size, decode_unicode)
            return Chunks(functools.partial(_lines, chunks, delimiter), True)

        async def _load(self) -> bytes:
            if self._is_unread():
                await _read(self)
            return self.content

        @joined(_load)
        def load(self) -> bytes:
            """Read the whole body, and return it; see `content`."""
            return self.content

    @property
    def content(self) -> bytes:
        """The body, in bytes.

        Raises:
            LoopThreadError: It has not been read, and an event loop runs here.
        """
        if self._is_unread():
            check_may_block(
                "reading a response that was asked for with stream=True",
                "write `await response.load.aio()` first",
            )
            if _is_awaited(self):
                wait(_read(self))
        return super().content

    def _is_unread(self) -> bool:
        unread = self._content is False and not self._content_consumed
        return unread and self.raw is not None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.iter_content(128).__aiter__()  # type: ignore[no-any-return]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()


def ours(response: requests.Response) -> Response:
    """Make a response of requests one for both colours, and those before it."""
    for each in (*response.history, response):
        if type(each) is requests.Response:
            each.__class__ = Response
    assert isinstance(response, Response)
    return response


def _is_awaited(response: requests.Response) -> bool:
    return isinstance(response.raw, Raw)


def _each(chunks: Any) -> Iterator[Any]:
    yield from chunks


async def _read(response: Response) -> None:
    chunks = response.iter_content(None if _is_awaited(response) else 65536)
    # If it fails: there is nothing more to be had.
    content = b""
    try:
        content = b"".join([chunk async for chunk in chunks])
    finally:
        response._content, response._content_consumed = content, True


async def _awaited(
    response: Response, size: Optional[int], decode_unicode: bool
) -> AsyncGenerator[Any, None]:
    raw: Raw = response.raw
    encoding = response.encoding if decode_unicode else None
    if encoding is None:
        async for chunk in raw.chunks(size):
            yield chunk
    else:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        async for chunk in raw.chunks(size):
            text = decoder.decode(chunk)
            if text:
                yield text
        text = decoder.decode(b"", final=True)
        if text:
            yield text
    response._content_consumed = True


async def _lines(
    chunks: Callable[[], AsyncGenerator[Any, None]], delimiter: Any
) -> AsyncGenerator[Any, None]:
    """Split as requests does, its quirks at the borders of chunks included."""
    pending: Any = None
    async for chunk in chunks():
        text = chunk if pending is None else pending + chunk
        pending = None
        lines = text.split(delimiter) if delimiter else text.splitlines()
        if lines and lines[-1] and lines[-1][-1] == text[-1]:
            pending = lines.pop()
        for line in lines:
            yield line
    if pending is not None:
        yield pending
