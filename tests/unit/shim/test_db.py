"""shim.db: what statements return, in both colours, on every database."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from tests.unit.shim import conftest as places
from tests.unit.shim._databases import CASES, each_case, each_server, making
from tornado_unblock import LoopThreadError, shim, shutdown
from tornado_unblock.shim.db import Affected, Database, Row

SQLITE = CASES[0]


@pytest.fixture
def make(request, tmp_path) -> Iterator[Any]:
    yield from making(request, tmp_path)


@each_case
def test_rows_and_counts(make, case):
    """All rows, the first, at most k; by index and name; and how many changed."""
    database = make(case)
    table = make.table(database, case)
    insert = f"INSERT INTO {table} (name) VALUES (%s)"

    def check(first, changed, many, rows, one, none, two, nothing):
        assert (first, changed, many) == (1, 0, 2)
        assert isinstance(first, Affected)
        assert first.lastrowid == (None if case.kind == "postgresql" else 1)
        assert [row["name"] for row in rows] == ["it's 100%s", "b", "c"]
        assert (one.id, one[1], one["name"]) == (1, "it's 100%s", "it's 100%s")
        assert none is None
        assert two == [(1, "it's 100%s"), (2, "b")]
        assert nothing == []

    calls = [
        ("execute", insert, ["it's 100%s"]),
        ("execute", f"UPDATE {table} SET name = '' WHERE id = %(id)s", {"id": 99}),
        ("executemany", insert, [("b",), ("c",)]),
        ("execute", f"SELECT * FROM {table} WHERE name LIKE '%' ORDER BY id"),
        ("execute", f"SELECT * FROM {table} WHERE id %% 2 = %s ORDER BY id", (1,), 1),
        ("execute", f"SELECT * FROM {table} WHERE name LIKE %s", ("zz%",), 1),
        ("execute", f"SELECT * FROM {table} ORDER BY id", None, 2),
        ("execute", f"SELECT * FROM {table}", (), 0),
    ]

    async def main():
        found = [await getattr(database, name).aio(*args) for name, *args in calls]
        await shutdown()
        return found

    results = [getattr(database, name)(*args) for name, *args in calls]
    if case.async_driver == "asyncpg":
        asynchronous_many = -1  # it does not say
    else:
        asynchronous_many = 2
    check(*results)
    database.execute(f"DROP TABLE {table}")
    key = make.table(database, case)
    calls = [(n, q.replace(table, key), *rest) for n, q, *rest in calls]
    results = asyncio.run(main())
    assert results[2] == asynchronous_many
    check(*results[:2], 2, *results[3:])
    database.execute(f"CREATE TABLE {table} (id INTEGER)")  # for the finalizer


@each_case
def test_streams(make, case):
    """Large results come in chunks, in both colours; who leaves early frees it all."""
    database = make(case, pool_size=1)
    table = make.table(database, case)
    database.executemany(
        f"INSERT INTO {table} (name) VALUES (%s)", [(str(n),) for n in range(25)]
    )
    query = f"SELECT * FROM {table} WHERE id > %s ORDER BY id"
    expected = [str(n) for n in range(25)]

    def names():
        return [row.name for row in database.stream(query, (0,), chunk=10)]

    def first():
        for row in database.stream(query, (0,), chunk=10):
            return row.name

    async def main():
        stream = database.stream(query, (0,), chunk=10)
        found = [row.name async for row in stream]
        async for row in stream:
            assert row.name == "0"
            break
        async with database.transaction():
            assert [row.name async for row in stream] == expected
            assert (await database.execute.aio("SELECT 1", n=1))[0] == 1
            await shim.dual(names).aio()
        await asyncio.sleep(0)
        await database.execute.aio("SELECT 1")
        await shutdown()
        return found

    assert names() == expected
    assert first() == "0"
    assert (names(), asyncio.run(main())) == (expected, expected)
    with database.transaction():
        assert names() == expected
    with pytest.raises(ValueError, match="chunk is a positive"):
        database.stream(query, chunk=0)


@each_case
def test_executemany(make, case):
    """Nothing to do is done at once; one that fails undoes all of them."""
    database = make(case)
    table = make.table(database, case)
    insert = f"INSERT INTO {table} (id, name) VALUES (%(id)s, %(name)s)"
    rows = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]

    async def main():
        assert await database.executemany.aio(insert, iter([])) == 0
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            await database.executemany.aio(insert, rows)
        await shutdown()

    assert database.executemany(insert, iter([])) == 0
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        database.executemany(insert, rows)
    asyncio.run(main())
    assert database.execute(f"SELECT * FROM {table}") == []


@each_case
def test_from_every_place(make, case, serve):
    """A script, a foreign thread, a worker, unblocked handlers: one result."""
    database = make(case)

    def one():
        return database.execute("SELECT %s + 1 AS n", (1,), 1).n

    async def one_aio():
        found = (await database.execute.aio("SELECT %s + 1 AS n", (1,), 1)).n
        await shutdown()
        return found

    assert places.in_script(one) == 2
    assert places.in_foreign_thread(one) == 2
    assert places.in_worker(one) == 2
    assert places.in_coroutine(one_aio) == 2
    for kind in ("method", "class", "application"):
        server = serve(places.application(kind, lambda h: h.write(str(one()))))
        assert server.get("/").body == b"2"


def test_refused_on_a_loop(make):
    """What would block a loop says so, and what to write instead."""
    database = make(SQLITE)

    async def main():
        with pytest.raises(LoopThreadError, match=r"Database\.execute\.aio"):
            database.execute("SELECT 1")
        with pytest.raises(LoopThreadError, match=r"Database\.stream.*async for"):
            iter(database.stream("SELECT 1"))
        with pytest.raises(LoopThreadError, match="async with"):
            with database.transaction():
                pass

    asyncio.run(main())


@each_case
def test_sqlalchemy_within_reach(make, case):
    """Engines, sessions and constructs of SQLAlchemy's own."""
    database = make(case)
    table = make.table(database, case)
    columns = sqlalchemy.column("id"), sqlalchemy.column("name")
    target = sqlalchemy.table(table, *columns)

    async def main():
        if case.async_driver == "worker":
            with pytest.raises(NotImplementedError, match=r"use \.engine"):
                database.async_engine()
        else:
            async with database.async_engine().connect() as connection:
                assert (await connection.execute(sqlalchemy.select(target))).all()
        await shutdown()

    database.executemany(target.insert(), [{"name": "a"}, {"name": "b"}])
    with Session(database.engine) as session:
        assert session.execute(sqlalchemy.select(target.c.name)).scalars().all()
    with database.transaction() as connection, Session(connection) as session:
        session.execute(target.delete().where(target.c.name == "b"))
        session.commit()
        assert len(database.execute(sqlalchemy.select(target))) == 1
    asyncio.run(main())


