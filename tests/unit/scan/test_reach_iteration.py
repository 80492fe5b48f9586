"""What goes through a query, so that it asks the database: not only a loop."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]

PAGE = """
import collections, heapq, itertools, pymongo
import tornado.web
rows = pymongo.MongoClient().db.rows
class A(tornado.web.RequestHandler):
    def get(self):
        query = rows.find()
        {does}
"""
GOES_THROUGH = [
    *(f"{name}(query)" for name in ("list", "tuple", "sorted", "set", "frozenset")),
    *(f"{name}(query)" for name in ("sum", "max", "min", "any", "all", "next", "iter")),
    *(f"{name}(query)" for name in ("enumerate", "reversed", "dict")),
    *(f"{name}(str, query)" for name in ("map", "filter")),
    "heapq.nlargest(3, query)",
    "zip(range(3), query)",
    "collections.Counter(query)",
    "list(itertools.islice(query, 3))",
    "', '.join(query)",
    "[].extend(query)",
    "print(*query)",
    "[*query]",
    "for row in list(query): pass",
]


@pytest.mark.parametrize("does", GOES_THROUGH)
def test_goes_through(scanned: Scanned, does: str) -> None:
    """It is there that the query waits."""
    assert found(scanned(PAGE.format(does=does))) == ["A.get query seen"]


@pytest.mark.parametrize("does", ["self.query = query", "len([query])", "str(query)"])
def test_does_not(scanned: Scanned, does: str) -> None:
    """Whoever passes it on does not."""
    assert not found(scanned(PAGE.format(does=does)))


def test_a_copy(scanned: Scanned) -> None:
    """What a list was made of is not asked a second time."""
    does = "copy = list(query)\n        for row in copy: copy.count(row)"
    (finding,) = scanned(PAGE.format(does=does)).findings
    assert finding.source == "copy = list(query)"


def test_of_the_project(scanned: Scanned) -> None:
    """A class's own `__iter__` and `__next__` are called."""
    report = scanned(
        """
        import time, tornado.web
        class Rows:
            def __iter__(self): return self
            def __next__(self): time.sleep(1)
        class A(tornado.web.RequestHandler):
            def get(self): self.write(next(Rows()))
            def post(self): self.write(list(Rows()))
        """
    )
    assert found(report) == ["A.get time.sleep seen", "A.post time.sleep seen"]
