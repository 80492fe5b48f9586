"""Whose a request is, and what may be said of it."""

from __future__ import annotations

import contextvars
import functools
import gc
import weakref
from typing import Any

from tornado.routing import HostMatches, PathMatches, Rule, RuleRouter
from tornado.web import Application, RequestHandler, _HandlerDelegate

from tests.unit.stalls.samples import Delegate, Orders, Request, owner
from tornado_unblock._stalls.owner import (
    mark_of,
    mark_requests,
    marked,
    owner_in,
    stop_marking,
)


def test_keeps_nothing_alive() -> None:
    """A context that outlives the request does not hold it."""
    delegate = Delegate()
    request = weakref.ref(delegate.request)
    kept = owner(delegate)
    del delegate
    gc.collect()
    assert request() is None
    assert kept.endpoint() == "Orders.get"
    assert kept.request_id() == ""


def test_methods_that_clients_make_up() -> None:
    """They are no names of endpoints."""
    delegate = Delegate()
    delegate.request.method = "X" * 5000
    made_up = owner(delegate)
    assert made_up.verb == ""
    assert made_up.endpoint() == "Orders"
    assert made_up.endpoint("on_message") == "Orders.on_message"


def test_paths_are_cut_and_cleaned() -> None:
    """What a client sends cannot add lines to a log."""
    delegate = Delegate()
    delegate.request.path = "/a\n\x1b[31mERROR\u2028" + "x" * 5000
    path = owner(delegate).shown_path()
    assert path.startswith("/a\\n\\x1b[31mERROR\\u2028xx")
    assert len(path) < 250


def test_request_ids() -> None:
    """They come from an attribute or a header, never from a property."""

    class WithProperty(Request):
        @property
        def request_id(self) -> str:
            raise AssertionError("it must not run")

    delegate = Delegate()
    delegate.request = request = WithProperty()
    request.headers = {"X-Correlation-Id": "c-1\n"}
    asked = owner(delegate)
    asked.ask(request)  # type: ignore[arg-type]
    assert asked.request_id() == "c-1\\n"
    vars(request)["trace_id"] = 7
    asked.ask(request)  # type: ignore[arg-type]
    assert asked.request_id() == "7"
    other = Delegate()
    assert owner(other).request_id() == ""


def test_handlers_that_are_wrapped() -> None:
    """The class is found behind what makes the handler."""

    def make(cls: type, *args: Any) -> Any:
        """Is never called."""

    wrapped = functools.partial(functools.partial(make, Orders), "x")
    assert owner(Delegate(wrapped)).handler_class is Orders
    assert owner(Delegate(functools.partial(Orders))).handler_class is Orders
    assert owner(Delegate(lambda *args: None)).handler_class is RequestHandler


def route(application: Any, path: str) -> str:
    delegate = Delegate(application=application)
    delegate.request.path = path
    return owner(delegate).route()


def test_routes() -> None:
    """The rule is found in the application, its hosts, and what is nested in it."""

    class Other(RequestHandler):
        pass

    app = Application([(r"/orders", Other), (r"/orders/(\d+)$", Orders)])
    assert route(app, "/orders/7") == r"/orders/(\d+)"
    assert route(app, "/elsewhere") == ""
    app.add_handlers("example.test", [(r"/hosts/(.*)", Orders)])
    assert route(app, "/hosts/a") == r"/hosts/(.*)"
    nested = Application([(r"/api/.*", Application([(r"/api/x", Orders)]))])
    assert route(nested, "/api/x") == "/api/x"
    rules = [Rule(PathMatches("/r/.*"), RuleRouter([Rule(HostMatches("a"), Orders)]))]
    assert route(Application(rules), "/r/1") == ""
    assert route("no application", "/orders/7") == ""


def test_contexts() -> None:
    """A context tells whose it is, or that it is nobody's."""
    context = contextvars.copy_context()
    assert owner_in(context) is None
    assert owner_in(None) is None
    delegate = Delegate()
    context.run(marked.set, mark_of(delegate))
    mine = owner_in(context)
    assert mine is not None
    assert mine.endpoint() == "Orders.get"


def test_marking_twice() -> None:
    """It is put in place once, and taken away once."""
    plain = _HandlerDelegate.execute
    mark_requests()
    marking = _HandlerDelegate.execute
    mark_requests()
    assert _HandlerDelegate.execute is marking
    stop_marking()
    stop_marking()
    assert _HandlerDelegate.execute is plain
