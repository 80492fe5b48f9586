"""shim.db when things go wrong: cancelled, killed, restarted, exhausted, forked."""

# A block that raises as a whole is what is tested here.
# ruff: noqa: PT012

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy

from tests.patience import WAIT
from tests.unit.shim import conftest as places
from tests.unit.shim._databases import (
    CASES,
    SERVERS,
    Proxy,
    block_until_waiting,
    each_case,
    each_server,
    held_lock,
    kill,
    making,
    own_id,
    until_waiting,
)
from tornado_unblock import run_in_executor, shutdown
from tornado_unblock.shim.db import PoolTimeoutError
from tornado_unblock.shim.db._dropping import sever

try:
    import uvloop
except ImportError:
    uvloop = None

SQLITE = CASES[0]
# In a worker, a query that nobody waits for ends well, if late.
ASYNC = [case for case in SERVERS if case.async_driver != "worker"]


@pytest.fixture
def make(request, tmp_path) -> Iterator[Any]:
    yield from making(request, tmp_path)


@pytest.fixture
def other(make):
    """Return a database like the one under test, to look at it from outside."""
    return lambda case: make(case, async_driver="worker")


@each_server
def test_cancelled_query(make, other, case):
    """A timeout in a query does not give its connection to the next one half used."""
    database, outside = make(case, pool_size=1), other(case)

    async def main():
        with held_lock_for_loop(outside, case, 4711) as (statement, release):
            task = asyncio.ensure_future(database.execute.aio(statement))
            await until_waiting(outside, case, 4711)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            release()
        for number in range(3):
            found = await database.execute.aio("SELECT %s + 0", (number,), 1)
            assert found == (number,)
        await shutdown()

    asyncio.run(main())


@each_server
def test_cancelled_transaction(make, other, case):
    """A timeout in a transaction undoes it."""
    database, outside = make(case, pool_size=1), other(case)
    table = make.table(outside, case)

    async def change(statement):
        async with database.transaction():
            await database.execute.aio(f"INSERT INTO {table} (name) VALUES ('a')")
            await database.execute.aio(statement)

    async def main():
        with held_lock_for_loop(outside, case, 4712) as (statement, release):
            task = asyncio.ensure_future(change(statement))
            await until_waiting(outside, case, 4712)
            task.cancel()
            # A worker's query has to end before its transaction can.
            if case.async_driver == "worker":
                await asyncio.sleep(0)
                release()
            with pytest.raises(asyncio.CancelledError):
                await task
            release()
        assert await database.execute.aio(f"SELECT * FROM {table}") == []
        await shutdown()

    asyncio.run(main())


@pytest.mark.parametrize("case", ASYNC, ids=str)
def test_cancelled_and_carried_on(make, other, case):
    """A transaction that lost a query to a timeout is not committed in silence."""
    database, outside = make(case), other(case)
    table = make.table(outside, case)

    async def main():
        with held_lock_for_loop(outside, case, 4713) as (statement, release):
            with pytest.raises(sqlalchemy.exc.InvalidRequestError):
                async with database.transaction():
                    await database.execute.aio(f"INSERT INTO {table} VALUES (1, 'a')")
                    task = asyncio.ensure_future(database.execute.aio(statement))
                    await until_waiting(outside, case, 4713)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
            release()
        assert await database.execute.aio(f"SELECT * FROM {table}") == []
        await shutdown()

    asyncio.run(main())


class held_lock_for_loop:
    """`held_lock`, by a thread of its own, so that a coroutine can use it."""

    def __init__(self, outside, case, key):
        self._arguments = outside, case, key
        self._has, self._give = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self):
        with held_lock(*self._arguments) as self._statement:
            self._has.set()
            self._give.wait(WAIT)

    def release(self):
        self._give.set()
        self._thread.join(WAIT)

    def __enter__(self):
        self._thread.start()
        assert self._has.wait(WAIT)
        return self._statement, self.release

    def __exit__(self, *exc_info):
        self.release()


