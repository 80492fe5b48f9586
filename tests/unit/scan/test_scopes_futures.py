"""What is waited for later does not block, though its name says that it may."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]

PAGE = """
import asyncio
from tornado import gen
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler
class A(RequestHandler):
    async def get(self):
        {does}
"""
FUTURES = [
    "f = self.db.execute('x'); await f",
    "a = self.db.execute('x'); await asyncio.wait([a])",
    "f = self.db.execute('x'); g = self.db.execute('y'); await asyncio.gather(f, g)",
    "fs = [self.db.execute(q) for q in '']; await gen.multi(fs)",
    "fs = [self.db.execute(q) for q in '']; await asyncio.gather(*fs)",
    "f = self.db.execute('x'); await gen.with_timeout(1, f)",
    "IOLoop.current().add_future(self.db.execute('x'), self.done)",
    "self.db.execute('x').add_done_callback(self.done)",
    "f = self.db.execute('x'); f.add_done_callback(self.done)",
]
CALLS = [
    "rows = self.db.execute('x'); await self.send(rows)",
    "rows = self.db.execute('x'); self.write(rows)",
]


@pytest.mark.parametrize("does", FUTURES)
def test_futures(scanned: Scanned, does: str) -> None:
    """It is a future: by what is done with it."""
    assert found(scanned(PAGE.format(does=does))) == []


@pytest.mark.parametrize("does", CALLS)
def test_calls(scanned: Scanned, does: str) -> None:
    """What is only used beside an `await` is a call like any other."""
    assert found(scanned(PAGE.format(does=does))) == ["A.get self.db.execute likely"]
