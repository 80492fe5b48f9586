"""Real databases for the tests of shim.db: which, and how to get in their way."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import os
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import pytest

from tests.patience import WAIT
from tornado_unblock.shim.db import Database

_numbers = itertools.count(1)


class Case(NamedTuple):
    """One database with one pair of drivers."""

    kind: str
    sync_driver: str
    async_driver: str

    def __str__(self) -> str:
        return f"{self.sync_driver}-{self.async_driver}"


CASES = [
    Case("sqlite", "pysqlite", "worker"),
    Case("mysql", "pymysql", "asyncmy"),
    Case("mysql", "pymysql", "aiomysql"),
    Case("mysql", "mysqldb", "worker"),
    Case("postgresql", "psycopg2", "worker"),
    Case("postgresql", "psycopg", "psycopg"),
    Case("postgresql", "psycopg2", "asyncpg"),
]
SERVERS = [case for case in CASES if case.kind != "sqlite"]

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_server = pytest.mark.parametrize("case", SERVERS, ids=str)

_MODULES = {"mysqldb": "MySQLdb", "pysqlite": "sqlite3", "worker": "sqlite3"}


class Maker:
    """Makes databases for one test."""

    def __init__(self, request: pytest.FixtureRequest, tmp_path: Any) -> None:
        self._request, self._tmp_path = request, tmp_path
        self.made: list[Database] = []

    def url(self, case: Case, port: Optional[int] = None) -> str:
        for driver in case[1:]:
            if importlib.util.find_spec(_MODULES.get(driver, driver)) is None:
                pytest.skip(f"{driver} is not installed")
        if case.kind == "sqlite":
            return f"sqlite:///{self._tmp_path}/database"
        url: str = self._request.getfixturevalue(f"{case.kind}_url")
        _, _, rest = url.partition("://")
        if port is not None:
            host, _, name = rest.partition("/")
            rest = f"{host.rpartition(':')[0]}:{port}/{name}"
        return f"{case.kind}+{case.sync_driver}://{rest}"

    def __call__(
        self, case: Case, *, port: Optional[int] = None, **options: Any
    ) -> Database:
        options.setdefault("async_driver", case.async_driver)
        database = Database(self.url(case, port), **options)
        self.made.append(database)
        return database

    def table(self, database: Database, case: Case) -> str:
        """Make a table with the columns id and name, and return what it is called."""
        name = f"unblock_{os.getpid()}_{next(_numbers)}"
        key = {
            "sqlite": "INTEGER PRIMARY KEY",
            "mysql": "INTEGER AUTO_INCREMENT PRIMARY KEY",
            "postgresql": "SERIAL PRIMARY KEY",
        }[case.kind]
        database.execute(f"CREATE TABLE {name} (id {key}, name VARCHAR(50))")
        self._request.addfinalizer(lambda: database.close())
        self._request.addfinalizer(lambda: database.execute(f"DROP TABLE {name}"))
        return name


def making(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Maker]:
    """Give a maker of databases, and close them all; the body of a fixture."""
    maker = Maker(request, tmp_path)
    yield maker
    for database in maker.made:
        database.close()


def own(key: int) -> str:
    """Return a key of this process: others may use the same server meanwhile."""
    return f"{os.getpid()}{key}"


@contextlib.contextmanager
def held_lock(other: Database, case: Case, key: int) -> Iterator[str]:
    """Hold a lock of the server, and give the statement that waits for it."""
    statements = {
        "mysql": ("SELECT GET_LOCK('%s', 60)", "SELECT RELEASE_LOCK('%s')"),
        "postgresql": ("SELECT pg_advisory_lock(%s)", "SELECT pg_advisory_unlock(%s)"),
    }
    take, give = statements[case.kind]
    with other.engine.connect() as connection:
        connection.exec_driver_sql(take.replace("%s", own(key)))
        try:
            yield take.replace("%s", own(key))
        finally:
            connection.exec_driver_sql(give.replace("%s", own(key)))


_WAITING = {
    "mysql": "SELECT id FROM information_schema.processlist"
    " WHERE state = 'User lock' AND info LIKE %s",
    "postgresql": "SELECT pid FROM pg_stat_activity"
    " WHERE wait_event = 'advisory' AND query LIKE %s",
}


def waits_for(other: Database, case: Case, key: int) -> bool:
    """Whether a connection waits for that lock."""
    return bool(other.execute(_WAITING[case.kind], (f"%{own(key)}%",)))


async def until_waiting(other: Database, case: Case, key: int) -> None:
    """Wait until a connection waits for that lock."""
    while not await asyncio.to_thread(waits_for, other, case, key):  # noqa: ASYNC110
        await asyncio.sleep(0)


def block_until_waiting(other: Database, case: Case, key: int) -> None:
    """Wait in this thread until a connection waits for that lock."""
    while not waits_for(other, case, key):
        pass


def own_id(case: Case) -> str:
    """Return the statement that asks a connection for its number."""
    return {
        "mysql": "SELECT CONNECTION_ID()",
        "postgresql": "SELECT pg_backend_pid()",
    }[case.kind]


def kill(other: Database, case: Case, number: int) -> None:
    """Have the server end a connection; return when it has."""
    end, look = {
        "mysql": (
            f"KILL {number}",
            f"SELECT 1 FROM information_schema.processlist WHERE id = {number}",
        ),
        "postgresql": (
            f"SELECT pg_terminate_backend({number})",
            f"SELECT 1 FROM pg_stat_activity WHERE pid = {number}",
        ),
    }[case.kind]
    with other.engine.connect() as connection:
        connection.exec_driver_sql(end)
        connection.commit()
        while connection.exec_driver_sql(look).all():
            connection.commit()


class Proxy:
    """What stands between a database and its clients: it can be cut, and mended."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: Any = None
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self.mend()

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT)

    def mend(self) -> None:
        """Listen; at the same port as before."""
        self._call(self._listen())

    def cut(self) -> None:
        """End all connections, and take no others."""
        self._call(self._cut())

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer, there[1]}
        self._writers |= ends
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        self._writers -= ends


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.transport.abort()