@each_server
def test_killed_while_idle(make, other, case):
    """A connection that the server ended is found out before it is used."""
    database, outside = make(case, pool_size=1), other(case)

    async def main():
        number = await database.execute.aio(own_id(case), n=1)
        await run_in_executor(kill, outside, case, number[0])
        assert (await database.execute.aio(own_id(case), n=1)) != number
        await shutdown()

    number = database.execute(own_id(case), n=1)
    kill(outside, case, number[0])
    assert database.execute(own_id(case), n=1) != number
    asyncio.run(main())


@each_server
def test_killed_in_a_transaction(make, other, case):
    """The body gets the driver's error, or keeps its own; then all is well again."""
    database, outside = make(case, pool_size=1), other(case)
    table = make.table(outside, case)
    insert = f"INSERT INTO {table} (name) VALUES ('a')"

    async def main():
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            async with database.transaction():
                await database.execute.aio(insert)
                number = await database.execute.aio(own_id(case), n=1)
                await asyncio.to_thread(kill, outside, case, number[0])
                await database.execute.aio(insert)
        with pytest.raises(ZeroDivisionError):
            async with database.transaction():
                number = await database.execute.aio(own_id(case), n=1)
                await asyncio.to_thread(kill, outside, case, number[0])
                raise ZeroDivisionError
        await database.execute.aio(insert)
        await shutdown()

    with pytest.raises(sqlalchemy.exc.DBAPIError):
        with database.transaction():
            database.execute(insert)
            kill(outside, case, database.execute(own_id(case), n=1)[0])
            database.execute(insert)
    with pytest.raises(ZeroDivisionError):
        with database.transaction():
            database.execute(insert)
            kill(outside, case, database.execute(own_id(case), n=1)[0])
            raise ZeroDivisionError
    asyncio.run(main())
    assert database.execute(f"SELECT COUNT(*) FROM {table}") == [(1,)]


@each_server
def test_killed_query(make, other, case):
    """A query whose connection is ended under it fails; the next one works."""
    database, outside = make(case, pool_size=1), other(case)
    errors = []

    def query(statement):
        try:
            database.execute(statement)
        except sqlalchemy.exc.DBAPIError as error:
            errors.append(error)

    number = database.execute(own_id(case), n=1)
    with held_lock(outside, case, 4714) as statement:
        thread = threading.Thread(target=query, args=[statement])
        thread.start()
        block_until_waiting(outside, case, 4714)
        kill(outside, case, number[0])
        thread.join(WAIT)
    assert len(errors) == 1
    assert database.execute(own_id(case), n=1) != number


@each_server
def test_server_restart(make, case):
    """While the server is away each statement fails; once it is back, it works."""
    port = urlsplit(make.url(case)).port
    proxy = Proxy(port or {"mysql": 3306, "postgresql": 5432}[case.kind])
    try:
        database = make(case, port=proxy.port, pool_size=2)

        def restart():
            database.execute("SELECT 1")
            proxy.cut()
            for _ in range(4):
                with pytest.raises(sqlalchemy.exc.OperationalError):
                    database.execute("SELECT 1")
            proxy.mend()
            assert database.execute("SELECT 1") == [(1,)]

        async def main():
            await database.execute.aio("SELECT 1")
            proxy.cut()
            for _ in range(4):
                with pytest.raises((sqlalchemy.exc.OperationalError, OSError)):
                    await database.execute.aio("SELECT 1")
            proxy.mend()
            assert await database.execute.aio("SELECT 1") == [(1,)]
            await shutdown()

        restart()
        asyncio.run(main())
        database.close()
    finally:
        proxy.close()


