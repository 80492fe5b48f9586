"""`unblock_application`: every road to a handler, and the report about them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.routing import HostMatches, PathMatches, Rule, RuleRouter
from tornado.web import (
    Application,
    FallbackHandler,
    RedirectHandler,
    StaticFileHandler,
)

from tests.unit.handlers.conftest import AsyncWhere, NotFound, Where
from tornado_unblock import (
    ConfigurationError,
    report,
    unblock,
    unblock_application,
)


class Other(Where):
    pass


def moved(response: Any) -> bool:
    """Whether a worker of the global executor answered."""
    return b"unblock-default-" in response.body


def test_it_changes_and_returns_the_same_application(serve):
    """Its classes stay as they are for other applications."""
    app = Application([("/", Where), ("/async", AsyncWhere)])
    assert unblock_application(app) is app
    server = serve(app)
    assert moved(server.get("/"))
    assert server.get("/async").body == b"loop"
    assert serve(Application([("/", Where)])).get("/").body == b"loop"


def test_after_listen_and_with_handlers_added_later(serve):
    """It may come last, and so may handlers."""
    app = Application([("/", Where)])
    server = serve(app)
    assert server.get("/").body == b"loop"
    unblock_application(app)
    assert moved(server.get("/"))
    app.add_handlers(".*", [("/added", Where)])
    app.wildcard_router.rules.append(Rule(PathMatches("/rule"), Where))
    assert moved(server.get("/added"))
    assert moved(server.get("/rule"))


def test_nested_routers_and_applications(serve):
    """Whichever router made the delegate, the outermost has it moved."""
    inner = Application([("/app/inner", Where)])
    rules = [
        Rule(PathMatches("/plain"), Where),
        Rule(PathMatches("/router/.*"), RuleRouter([Rule(HostMatches("x"), Where)])),
        Rule(PathMatches("/app/.*"), inner),
    ]
    app = Application([(HostMatches("x"), RuleRouter(rules[:1])), *rules])
    unblock_application(app)
    server = serve(app)
    for path in ("/app/inner",):
        assert moved(server.get(path))
    assert serve(inner).get("/app/inner").body == b"loop"


def test_a_bare_router(serve):
    """A RuleRouter in front of applications will do."""
    inner = Application([("/inner", Where)])
    router = RuleRouter([Rule(PathMatches("/inner"), inner)])
    assert moved(serve(unblock_application(router)).get("/inner"))


def test_handlers_of_tornado(serve, tmp_path, expect_log):
    """Redirects, static files, errors and the default handler move too."""
    expect_log("tornado.access", "404 GET")
    (tmp_path / "file.txt").write_bytes(b"0123456789" * 100_000)
    opened: list[str] = []

    class Static(StaticFileHandler):
        @classmethod
        def get_content(cls, abspath: str, *args: Any) -> Any:
            opened.append(threading.current_thread().name)
            return super().get_content(abspath, *args)

    app = Application(
        [
            ("/redirect", RedirectHandler, {"url": "/there"}),
            ("/static/(.*)", Static, {"path": str(tmp_path)}),
        ],
        default_handler_class=NotFound,
    )
    server = serve(unblock_application(app))
    assert server.get("/redirect").headers["Location"] == "/there"
    whole = server.get("/static/file.txt")
    assert whole.body == b"0123456789" * 100_000
    part = server.get("/static/file.txt", headers="Range: bytes=10-14\r\n")
    assert (part.status, part.body) == (206, b"01234")
    head = server.get("/static/file.txt", method="HEAD")
    assert (head.headers["Content-Length"], head.body) == ("1000000", b"")
    tag = f"If-None-Match: {whole.headers['Etag']}\r\n"
    assert server.get("/static/file.txt", headers=tag).status == 304
    assert opened
    assert "loop" not in opened
    assert moved(server.get("/nowhere"))


def test_404_without_a_default_handler(serve, expect_log):
    """Tornado's own page."""
    expect_log("tornado.access", "404 GET")
    server = serve(unblock_application(Application([])))
    assert b"404: Not Found" in server.get("/nowhere").body


def test_fallback_handlers_stay_on_the_loop(serve):
    """They pass the request on, and finish nothing themselves."""
    inner = Application([("/.*", Where)])
    rules = [("/inner", FallbackHandler, {"fallback": inner})]
    server = serve(unblock_application(Application(rules)))
    assert server.get("/inner").body == b"loop"


def test_options_by_path_and_by_class(serve):
    """The first match counts; None leaves a route out."""
    app = Application(
        [("/reports/(?:.*)", Where), ("/other", Other), ("/out", Where), ("/", Where)]
    )
    unblock_application(
        app,
        routes={
            "/reports/.*": {"executor": "reports"},
            "/out": None,
            Other: {"executor": "others"},
        },
        executor="rest",
    )
    server = serve(app)
    assert server.get("/reports/7").body == b"unblock-reports-1"
    assert server.get("/other").body == b"unblock-others-1"
    assert server.get("/out").body == b"loop"
    assert server.get("/").body == b"unblock-rest-1"


def test_decorated_handlers_keep_their_own_options(serve):
    """Classes and methods alike."""

    @unblock(executor="class")
    class Decorated(Where):
        pass

    class Method(Where):
        @unblock(executor="method")
        def get(self) -> None:
            super().get()

    app = Application([("/class", Decorated), ("/method", Method)])
    server = serve(unblock_application(app, executor="application"))
    assert server.get("/class").body == b"unblock-class-1"
    assert server.get("/method").body == b"unblock-method-1"


@pytest.mark.parametrize(
    ("app", "options", "error", "message"),
    [
        (Where, {}, TypeError, "expects a tornado"),
        (Application(), {"timeout": -1}, ConfigurationError, "positive number"),
        (Application(), {"speed": 1}, TypeError, "speed"),
        (Application(), {"routes": {7: None}}, TypeError, "a handler class"),
        (Application(), {"routes": {"[": None}}, ConfigurationError, "regular expr"),
        (Application(), {"routes": {"/": {"speed": 1}}}, TypeError, "speed"),
    ],
)
def test_misuse(app, options, error, message):
    """Bad options never reach a request."""
    with pytest.raises(error, match=message):
        unblock_application(app, **options)


def test_targets_that_are_no_handlers(serve):
    """Callables are called as ever, and the report says so."""

    def hello(request: Any) -> None:
        request.connection.write_headers(
            ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"hello"
        )
        request.connection.finish()

    router = RuleRouter([Rule(PathMatches("/hello"), hello)])
    unblock_application(router)
    (row,) = report(router)
    assert row.why == "on the loop, because it is no RequestHandler"
    assert report(unblock_application(Application())) == []
    assert serve(router).get("/hello").body.endswith(b"hello\r\n0\r\n\r\n")
