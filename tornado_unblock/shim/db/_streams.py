"""Large results, a chunk at a time, in both colours.

# Threads: any.
# Guarantees: one hop for each chunk; no more than two chunks in memory; whoever
# leaves early frees the connection.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Callable, Union

from sqlalchemy import Connection, CursorResult

from tornado_unblock.shim._crossing.iterators import DualIterator
from tornado_unblock.shim._crossing.wait import check_may_block
from tornado_unblock.shim.db._pools import LoopPool, ThreadPool
from tornado_unblock.shim.db._rows import Row, rows_of
from tornado_unblock.shim.db._transactions import AsyncOpen, Open, SyncOpen

Place = Union[ThreadPool, LoopPool, Open]
Begin = Callable[[Connection], CursorResult[Any]]


class Stream(DualIterator[Row]):
    """The rows of a large result, for ``for`` and ``async for``.

    See `Database.stream`.
    """

    def __init__(
        self, place: Callable[[bool], Place], begin: Begin, chunk: int
    ) -> None:
        super().__init__(functools.partial(self._chunks, False))
        self._place, self._begin, self._size = place, begin, chunk

    def __iter__(self) -> Iterator[Row]:
        check_may_block(
            "iterating over Database.stream(...)", "write `async for` there"
        )
        return _flat(iter(self._chunks(False)))

    def __aiter__(self) -> AsyncGenerator[Row, None]:
        return _async_flat(self._chunks(True).__aiter__())

    def _chunks(self, asynchronous: bool) -> DualIterator[list[Row]]:
        place = self._place(asynchronous)
        body = self._awaiting if place.is_async else self._blocking
        return DualIterator(functools.partial(body, place))

    def _blocking(self, place: Any) -> Iterator[list[Row]]:
        with _lent(place) as opened:
            result = opened.run(self._begin)
            try:
                while rows := opened.run(_fetch, result, self._size):
                    yield rows
            finally:
                opened.run(_close, result)

    async def _awaiting(self, place: Any) -> AsyncIterator[list[Row]]:
        async with _async_lent(place) as opened:
            result = await opened.arun(self._begin)
            try:
                while rows := await opened.arun(_fetch, result, self._size):
                    yield rows
            finally:
                await opened.arun(_close, result)


def _flat(chunks: Iterator[list[Row]]) -> Iterator[Row]:
    for chunk in chunks:
        yield from chunk


async def _async_flat(
    chunks: AsyncGenerator[list[Row], None],
) -> AsyncGenerator[Row, None]:
    try:
        async for chunk in chunks:
            for row in chunk:
                yield row
    finally:
        await chunks.aclose()


@contextlib.contextmanager
def _lent(place: Union[ThreadPool, SyncOpen]) -> Iterator[SyncOpen]:
    if isinstance(place, SyncOpen):
        yield place
        return
    with place.connect() as connection:
        yield SyncOpen(place, connection)
        connection.commit()


@contextlib.asynccontextmanager
async def _async_lent(place: Union[LoopPool, AsyncOpen]) -> AsyncIterator[AsyncOpen]:
    if isinstance(place, AsyncOpen):
        yield place
        return
    async with place.connect() as connection:
        yield AsyncOpen(place, connection)
        await connection.commit()


def _fetch(connection: Connection, result: CursorResult[Any], size: int) -> list[Row]:
    return rows_of(result, result.fetchmany(size))


def _close(connection: Connection, result: CursorResult[Any]) -> None:
    result.close()
