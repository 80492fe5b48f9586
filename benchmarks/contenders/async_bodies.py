"""The same bodies as coroutines, with asynchronous drivers: what a rewrite has."""

# Threads: the loop thread of one loop.

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import aiomysql  # type: ignore[import-untyped]
import asyncpg  # type: ignore[import-untyped]

from benchmarks.contenders import DONE, bodies

_made: dict[str, asyncio.Future[Any]] = {}


async def answer(name: str) -> str:
    """Do what the body called `name` does, and return the page."""
    kind, _, database = name.partition("_")
    if kind == "report":
        first = bodies._next_order()
        rows = await query(database, "REPORT", (first, first + 250))
        return bodies.as_json(rows)
    if kind == "page":
        number = bodies._next_order()
        order = (await query(database, "ORDER", (number,)))[0]
        return bodies.as_page(order, await query(database, "ITEMS", (number,)))
    if kind == "rest":
        return await rest()
    if kind == "upstream":
        session = await _once("session", _session)
        async with session.get(os.environ["BENCH_UPSTREAM"]) as response:
            text: str = await response.text()
            return text
    total = bodies.compute(int(os.environ["BENCH_STEPS"]))
    await asyncio.sleep(bodies.WAIT)
    return bodies.as_json([("total", total, 0, 0)])


async def query(database: str, name: str, values: tuple[Any, ...]) -> Any:
    """Return the rows of a query, on a pooled connection."""
    text = os.environ[f"BENCH_{name}"]
    if database == "postgresql":
        pool = await _once(database, _postgresql)
        for number in range(len(values)):
            text = text.replace("%s", f"${number + 1}", 1)
        return await pool.fetch(text, *values)
    pool = await _once(database, _mysql)
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute(text, values)
        return await cursor.fetchall()


async def rest() -> str:
    """Close what is pooled."""
    for database in ("postgresql", "mysql"):
        pool = _made.pop(database, None)
        if pool is not None and database == "postgresql":
            await pool.result().close()
        elif pool is not None:
            pool.result().close()
            await pool.result().wait_closed()
    return DONE


async def _once(name: str, make: Any) -> Any:
    if name not in _made:
        _made[name] = asyncio.ensure_future(make())
    return await asyncio.shield(_made[name])


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def _postgresql() -> Any:
    url = os.environ["BENCH_POSTGRESQL"].replace("postgresql+psycopg2", "postgresql")
    return await asyncpg.create_pool(url, min_size=1, max_size=bodies.POOL)


async def _mysql() -> Any:
    url = urlsplit(os.environ["BENCH_MYSQL"])
    return await aiomysql.create_pool(
        host=url.hostname,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        db=url.path.strip("/"),
        minsize=1,
        maxsize=bodies.POOL,
        autocommit=True,
    )
