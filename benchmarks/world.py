"""What real bodies ask: two databases with orders in them, and a service."""

# Guarantee: the tables are dropped when the block is left, however it is left.

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders.bodies import compute
from benchmarks.harness.computing import steps_for
from benchmarks.harness.errors import SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children
from benchmarks.stories.order_service.database import Database, prepared
from benchmarks.stories.order_service.schema import ITEMS_QUERY

COMPUTING = 0.005  # seconds
UPSTREAM = (sys.executable, "-m", "benchmarks.upstream")
USUAL = {
    "postgresql": "postgresql://root@127.0.0.1:5432/test",
    "mysql": "mysql://root@127.0.0.1:3306/test",
}
DIALECTS = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
REPORT_QUERY = """SELECT sku, COUNT(*), SUM(quantity), SUM(quantity * cents)
FROM {p}items WHERE order_id BETWEEN %s AND %s
GROUP BY sku ORDER BY 4 DESC, 1 LIMIT 20"""
ORDER_QUERY = """SELECT o.id, o.status, o.placed_on, c.name,
(SELECT COUNT(*) FROM {p}orders b WHERE b.customer_id = c.id),
(SELECT SUM(i.quantity * i.cents) FROM {p}items i WHERE i.order_id = o.id)
FROM {p}orders o JOIN {p}customers c ON c.id = o.customer_id WHERE o.id = %s"""


@contextlib.contextmanager
def world(folder: Path, interrupts: Interrupts) -> Iterator[dict[str, str]]:
    """Provide the environment in which bodies find all that they ask.

    A database that does not answer is left out: its scenarios are refused.
    """
    found = {"BENCH_STEPS": str(steps_for(COMPUTING, compute))}
    with contextlib.ExitStack() as stack:
        children = stack.enter_context(Children(folder))
        upstream = children.start("upstream", UPSTREAM)
        with interrupts.allowed():
            found["BENCH_UPSTREAM"] = upstream.next_line()
        prefix = None
        for name, usual in USUAL.items():
            url = os.environ.get(f"TORNADO_UNBLOCK_TEST_{name.upper()}", usual)
            with contextlib.suppress(SetupError):
                database = stack.enter_context(prepared(url, interrupts, prefix))
                prefix = database.prefix
                found |= queries(database)
                found[f"BENCH_{name.upper()}"] = with_dialect(url, name)
        yield found


def queries(database: Database) -> dict[str, str]:
    """Return the queries, about the tables of this run."""
    texts = {"REPORT": REPORT_QUERY, "ORDER": ORDER_QUERY, "ITEMS": ITEMS_QUERY}
    return {
        f"BENCH_{name}": text.format(p=database.prefix, value="%s")
        for name, text in texts.items()
    }


def with_dialect(url: str, name: str) -> str:
    """Return a URL as SQLAlchemy takes it."""
    return DIALECTS[name] + url[url.index("://") :]
