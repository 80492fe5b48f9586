"""The two pools of a database: one for threads, one for each loop.

# Threads: `ThreadPool` any, `LoopPool` the loop thread. `ThreadPool._engine` is
# guarded by `_lock`.
# Guarantees:
# - a connection that goes back to its pool has no transaction and no query open;
# - who finds no connection in time is told so;
# - a forked child has empty pools, and the parent's connections live on.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, Optional, TypeVar

import sqlalchemy.exc
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tornado_unblock._errors import UnblockError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.per_loop import ClosedPerLoop
from tornado_unblock._loop.weak import members
from tornado_unblock.shim._crossing.wait import call
from tornado_unblock.shim.db._dropping import Tracked, immortal

_T = TypeVar("_T")

_all: weakref.WeakSet[ThreadPool] = weakref.WeakSet()


class PoolTimeoutError(UnblockError, sqlalchemy.exc.TimeoutError):
    """No connection came free within ``pool_timeout``."""


class ThreadPool:
    """Connections of a sync driver, for all threads of the process."""

    is_async = False

    def __init__(self, url: URL, options: dict[str, Any]) -> None:
        if is_in_memory(url):
            # The database goes with its connection: there is one, for all threads.
            options = {**options, "pool_size": 1, "pool_recycle": -1}
            options["poolclass"] = QueuePool
            sharing = {"check_same_thread": False}
            options["connect_args"] = {**sharing, **options.get("connect_args", {})}
        self.url, self._options = url, options
        self._lock = threading.Lock()
        self._engine: Optional[Engine] = None
        self._finalizer: Any = None
        _all.add(self)

    def engine(self) -> Engine:
        """Return the engine, made on first use; any thread."""
        with self._lock:
            if self._engine is None:
                self._engine = engine = create_engine(self.url, **self._options)
                if engine.dialect.name == "sqlite":
                    begin_explicitly(engine)
                self._finalizer = weakref.finalize(self, engine.dispose)
            return self._engine

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """Lend a connection to the calling thread.

        Raises:
            tornado_unblock.shim.db.PoolTimeoutError: There is none.
        """
        engine = self.engine()
        try:
            connection = engine.connect()
        except sqlalchemy.exc.TimeoutError as error:
            raise _exhausted(engine) from error
        with connection:
            yield connection

    def run(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Call ``fn(connection, *args)`` in a transaction of its own."""
        with self.connect() as connection:
            return _committed(connection, fn, *args)

    async def arun(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Have a worker do the same."""
        return await call(functools.partial(self.run, fn, *args))

    def close(self) -> None:
        """Close what idles in the pool; it is usable still."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            self._finalizer.detach()
            engine.dispose()

    def forget_parent(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.Lock()
        if self._engine is not None:
            immortal(self._engine.pool)
            self._engine.dispose(close=False)


class LoopPool:
    """Connections of an async driver, for the coroutines of one loop each."""

    is_async = True

    def __init__(self, url: URL, options: dict[str, Any]) -> None:
        self._url, self._options = url, options
        self._engines: ClosedPerLoop[Tracked] = ClosedPerLoop(
            self._make, Tracked.close, Tracked.drop
        )

    def engine(self) -> AsyncEngine:
        """Return the running loop's engine, made on first use; loop thread."""
        return self._engines.get().engine

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection to the running task.

        Raises:
            tornado_unblock.shim.db.PoolTimeoutError: There is none.
        """
        engine = self.engine()
        try:
            connection = await engine.connect()
        except sqlalchemy.exc.TimeoutError as error:
            raise _exhausted(engine.sync_engine) from error
        try:
            yield connection
        finally:
            # Shielded inside: a cancelled task leaves no connection half closed.
            await connection.__aexit__(None, None, None)

    async def arun(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Call ``fn(connection, *args)`` in a transaction of its own."""
        async with self.connect() as connection:
            return await connection.run_sync(_committed, fn, *args)

    async def close(self) -> None:
        """Close what idles in the running loop's pool."""
        await self._engines.close()

    def _make(self) -> Tracked:
        return Tracked(create_async_engine(self._url, **self._options))


def begin_explicitly(engine: Engine) -> None:
    """Have transactions begin where they begin.

    The sqlite3 module begins them late, after a SAVEPOINT for one, which then ends
    with a commit of its own.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def is_in_memory(url: URL) -> bool:
    """Whether the database lives in its connection."""
    is_sqlite = url.get_backend_name() == "sqlite"
    return is_sqlite and url.database in (None, "", ":memory:")


def _committed(connection: Connection, fn: Callable[..., _T], *args: Any) -> _T:
    result = fn(connection, *args)
    connection.commit()
    return result


def _exhausted(engine: Engine) -> PoolTimeoutError:
    pool: Any = engine.pool
    return PoolTimeoutError(
        f"no connection to {engine.url!r} came free within {pool.timeout():g} s: all "
        f"pool_size={pool.size()} are in use. End transactions and streams "
        "sooner, let fewer workers use this database, or make it "
        "Database(..., pool_size=...) with more"
    )


def _forget_parent() -> None:
    for pool in members(_all):
        pool.forget_parent()


at_fork(Step.POOLS, _forget_parent)
