"""Transactions: who is in one, and how one begins and ends.

# Threads: any. A transaction's connection is used by one thread, or task, at a time:
# `_lock` sees to that.
# Guarantees:
# - a block that ends with an error, or that nobody waits for any more, is rolled
#   back; any other is committed;
# - what is in a block has its connection, in threads and tasks that it starts, too,
#   until the block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, Union, cast

import sqlalchemy.exc
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from tornado_unblock._errors import AbandonedError, LoopThreadError
from tornado_unblock._loop.lease import innermost_lease
from tornado_unblock.shim._crossing.contexts import DualContext
from tornado_unblock.shim._crossing.wait import call, wait
from tornado_unblock.shim.db._pools import LoopPool, ThreadPool

_T = TypeVar("_T")
Pool = Union[ThreadPool, LoopPool]


class _Open:
    """A transaction under way."""

    def __init__(self, pool: Pool, connection: Any) -> None:
        self.pool = pool
        self.connection = connection
        self.outer: Optional[Open] = None
        # How many blocks are open, one in the other.
        self._depth = 0
        self._process = os.getpid()

    def serves(self, pools: tuple[Optional[Pool], ...]) -> bool:
        """Whether it is one of these pools', and can be used still."""
        # A forked child has no part in its parent's transactions.
        is_ours = self.pool in pools and self._process == os.getpid()
        return is_ours and self._depth > 0

    def enter(self) -> Optional[Open]:
        """Be the current transaction; return what was."""
        outside = _current.get()
        if self._depth == 0:
            self.outer = outside
            _current.set(cast(Open, self))
        self._depth += 1
        return outside

    def leave(self, outside: Optional[Open]) -> None:
        """Undo `enter`."""
        self._depth -= 1
        # Not by a token: with `async with`, each step has a copy of the context.
        _current.set(outside)


class SyncOpen(_Open):
    """On a connection of a sync driver."""

    is_async = False
    connection: Connection

    def __init__(self, pool: Pool, connection: Connection) -> None:
        super().__init__(pool, connection)
        self._lock = threading.RLock()

    def run(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Call ``fn(connection, *args)``; any thread that may block."""
        with self._lock:
            return fn(self.connection, *args)

    async def arun(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Have a worker do so; the one that is held for the block, if one is."""
        return await call(functools.partial(self.run, fn, *args))


class AsyncOpen(_Open):
    """On a connection of an async driver, which is its loop's."""

    is_async = True
    connection: AsyncConnection

    def __init__(self, pool: Pool, connection: AsyncConnection) -> None:
        super().__init__(pool, connection)
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    def run(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Call ``fn(connection, *args)`` on the loop, and wait for it."""
        return wait(self.arun(fn, *args))

    async def arun(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Call ``fn(connection, *args)``; loop thread.

        Raises:
            LoopThreadError: The connection belongs to another loop.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise LoopThreadError(
                "this transaction was begun on another event loop: use it there, or "
                "begin another one here"
            )
        async with self._lock:
            return await self.connection.run_sync(fn, *args)


Open = Union[SyncOpen, AsyncOpen]

_current: contextvars.ContextVar[Optional[Open]] = contextvars.ContextVar(
    "tornado_unblock transaction", default=None
)


def current(pools: tuple[Optional[Pool], ...]) -> Optional[Open]:
    """Return the transaction that runs in this context on one of these pools."""
    found = _current.get()
    while found is not None and not found.serves(pools):
        found = found.outer
    return found


class Transaction(DualContext[Any]):
    """One block of statements that take effect together, or not at all.

    See `Database.transaction`.
    """

    def __init__(self, place: Callable[[bool], Union[Pool, Open]]) -> None:
        self._place = place
        self._revoked: Optional[str] = None
        super().__init__(functools.partial(self._make_in, False))
        self._name = "Database.transaction"

    def __enter__(self) -> Any:
        lease = innermost_lease()
        self._revoked = lease.revoked if lease is not None else None
        self._make = functools.partial(self._make_in, False)
        return super().__enter__()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> Optional[bool]:
        lease = innermost_lease()
        if error is None and lease is not None and lease.revoked != self._revoked:
            lease.abandonment_raised = True
            abandoned = AbandonedError(f"{lease.revoked}; the transaction is undone")
            super().__exit__(AbandonedError, abandoned, None)
            raise abandoned
        return super().__exit__(kind, error, trace)

    async def __aenter__(self) -> Any:
        self._make = functools.partial(self._make_in, True)
        return await super().__aenter__()

    def _make_in(self, asynchronous: bool) -> Any:
        place = self._place(asynchronous)
        return (self._awaiting if place.is_async else self._blocking)(place)

    def _blocking(self, place: Any) -> Iterator[Any]:
        if isinstance(place, SyncOpen):
            with _block(place, Connection.begin_nested):
                yield place.connection
            return
        with place.connect() as connection:
            with _block(SyncOpen(place, connection), Connection.begin):
                yield connection

    async def _awaiting(self, place: Any) -> AsyncIterator[Any]:
        if isinstance(place, AsyncOpen):
            async with _async_block(place, Connection.begin_nested):
                yield place.connection
            return
        async with place.connect() as connection:
            async with _async_block(AsyncOpen(place, connection), Connection.begin):
                yield connection


@contextlib.contextmanager
def _block(opened: SyncOpen, begin: Callable[[Connection], Any]) -> Iterator[None]:
    handle = opened.run(begin)
    outside = opened.enter()
    try:
        yield
    except BaseException as error:
        opened.leave(outside)
        opened.run(_end, handle, error)
        raise
    opened.leave(outside)
    opened.run(_end, handle, None)


@contextlib.asynccontextmanager
async def _async_block(
    opened: AsyncOpen, begin: Callable[[Connection], Any]
) -> AsyncIterator[None]:
    handle = await opened.arun(begin)
    outside = opened.enter()
    try:
        yield
    except BaseException as error:
        opened.leave(outside)
        await opened.arun(_end, handle, error)
        raise
    opened.leave(outside)
    await opened.arun(_end, handle, None)


def _end(connection: Connection, handle: Any, error: Optional[BaseException]) -> None:
    if error is None:
        handle.commit()
        return
    open_ones = connection.get_transaction(), connection.get_nested_transaction()
    if not any(handle is one for one in open_ones):
        return  # the transaction around it has ended already
    try:
        handle.rollback()
    except sqlalchemy.exc.DBAPIError:
        # The server has gone, or undone it all itself. What matters is `error`.
        connection.invalidate()
