"""Frames: names for readers, and how deep what is passed is nested."""

from __future__ import annotations

from typing import Callable

from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]


def test_names(scanned: Scanned) -> None:
    """A step is named by its class and function; a lambda is one."""
    report = scanned(
        """
        import requests, tornado.web
        class Store:
            def load(self): (lambda: requests.get("x"))()
        def helper(): Store().load()
        class A(tornado.web.RequestHandler):
            def get(self): helper()
        """
    )
    (finding,) = report.findings
    names = [step.name for step in finding.steps]
    assert names == ["A.get", "helper", "Store.load", "<lambda>"]


def test_what_is_passed_deeper_and_deeper(scanned: Scanned) -> None:
    """A function that passes itself more each time is followed to an end."""
    report = scanned(
        """
        import requests, tornado.web
        class Node:
            def __init__(self, inner): self.inner = inner
        def wrap(node, n):
            if n: return wrap(Node(node), n - 1)
            requests.get("x")
            return lambda: wrap(lambda: node, n)
        class A(tornado.web.RequestHandler):
            def get(self): wrap(Node(None), 3)()
        """
    )
    assert [f.what for f in report.findings] == ["requests.get"]
