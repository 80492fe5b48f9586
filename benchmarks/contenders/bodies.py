"""Bodies as users have them: they block, with drivers that pool their connections.

    report_*   one query of about 1 ms, and 2 kB of JSON
    page_*     two queries, and a template
    upstream   one HTTP call that takes 20 ms
    mixed      5 ms of Python, and 20 ms of waiting
    rest       no body: it closes the pools

All contenders call the same functions; what they ask is in `benchmarks.world`.
"""

# Threads: any; pools are made once for a process, when first asked for.

from __future__ import annotations

import functools
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import requests
import requests.adapters
import sqlalchemy
from tornado.template import Loader

from benchmarks.harness.servers import DONE

FOLDER = Path(__file__).parent
POOL = 20  # connections; more requests than that wait for one, on their threads
WAIT = 0.02  # seconds
ORDERS = 200  # of which each request asks for one
_numbers = itertools.count()


def answer(name: str) -> str:
    """Do what the body called `name` does, and return the page."""
    kind, _, database = name.partition("_")
    return BODIES[kind](database)


def report(database: str) -> str:
    """Sum up what was sold, in one query, as JSON."""
    first = _next_order()
    rows = query(database, os.environ["BENCH_REPORT"], (first, first + 250))
    return as_json(rows)


def page(database: str) -> str:
    """Show an order with its items, from two queries."""
    number = _next_order()
    order = query(database, os.environ["BENCH_ORDER"], (number,))[0]
    items = query(database, os.environ["BENCH_ITEMS"], (number,))
    return as_page(order, items)


def upstream(_: str) -> str:
    """Ask another service."""
    return _session().get(os.environ["BENCH_UPSTREAM"], timeout=60).text


def mixed(_: str) -> str:
    """Compute, and wait."""
    total = compute(int(os.environ["BENCH_STEPS"]))
    time.sleep(WAIT)
    return as_json([("total", total, 0, 0)])


def rest(_: str) -> str:
    """Close what is pooled, so that it is not kept from the contender that is next."""
    for database in ("postgresql", "mysql"):
        if f"BENCH_{database.upper()}" in os.environ:
            _engine(database).dispose()
    return DONE


BODIES = {
    "report": report,
    "page": page,
    "upstream": upstream,
    "mixed": mixed,
    "rest": rest,
}


def query(database: str, text: str, values: tuple[Any, ...]) -> Any:
    """Return the rows of a query, on a pooled connection."""
    connection = _engine(database).raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(text, values)
        return cursor.fetchall()
    finally:
        connection.close()  # back to the pool


def compute(steps: int) -> int:
    """Compute in pure Python for as long as `steps` take."""
    total = 0
    for step in range(steps):
        total = (total * 31 + step) % 1_000_003
    return total


def as_json(rows: Any) -> str:
    """Write rows as JSON, of about 100 bytes each."""
    names = ("article", "orders", "quantity", "cents")
    sold = [dict(zip(names, (row[0], *map(int, row[1:])))) for row in rows]
    for one in sold:
        one["shown_as"] = f"{one['quantity']} sold, {one['cents'] / 100:.2f} EUR"
    return json.dumps({"state": "done", "sold": sold})


def as_page(order: Any, items: Any) -> str:
    """Write an order as HTML."""
    return _loader().load("page.html").generate(order=order, items=items).decode()


def _next_order() -> int:
    return 1001 + next(_numbers) % ORDERS


@functools.cache
def _loader() -> Loader:
    return Loader(str(FOLDER))


@functools.cache
def _engine(database: str) -> sqlalchemy.engine.Engine:
    return sqlalchemy.create_engine(
        os.environ[f"BENCH_{database.upper()}"],
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=60,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,  # there is no transaction to end
    )


@functools.cache
def _session() -> requests.Session:
    session = requests.Session()
    size = int(os.environ.get("BENCH_WORKERS", "50"))
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=size))
    return session
