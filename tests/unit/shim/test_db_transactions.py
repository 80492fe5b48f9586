"""shim.db: transactions in both colours, one inside the other, and given up."""

# A block that raises as a whole is what is tested here.
# ruff: noqa: PT012

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tests.unit.shim._databases import CASES, SERVERS, each_case, making
from tests.unit.shim.conftest import in_foreign_thread
from tornado_unblock import (
    AbandonedError,
    LoopThreadError,
    run_in_executor,
    shim,
    shutdown,
    unblock,
)
from tornado_unblock.shim._crossing.background import background_portal

ASYNC = [case for case in SERVERS if case.async_driver != "worker"]


@pytest.fixture
def make(request, tmp_path) -> Iterator[Any]:
    yield from making(request, tmp_path)


class Table:
    """A table, and the two colours of doing things to it."""

    def __init__(self, make, case, **options):
        self.database = make(case, **options)
        self.name = make.table(self.database, case)
        self.insert = f"INSERT INTO {self.name} (name) VALUES (%s)"
        self.select = f"SELECT name FROM {self.name} ORDER BY id"

    def add(self, name):
        self.database.execute(self.insert, (name,))

    async def aadd(self, name):
        await self.database.execute.aio(self.insert, (name,))

    def names(self):
        return "".join(row.name for row in self.database.execute(self.select))


@pytest.fixture
def table(make, request):
    return Table(make, request.getfixturevalue("case"))


def run(main):
    """Run a coroutine function on a loop that is drained before it closes."""

    async def all_of_it():
        result = await main()
        await shutdown()
        return result

    return asyncio.run(all_of_it())


@each_case
def test_all_or_nothing(table, case):
    """Committed at the end, undone by an error, in both colours."""

    async def main():
        async with table.database.transaction():
            await table.aadd("c")
        with pytest.raises(ZeroDivisionError):
            async with table.database.transaction():
                await table.aadd("d")
                raise ZeroDivisionError

    with table.database.transaction():
        table.add("a")
        assert table.names() == "a"
    with pytest.raises(ZeroDivisionError):
        with table.database.transaction():
            table.add("b")
            raise ZeroDivisionError
    run(main)
    assert table.names() == "ac"


@each_case
def test_a_block_in_a_block(table, case):
    """A block inside is undone alone, and with the outer one."""
    database = table.database

    async def main():
        async with database.transaction():
            await table.aadd("d")
            with pytest.raises(ZeroDivisionError):
                async with database.transaction():
                    await table.aadd("e")
                    raise ZeroDivisionError
            async with database.transaction():
                await table.aadd("f")
        with pytest.raises(ZeroDivisionError):
            async with database.transaction(), database.transaction():
                await table.aadd("g")
                raise ZeroDivisionError

    with database.transaction():
        with pytest.raises(ZeroDivisionError):
            with database.transaction():
                table.add("a")
                raise ZeroDivisionError
        with database.transaction():
            table.add("b")
    with pytest.raises(ZeroDivisionError):
        with database.transaction():
            with database.transaction():
                table.add("c")
            raise ZeroDivisionError
    run(main)
    assert table.names() == "bdf"


@each_case
def test_one_colour_in_the_other(table, case):
    """What a function of the other colour executes is part of the transaction."""
    database = table.database

    @shim.dual
    def sync(name):
        with database.transaction():
            table.add(name)
        assert [row.name for row in database.stream(table.select)] == list("ab")
        raise ZeroDivisionError

    @shim.dual
    async def asynchronous(name):
        async with database.transaction():
            await table.aadd(name)
        found = [row.name async for row in database.stream(table.select)]
        assert found == list("ab")
        raise ZeroDivisionError

    async def main():
        async with database.transaction():
            await table.aadd("a")
            await sync.aio("b")

    with pytest.raises(ZeroDivisionError):
        run(main)
    with pytest.raises(ZeroDivisionError):
        with database.transaction():
            table.add("a")
            asynchronous("b")
    assert table.names() == ""


@each_case
def test_side_by_side_in_one(table, case):
    """Tasks and threads that a block starts take turns on its connection."""
    database = table.database

    async def main():
        async with database.transaction():
            await asyncio.gather(*(table.aadd(name) for name in "aaaa"))
            await asyncio.gather(*(run_in_executor(table.add, "a") for _ in range(4)))

    run(main)
    with database.transaction():
        context = contextvars.copy_context()
        in_foreign_thread(lambda: context.run(table.add, "a"))
    assert table.names() == "a" * 9


@each_case
def test_left_behind(table, case):
    """What outlives the block that started it is no part of it."""
    database = table.database

    async def main():
        gate = asyncio.Event()

        async def later():
            await gate.wait()
            await table.aadd("later")

        with pytest.raises(ZeroDivisionError):
            async with database.transaction():
                await table.aadd("a")
                task = asyncio.ensure_future(later())
                raise ZeroDivisionError
        gate.set()
        await task

    run(main)
    assert table.names() == "later"


