"""`report`: what of each route runs where, and why."""

from __future__ import annotations

import concurrent.futures
import functools

from tornado.routing import HostMatches
from tornado.web import (
    Application,
    FallbackHandler,
    RedirectHandler,
    RequestHandler,
    StaticFileHandler,
    url,
)
from tornado.wsgi import WSGIContainer

from tests.unit.handlers.conftest import AsyncWhere, NotFound, Socket, Where
from tornado_unblock import (
    format_report,
    report,
    unblock,
    unblock_application,
)


class Mixed(RequestHandler):
    def get(self) -> None: ...

    async def post(self) -> None: ...

    def prepare(self) -> None: ...


def test_report():
    """A row for each route and verb: where it runs, on what, and why."""

    @unblock(executor="own")
    class Own(Where):
        pass

    app = Application(
        [
            url("/mixed", Mixed),
            ("/socket", Socket),
            ("/out", Where),
            ("/own", Own),
            (HostMatches("h"), [("/nested", AsyncWhere)]),
        ],
        default_handler_class=NotFound,
    )
    assert {row.why for row in report(app)} >= {
        "on the loop, because it is not unblocked"
    }
    unblock_application(app, routes={"/out": None})
    rows = {(row.path, row.verb): row for row in report(app)}
    assert rows["/mixed$", "GET"][3:] == (
        "worker",
        "worker",
        "default",
        "all of it is sync",
    )
    assert rows["/mixed$", "POST"][3:5] == ("loop", "loop")
    assert rows["/mixed$", "POST"].why.startswith(
        "on the loop, because its verb is a coroutine"
    )
    assert rows["/socket$", "GET"].why == "a WebSocket: its hooks hop"
    assert rows["/out$", "GET"][3:] == (
        *("loop", "loop", ""),
        "on the loop, because it is left out",
    )
    assert rows["/own$", "GET"].executor == "own"
    assert rows["/nested$", "GET"].prepare == "loop"
    text = format_report(list(rows.values()))
    assert text.splitlines()[0].split() == list(rows["/out$", "GET"]._fields)


def test_report_names_an_executor_of_ones_own():
    """By its class, as statistics do."""

    class Handler(RequestHandler):
        def get(self) -> None:
            """Serve."""

    with concurrent.futures.ThreadPoolExecutor() as pool:
        app = unblock_application(Application([("/", Handler)]), executor=pool)
        assert [row.executor for row in report(app)] == ["ThreadPoolExecutor"]


def other(method):
    """Stand above `unblock`, as decorators of ten-year-old code do."""

    @functools.wraps(method)
    def wrapper(self, *args):
        return method(self, *args)

    return wrapper


class Decorated(RequestHandler):
    @unblock(executor="own")
    def get(self) -> None: ...

    @other
    @unblock
    def post(self) -> None: ...

    @unblock
    def prepare(self) -> None: ...

    async def put(self) -> None: ...


class Prepares(RequestHandler):
    def prepare(self) -> None: ...


def answer(request) -> None: ...


def test_every_route_and_every_form():
    """Decorated methods, redirects, files, what is passed on, what is no handler."""
    app = Application(
        [
            ("/decorated", Decorated),
            ("/moved", RedirectHandler, {"url": "/"}),
            (r"/static/(.*)", StaticFileHandler, {"path": "."}),
            ("/prepares", Prepares),
            ("/wsgi/.*", FallbackHandler, {"fallback": WSGIContainer(answer)}),
            ("/other", FallbackHandler, {"fallback": answer}),
            ("/function", answer),
        ]
    )

    def rows() -> dict[tuple[str, str], tuple[str, ...]]:
        return {(row.path.rstrip("$"), row.verb): row[3:] for row in report(app)}

    found = rows()
    by_method = "@unblock is on the method"
    alone = "on the loop, because it is not unblocked"
    assert found["/decorated", "GET"] == ("worker", "worker", "own", by_method)
    assert found["/decorated", "POST"] == ("worker", "worker", "default", by_method)
    assert found["/decorated", "PUT"] == ("worker", "loop", "default", alone)
    assert found["/moved", "GET"] == ("loop", "loop", "", alone)
    assert found["/wsgi/.*", "*"] == ("loop", "loop", "", alone)
    unblock_application(app)
    found = rows()
    sync = ("worker", "worker", "default", "all of it is sync")
    assert found["/decorated", "GET"] == ("worker", "worker", "own", sync[3])
    assert found["/moved", "GET"] == found[r"/static/(.*)", "HEAD"] == sync
    assert found["/prepares", "*"] == sync
    assert found["/wsgi/.*", "*"] == (
        *("loop", "worker", "default"),
        "its WSGI application runs in a worker",
    )
    assert found["/other", "*"][3] == (
        "on the loop, because it passes the request on to function"
    )
    assert found["/function", "*"] == (
        *("loop", "loop", ""),
        "on the loop, because it is no RequestHandler",
    )
    assert len(found) == len({path for path, _ in found}) + 3


def test_nested_routes_are_asked_by_their_paths():
    """The options of a route are those that its requests will get."""

    class Handler(RequestHandler):
        def get(self, *args: str) -> None: ...

    app = Application(
        [(r"/api/.*", [(r"/api/orders/(\d+)", Handler), (r"/api/(\w\.\w)", Handler)])]
    )
    routes = {r"/api/orders/\d+": {"executor": "own"}, r"/api/x\.y": None}
    unblock_application(app, routes=routes)
    found = {row.path: row.executor for row in report(app)}
    assert found == {r"/api/orders/(\d+)$": "own", r"/api/(\w\.\w)$": ""}
