"""What is called without a call that shows it."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]

HEAD = """
import dataclasses, os, shutil, time, zipfile
import requests
from tornado.web import Application, RequestHandler
class Lock:
    async def {name}(self, *args): time.sleep(1)
class Rows:
    def __aiter__(self): return self
    async def __anext__(self): time.sleep(1)
@dataclasses.dataclass
class Order:
    id: int
    def __post_init__(self): time.sleep(1)
class A(RequestHandler):
    async def get(self):
        {does}
"""


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("__aenter__", "async with Lock(): pass"),
        ("__aexit__", "async with Lock() as lock: pass"),
        ("_", "async for row in Rows(): pass"),
        ("_", "self.rows = [row async for row in Rows()]"),
        ("_", "Order(1)"),
    ],
)
def test_protocols(scanned: Scanned, name: str, does: str) -> None:
    """Methods with two underscores, also those of coroutines and of dataclasses."""
    report = scanned(HEAD.format(name=name, does=does))
    assert found(report) == ["A.get time.sleep seen"]


def test_what_async_with_enters(scanned: Scanned) -> None:
    """It has a name, and methods."""
    report = scanned(
        """
        import time, tornado.web
        class Tool:
            def use(self): time.sleep(1)
        class Box:
            async def __aenter__(self): return Tool()
            async def __aexit__(self, *args): pass
        class A(tornado.web.RequestHandler):
            async def get(self):
                async with Box() as tool: tool.use()
        """
    )
    assert found(report) == ["A.get time.sleep seen"]


REGISTRY = """
#: file table.py
TABLE = {{}}
{register}
#: file actions.py
import time
from table import register
{decorator}
def slow(handler): time.sleep(1)
def other(handler): time.sleep(1)
#: file app.py
import tornado.web
import actions
from table import TABLE
class A(tornado.web.RequestHandler):
    def get(self, name): TABLE[name](self)
    def post(self, name): TABLE.get(name)(self)
"""
NAMED = (
    "def register(name):\n    def put(f):\n        TABLE[name] = f\n"
    "        return f\n    return put"
)
PLAIN = "def register(f):\n    TABLE[f.__name__] = f\n    return f"


@pytest.mark.parametrize(
    ("register", "decorator"), [(NAMED, "@register('slow')"), (PLAIN, "@register")]
)
def test_tables_that_decorators_fill(
    scanned: Scanned, register: str, decorator: str
) -> None:
    """What is decorated is in the table, and nothing else."""
    report = scanned(REGISTRY.format(register=register, decorator=decorator))
    assert found(report) == ["A.get time.sleep seen", "A.post time.sleep seen"]
    assert {f.source for f in report.findings} == {"def slow(handler): time.sleep(1)"}


@pytest.mark.parametrize(
    ("verb", "moved"), [("def", "class"), ("async def", ""), ("# def", "class")]
)
def test_log_function(scanned: Scanned, verb: str, moved: str) -> None:
    """It ends each request, where the request ends."""
    report = scanned(
        f"""
        import time
        from tornado.web import Application, RequestHandler
        from tornado_unblock import unblock
        @unblock
        class A(RequestHandler):
            {verb} get(self): pass
            def put(self): pass
        def log(handler): time.sleep(1)
        app = Application([("/", A)], log_function=log)
        """
    )
    (finding,) = report.findings
    assert finding.endpoint == "Application.log_function"
    assert (finding.handlers, finding.unblocked) == (("A",), moved)


def test_files(scanned: Scanned) -> None:
    """To open and to read is one finding; what else is done with files is more."""
    does = "open('x').read()\n        shutil.rmtree('x')\n        shutil.copy('a', 'b')"
    report = scanned(HEAD.format(name="_", does=does))
    assert {f.what for f in report.findings} == {
        "open().read", "shutil.rmtree", "shutil.copy"
    }  # fmt: skip


def test_functions_by_keyword(scanned: Scanned) -> None:
    """`max(..., key=requests.get)` calls it."""
    report = scanned(HEAD.format(name="_", does="max([1], key=requests.get)"))
    assert found(report) == ["A.get requests.get seen"]