@each_case
def test_two_databases(make, table, case):
    """Transactions of different databases know nothing of each other."""
    other = make(CASES[0], async_driver="worker")
    other.execute("CREATE TABLE IF NOT EXISTS t2 (name)")

    async def main():
        with pytest.raises(ZeroDivisionError):
            async with table.database.transaction():
                async with other.transaction():
                    await table.aadd("a")
                    await other.execute.aio("INSERT INTO t2 VALUES ('b')")
                raise ZeroDivisionError

    if case.kind != "sqlite":
        run(main)
        assert table.names() == ""
        assert other.execute("SELECT name FROM t2") == [("b",)]


@pytest.mark.parametrize("case", ASYNC, ids=str)
def test_another_loop(table, case):
    """A transaction is used on its own loop; elsewhere it says so."""

    async def main():
        async with table.database.transaction():
            context = contextvars.copy_context()
            # A foreign thread waits on the background loop.
            background_portal()
            error = await asyncio.to_thread(in_foreign_thread_of, context)
            assert isinstance(error, LoopThreadError)

    def in_foreign_thread_of(context):
        def add():
            with pytest.raises(LoopThreadError, match="another event loop") as caught:
                context.run(table.add, "a")
            return caught.value

        return in_foreign_thread(add)

    run(main)


@each_case
def test_an_error_of_the_database(table, case):
    """A statement that fails in a block inside leaves the outer one usable."""
    database = table.database
    with database.transaction():
        table.add("a")
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            with database.transaction():
                database.execute(f"INSERT INTO {table.name} VALUES ('x', 'y', 'z')")
        table.add("b")
    assert table.names() == "ab"


class Abandoned:
    """A body that is abandoned when it is in a transaction."""

    def __init__(self, table):
        self.table = table
        self.inside, self.gate = threading.Event(), threading.Event()
        self.error: Any = None

    async def run(self, body):
        ended = threading.Event()

        def work():
            try:
                body(self)
            except BaseException as error:
                self.error = error
            finally:
                ended.set()

        future = run_in_executor(work)
        assert await asyncio.to_thread(self.inside.wait, WAIT)
        future.cancel()
        await asyncio.sleep(0)
        self.gate.set()
        assert await asyncio.to_thread(ended.wait, WAIT)

    def block(self):
        self.table.add("a")
        self.inside.set()
        assert self.gate.wait(WAIT)

    async def ablock(self):
        await self.table.aadd("a")
        self.inside.set()
        await asyncio.Event().wait()


def blocks_in_python(it):
    with it.table.database.transaction():
        it.block()


def waits_in_sync(it):
    with it.table.database.transaction():
        shim.wait(it.ablock())


def waits_in_async(it):
    @shim.dual
    async def asynchronous():
        async with it.table.database.transaction():
            await it.ablock()

    asynchronous()


def blocks_in_async(it):
    @shim.dual
    async def asynchronous():
        async with it.table.database.transaction():
            await inner.aio()

    @shim.dual
    def inner():
        with it.table.database.transaction():
            it.block()

    asynchronous()


BODIES = [blocks_in_python, waits_in_sync, waits_in_async, blocks_in_async]


@pytest.mark.parametrize("body", BODIES)
@each_case
def test_abandoned(table, case, body):
    """What nobody waits for any more undoes what it began."""
    it = Abandoned(table)
    run(lambda: it.run(body))
    assert isinstance(it.error, AbandonedError)
    assert table.names() == ""


def test_clean_up_of_the_abandoned(make):
    """A body that knows it is abandoned may still write what it must."""
    table = Table(make, CASES[0])

    def body(it):
        with pytest.raises(AbandonedError, match="the transaction is undone"):
            blocks_in_python(it)
        with table.database.transaction():
            table.add("cleaned up")

    it = Abandoned(table)
    run(lambda: it.run(body))
    assert it.error is None
    assert table.names() == "cleaned up"


@pytest.mark.expect_log("tornado.application", "still running after 1 s")
@pytest.mark.expect_log("tornado.general", "504")
@pytest.mark.expect_log("tornado.access", "504")
def test_timed_out(make, serve):
    """A request answered with 504 is undone when its body ends."""
    table = Table(make, CASES[0])
    it = Abandoned(table)
    ended: concurrent.futures.Future[None] = concurrent.futures.Future()

    class Handler(RequestHandler):
        @unblock(timeout=1.0)
        def get(self):
            with pytest.raises(AbandonedError):
                blocks_in_python(it)
            ended.set_result(None)

    assert serve(Application([("/", Handler)])).get("/").status == 504
    it.gate.set()
    ended.result(WAIT)
    assert table.names() == ""
