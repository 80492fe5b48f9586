"""`report`: what of each route runs where, and why."""

from __future__ import annotations

import concurrent.futures

from tornado.routing import HostMatches
from tornado.web import (
    Application,
    RequestHandler,
    url,
)

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
    assert {row.why for row in report(app)} >= {"not unblocked"}
    unblock_application(app, routes={"/out": None})
    rows = {(row.path, row.verb): row for row in report(app)}
    assert rows["/mixed$", "GET"][3:] == (
        "worker",
        "worker",
        "default",
        "all of it is sync",
    )
    assert rows["/mixed$", "POST"][3:5] == ("loop", "loop")
    assert rows["/mixed$", "POST"].why.startswith("its verb is a coroutine")
    assert rows["/socket$", "GET"].why == "a WebSocket: its hooks hop"
    assert rows["/out$", "GET"][3:] == ("loop", "loop", "", "left out")
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
