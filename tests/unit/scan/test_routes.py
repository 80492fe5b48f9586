"""Routes, in all the forms that they have."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]
HEAD = """
import tornado.web
from tornado.web import Application, RequestHandler, URLSpec, url
from tornado.routing import PathMatches, Rule
class A(RequestHandler):
    def get(self): pass
PREFIX = "/v1"
"""
FORMS = {
    "Application([(r'/a', A)])": ("/a",),
    "Application([(r'/a', A, {'x': 1}, 'name')])": ("/a",),
    "Application([url(r'/a', A)])": ("/a",),
    "Application([URLSpec(r'/a', A, name='x')])": ("/a",),
    "Application([tornado.web.url(r'/a', A)])": ("/a",),
    "Application([Rule(PathMatches('/a'), A)])": ("/a",),
    "Application([[r'/a', A]])": ("/a",),
    "ROUTES = [('/a', A), ('/b', A), ('/a', A)]": ("/a", "/b"),
    "app.add_handlers('host', [('/a', A)])": ("/a",),
    "ROUTES.append((PREFIX + '/a', A))": ("/v1/a",),
    "def make():\n    return [(PREFIX, A)]": ("/v1",),
    "def make(p):\n    return [(p + '/a', A)]": ("p + '/a'",),
    "x = [('/a', 'app.A')]": ("/a",),
    "x = [('/a', 'nowhere.A')]": (),
    "x = [('/a', 1)]": (),
    "x = [('a b', A)]": (),
    "x = [(PREFIX, A.get)]": (),
    "x = [(unknown, A)]": (),
    "x = [(unknown(), A)]": (),
    "x = [('/a', unknown)]": (),
    "x = ('/a', A, 1, 2, 3)": (),
    "Rule(PathMatches('/a'))": (),
    "class MyApplication(Application): pass\nMyApplication([('/a', A)])": ("/a",),
    "class OtherApplication: pass\nOtherApplication([('/a', A)])": ("/a",),
    "x = unknown.make_application()": (),
}


@pytest.mark.parametrize("text", FORMS)
def test_form(scanned: Scanned, text: str) -> None:
    """A route is read, with its class."""
    (handler,) = scanned(f"{HEAD}\n{text}\n").handlers
    assert handler.routes == FORMS[text]


OF_CLASSES = {
    "@route('/a')\nclass B(RequestHandler): pass": ("/a",),
    "@route('a')\nclass B(RequestHandler): pass": (),
    "@route(1)\nclass B(RequestHandler): pass": (),
    "@route\nclass B(RequestHandler): pass": (),
    "class B(RequestHandler):\n    url = '/a'": ("/a",),
    "class B(RequestHandler):\n    urls = ['/a', '^/b', 'c', 1]": ("/a", "^/b"),
    "class B(RequestHandler):\n    path = 1": (),
}


@pytest.mark.parametrize("text", OF_CLASSES)
def test_of_a_class(scanned: Scanned, text: str) -> None:
    """A class may name its own routes."""
    handlers = scanned(f"from tornado.web import RequestHandler\n{text}\n").handlers
    assert handlers[0].routes == OF_CLASSES[text]


def test_a_class_without_bases(scanned: Scanned) -> None:
    """What has a route and verbs is a handler, whatever its bases are."""
    report = scanned(
        """
        import corp, requests
        class A(corp.Page):
            def get(self): requests.get("x")
        class B(corp.Page): pass
        ROUTES = [("/a", A), ("/b", B)]
        """
    )
    assert [h.name for h in report.handlers] == ["A"]
    assert found(report) == ["A.get requests.get seen"]


def test_what_routes_pass(scanned: Scanned) -> None:
    """`initialize` gets what routes say; `self.settings` has the application's."""
    report = scanned(
        """
        import requests, tornado.web
        class Client:
            def get(self): requests.get("x")
        class A(tornado.web.RequestHandler):
            def initialize(self, client):
                self.client = client
            def get(self): self.client.get()
            def post(self): self.settings["client"].get()
            def put(self): self.application.settings["client"].get()
            def head(self): self.settings["other"].get()
        class Module:
            def help(self): self.application.settings["client"].get()
        class B(Module, tornado.web.RequestHandler):
            def get(self): self.help()
        app = tornado.web.Application(
            [("/", A, dict(client=Client())), ("/b", B)], client=Client(), **unknown
        )
        """
    )
    assert found(report) == [
        f"{name} requests.get seen" for name in ("A.get", "A.post", "A.put", "B.get")
    ]


@pytest.mark.parametrize(("base", "passes"), [("Application", True), ("object", False)])
def test_settings_of_a_subclass(scanned: Scanned, base: str, passes: bool) -> None:
    """What a class of the project's passes are settings if it is an application."""
    report = scanned(
        f"""
        import requests
        from tornado.web import Application, RequestHandler
        class Client:
            def get(self): requests.get("x")
        class MyApplication({base}): pass
        class A(RequestHandler):
            def get(self): self.settings["client"].get()
        app = MyApplication([("/a", A)], client=Client())
        """
    )
    assert found(report) == ["A.get requests.get seen"] * passes