@each_case
def test_exhausted_pool(make, case):
    """Who finds no connection is told how many there are, and what to do."""
    database = make(case, pool_size=2, pool_timeout=0.01)
    message = r"within 0\.01 s: all pool_size=2 are in use.*Database\(\.\.\., pool_size"

    with database.engine.connect(), database.engine.connect():
        with pytest.raises(PoolTimeoutError, match=message):
            database.execute("SELECT 1")
        with pytest.raises(sqlalchemy.exc.TimeoutError):
            with database.transaction():
                raise AssertionError("entered")
    assert database.execute("SELECT 1") == [(1,)]

    async def exhaust():
        if case.async_driver == "worker":
            first, second = database.engine.connect(), database.engine.connect()
            with first, second, pytest.raises(PoolTimeoutError, match=message):
                await database.execute.aio("SELECT 1")
        else:
            engine = database.async_engine()
            async with engine.connect(), engine.connect():
                with pytest.raises(PoolTimeoutError, match=message):
                    await database.execute.aio("SELECT 1")
        assert await database.execute.aio("SELECT 1") == [(1,)]
        await shutdown()

    asyncio.run(exhaust())


@each_case
def test_loop_closed_without_a_word(make, case):
    """A loop that is simply closed takes its connections along, without a warning."""
    database = make(case)

    async def main():
        await database.execute.aio("SELECT 1")

    asyncio.run(main())
    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@each_server
def test_forked_child(make, case):
    """A forked child opens its own connections, and ends none of its parent's."""
    database = make(case, pool_size=2)
    ask = own_id(case)

    def child(write):
        mine = database.execute(ask, n=1)[0]
        gc.collect()
        os.write(write, str(mine).encode())
        database.close()

    def idle():
        return database.execute(ask, n=1)

    alone = idle()
    assert fork(child) != str(alone[0])
    assert idle() == alone
    with database.transaction():
        before = idle(), places.in_foreign_thread(idle)
        assert fork(child) not in {str(row[0]) for row in before}
        assert (idle(), places.in_foreign_thread(idle)) == before


def fork(child) -> str:
    """Run ``child(fd)`` in a forked process, and return what it wrote there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - seen by coverage's own means
        code = 1
        try:
            child(write)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(read) as pipe:
        return pipe.read()


@each_server
def test_killed_in_a_stream(make, other, case):
    """A stream whose connection is ended raises, or gives what came before that."""
    database, outside = make(case, pool_size=1), other(case)
    table = make.table(outside, case)
    outside.executemany(
        f"INSERT INTO {table} (name) VALUES (%s)", [("a",) for _ in range(10)]
    )
    number = database.execute(own_id(case), n=1)[0]
    rows = iter(database.stream(f"SELECT * FROM {table}", chunk=2))
    assert next(rows).name == "a"
    kill(outside, case, number)
    if case.kind == "postgresql":
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            list(rows)
    else:
        # All may have been on its way already.
        with contextlib.suppress(sqlalchemy.exc.DBAPIError):
            assert len(list(rows)) == 9
    assert database.execute(own_id(case), n=1)[0] != number


@pytest.mark.skipif(uvloop is None, reason="uvloop is not there")
# uvloop closes what is open by itself, with a warning of its own.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("case", ASYNC, ids=str)
def test_uvloop_closed_with_open_connections(make, case):
    """The same on uvloop, which frees the sockets itself."""
    database = make(case)

    async def main():
        return await database.execute.aio("SELECT 1")

    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(main()) == [(1,)]
    finally:
        loop.close()


class Tls:
    """What asyncio gives a client of a TLS server, as far as dropping looks at it."""

    _closed = False

    def __init__(self, transport):
        self._ssl_protocol = self
        self._transport = transport


def test_dropped_tls_connection():
    """A TLS transport is closed by closing the one beneath it."""
    ours, theirs = socket.socketpair()
    loop = asyncio.new_event_loop()
    connecting = loop.create_connection(asyncio.Protocol, sock=ours)
    beneath, _ = loop.run_until_complete(connecting)
    loop.close()
    transport = Tls(beneath)
    sever(transport)
    assert transport._closed
    assert theirs.recv(1) == b""
    theirs.close()


def test_forked_before_its_first_use(make):
    """A database that has connected to nothing is as new in a forked child."""
    database = make(SQLITE)
    assert fork(lambda fd: os.write(fd, repr(database.execute("SELECT 1")).encode()))
