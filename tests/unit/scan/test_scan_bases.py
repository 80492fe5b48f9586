"""Handlers that are bases of others, and whose routes nobody could read."""

from __future__ import annotations

from typing import Callable

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]

TWO = """
import time
from tornado.web import RequestHandler, Application
class A(RequestHandler):
    def prepare(self): pass
    def get(self): time.sleep(1)
class B(A):
    {verb}
class C(B):
    {verb}
app = Application(unknown.load([A, B, C]))
"""


def test_a_verb_that_others_replace(scanned: Scanned) -> None:
    """Nobody else runs it: the base is a handler of its own."""
    report = scanned(TWO.format(verb="def get(self): pass"))
    assert found(report) == ["A.get time.sleep seen"]
    assert [handler.name for handler in report.handlers] == ["A", "B", "C"]


def test_a_verb_that_another_runs(scanned: Scanned) -> None:
    """It is told by those who inherit it, once."""
    report = scanned(TWO.format(verb="def post(self): pass"))
    assert [f.handlers for f in report.findings] == [("B", "C")]
