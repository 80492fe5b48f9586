"""`Database`: statements and transactions, in both colours."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from sqlalchemy import Connection, CursorResult, Engine
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import Executable

from tornado_unblock.shim._crossing.dual import Dual, pair
from tornado_unblock.shim._crossing.wait import call
from tornado_unblock.shim.db import _drivers
from tornado_unblock.shim.db._pools import LoopPool, ThreadPool
from tornado_unblock.shim.db._rows import Affected, affected, outcome
from tornado_unblock.shim.db._statements import (
    Parameters,
    checked,
    translate,
    translate_many,
)
from tornado_unblock.shim.db._streams import Place, Stream
from tornado_unblock.shim.db._transactions import Open, Transaction, current

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_R = TypeVar("_R")

Statement = Union[str, Executable]


def _with_aio(
    async_fn: Callable[_P, Awaitable[_R]],
) -> Callable[[Callable[_P, _R]], Dual[_P, _R]]:
    """Decorate the sync half of a pair, which has its docstring."""
    return lambda sync_fn: pair(sync_fn, async_fn)


class Database:
    """A database and its pooled connections, for sync and async code.

    Making one connects to nothing; any thread may, also before a fork. One for the
    process is enough: each process has a pool for its threads, and one for each
    loop that uses ``.aio`` with an async driver.

    Args:
        url: As SQLAlchemy takes it: ``mysql://user:password@host/name``,
            ``postgresql://...``, ``sqlite:///file``. Without a driver
            (``mysql+pymysql://``) the first of the installed ones is taken:
            mysqlclient, pymysql; psycopg2, psycopg.
        async_driver: What serves ``.aio``: ``"asyncmy"``, ``"aiomysql"``,
            ``"psycopg"``, ``"asyncpg"``, or ``"worker"`` for the sync driver in a
            worker. Default: the first of these that is installed and takes the
            same options, else a worker; a worker for SQLite.
        pool_size: Connections at most, in each pool.
        pool_timeout: Seconds to wait for one of them.
        pool_recycle: Seconds after which an idle one is replaced.
        async_connect_args: What the async driver's ``connect`` gets; ``connect_args``
            is the sync driver's.
        **options: For `sqlalchemy.create_engine`. ``connect_args`` and
            ``poolclass`` are the sync engine's alone.

    Raises:
        ImportError: No driver is installed, or not the one asked for.
        ConfigurationError: ``async_driver`` is none for this database.
    """

    def __init__(
        self,
        url: Union[str, URL],
        *,
        async_driver: Optional[str] = None,
        pool_size: int = 10,
        pool_timeout: float = 10.0,
        pool_recycle: float = 1800.0,
        async_connect_args: Optional[dict[str, Any]] = None,
        **options: Any,
    ) -> None:
        chosen = _drivers.async_url(
            url, async_driver, {} if async_connect_args is not None else options
        )
        settings = {
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": pool_timeout,
            "pool_recycle": pool_recycle,
            "pool_pre_ping": True,
        }
        settings.update(options)
        self._threads = ThreadPool(_drivers.sync_url(url), settings)
        self._loops: Optional[LoopPool] = None
        if chosen is not None:
            self._loops = LoopPool(
                chosen, _drivers.async_options(settings, async_connect_args)
            )

    def __repr__(self) -> str:
        return f"<Database {self._threads.url!r}>"

    # --- statements ------------------------------------------------------

    async def _execute_aio(
        self, q: Statement, params: Parameters = None, n: Optional[int] = None
    ) -> Any:
        return await self._place(True).arun(_execute, q, checked(params), _count(n))

    @_with_aio(_execute_aio)
    def execute(
        self, q: Statement, params: Parameters = None, n: Optional[int] = None
    ) -> Any:
        """Execute one statement; any thread that may block, or ``.aio`` on a loop.

        Outside of a transaction it is committed at once.

        Args:
            q: The statement, with ``%s`` or ``%(name)s`` and ``%%`` as the drivers
                of MySQL and PostgreSQL take them, whatever the database; without
                ``params``, a ``%`` is just that. Or a SQLAlchemy construct.
            params: A tuple or a list for ``%s``, a dict for ``%(name)s``.
            n: How many rows: None for all, 1 for the first, k for at most k.

        Returns:
            A list of rows; with ``n=1`` a row, or None if there is none. For a
            statement that has no rows, how many it changed: an int with a
            ``lastrowid`` attribute.

        Raises:
            tornado_unblock.shim.db.PoolTimeoutError: No connection came free in time.
            TypeError: ``params`` is no tuple, list or dict.
            ValueError: ``params`` do not fit, or ``n`` is negative.
            sqlalchemy.exc.DBAPIError: What the driver raises; its own error is
                the ``orig`` attribute.
        """
        return self._here().run(_execute, q, checked(params), _count(n))

    async def _executemany_aio(
        self, q: Statement, params: Iterable[Parameters]
    ) -> Affected:
        rows = [checked(row) for row in params]
        return await self._place(True).arun(_execute_many, q, rows)

    @_with_aio(_executemany_aio)
    def executemany(self, q: Statement, params: Iterable[Parameters]) -> Affected:
        """Execute one statement for each of ``params``, in one transaction.

        Any thread that may block, or ``.aio`` on a loop. Errors as in `execute`.

        Returns:
            How many rows were changed; -1 where the driver does not say (asyncpg).
        """
        rows = [checked(row) for row in params]
        return self._here().run(_execute_many, q, rows)

    def stream(
        self, q: Statement, params: Parameters = None, *, chunk: int = 1000
    ) -> Stream:
        """Return the rows of a large result, read ``chunk`` at a time; any thread.

            for row in database.stream("SELECT ..."): ...         # blocks
            async for row in database.stream("SELECT ..."): ...   # does not

        The connection is held until the end of the loop. Within a transaction it is
        the transaction's, and on MySQL it can do nothing else meanwhile.

        Args:
            q: As for `execute`.
            params: As for `execute`.
            chunk: Rows to fetch in one go.

        Raises:
            ValueError: ``chunk`` is not positive.
        """
        if chunk < 1:
            raise ValueError(f"chunk is a positive number of rows, not {chunk!r}")
        begin = functools.partial(
            _run, q=q, params=checked(params), options={"yield_per": chunk}
        )
        return Stream(self._place, begin, chunk)

    def transaction(self) -> Transaction:
        """Return a block whose statements take effect together; any thread.

            with database.transaction(): ...          # blocks
            async with database.transaction(): ...    # does not

        What is executed inside, also by functions of the other colour, is part of
        it. An error, a cancelled task or a request that was answered without its
        body (a timeout) undoes it. A block inside a block is a savepoint.

        ``as`` gives the SQLAlchemy connection: an `AsyncConnection` where an async
        driver serves the outermost block, else a `Connection`.

        Raises:
            tornado_unblock.shim.db.PoolTimeoutError: On entering, none came free.
            AbandonedError: On leaving, nobody waits for this worker any more.
        """
        return Transaction(self._place)

    # --- SQLAlchemy's own ------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine behind the sync colour; any thread.

        For sessions: ``sqlalchemy.orm.Session(database.engine)``.
        """
        return self._threads.engine()

    def async_engine(self) -> AsyncEngine:
        """Return the running loop's engine; loop thread.

        Raises:
            LoopThreadError: No loop runs in this thread.
            NotImplementedError: No async driver serves this database.
        """
        if self._loops is None:
            raise NotImplementedError(
                f"{self!r} has no async driver: its .aio runs the sync one in a "
                "worker; use .engine, or pass async_driver="
            )
        return self._loops.engine()

    async def _close_aio(self) -> None:
        if self._loops is not None:
            await self._loops.close()
        await call(self._threads.close)

    @_with_aio(_close_aio)
    def close(self) -> None:
        """Close the connections that idle in this process's pool for threads.

        Any thread that may block. ``.aio`` closes the running loop's, too. The
        database can be used again. At the end of a program it is not needed.
        """
        self._threads.close()

    def _here(self) -> Union[ThreadPool, Open]:
        return current((self._threads, self._loops)) or self._threads

    def _place(self, asynchronous: bool) -> Place:
        if asynchronous and self._loops is not None:
            return current((self._threads, self._loops)) or self._loops
        return self._here()


def _count(n: Optional[int]) -> Optional[int]:
    if n is not None and n < 0:
        raise ValueError(f"n is None or a number of rows, not {n!r}")
    return n


def _execute(
    connection: Connection, q: Statement, params: Parameters, n: Optional[int]
) -> Any:
    return outcome(_run(connection, q, params, {}), n)


def _run(
    connection: Connection, q: Statement, params: Parameters, options: dict[str, Any]
) -> CursorResult[Any]:
    if not isinstance(q, str):
        given: Any = params
        return connection.execute(q, given, execution_options=options)
    text, values = translate(q, params, connection.dialect.paramstyle)
    if values is None:
        options = {**options, "no_parameters": True}
    sent: Any = values
    return connection.exec_driver_sql(text, sent, execution_options=options)


def _execute_many(
    connection: Connection, q: Statement, rows: list[Parameters]
) -> Affected:
    if not rows:
        return Affected(0)
    if not isinstance(q, str):
        many: Any = rows
        return affected(connection.execute(q, many))
    text, values = translate_many(q, rows, connection.dialect.paramstyle)
    return affected(connection.exec_driver_sql(text, values))