def test_one_database_in_memory(make):
    """All threads and both colours share a database that lives in memory."""
    database = Database("sqlite://")
    database.execute("CREATE TABLE t (a)")
    with database.transaction():
        database.execute("INSERT INTO t VALUES (%s)", (1,))

    async def main():
        async with database.transaction():
            await database.execute.aio("INSERT INTO t VALUES (%s)", (2,))

    asyncio.run(main())
    rows = places.in_foreign_thread(lambda: database.execute("SELECT a FROM t"))
    assert rows == [(1,), (2,)]
    asyncio.run(database.close.aio())


def test_closed_and_used_again(make):
    """Closing frees the pool; the next use begins another."""
    database = make(SQLITE)
    first = database.engine
    database.close()
    database.close()
    assert database.execute("SELECT 1") == [(1,)]
    assert database.engine is not first


@each_server
def test_close_for_both_colours(make, case):
    """`close.aio` closes the connections of the loop, too."""
    database = make(case)

    async def main():
        await database.execute.aio("SELECT 1")
        await database.close.aio()
        assert await database.execute.aio("SELECT 1", n=1) == (1,)
        await database.close.aio()

    asyncio.run(main())


def test_what_is_refused(make):
    """Parameters and counts that make no sense."""
    database = make(SQLITE)
    with pytest.raises(TypeError, match=r"write \(value,\)"):
        database.execute("SELECT %s", "text")
    with pytest.raises(ValueError, match="n is None or a number"):
        database.execute("SELECT 1", n=-1)
    assert "secret" not in repr(Database("mysql+pymysql://u:secret@127.0.0.1/x"))


def test_row():
    """A row is a tuple, answers to names, becomes a dict, and can be pickled."""
    database = Database("sqlite://")
    row = database.execute("SELECT 1 AS a, 2 AS count, 3 AS keys, 4 AS a, 5 AS _b", n=1)
    database.close()
    assert row == (1, 2, 3, 4, 5)
    assert (row.a, row["a"], row.count, row["keys"], row._b) == (1, 1, 2, 3, 5)
    assert row[1:3] == (2, 3)
    assert dict(row) == {"a": 1, "count": 2, "keys": 3, "_b": 5}
    assert (row.get("a"), row.get("z"), row.get("z", 7)) == (1, None, 7)
    assert repr(row) == "Row(a=1, count=2, keys=3, a=4, _b=5)"
    assert json.dumps(row) == "[1, 2, 3, 4, 5]"
    copy = pickle.loads(pickle.dumps(row))
    assert copy == row
    assert isinstance(copy, Row)
    assert copy.a == 1
    with pytest.raises(KeyError):
        row["z"]
    with pytest.raises(AttributeError, match="no column is called 'z'; there are a"):
        _ = row.z
