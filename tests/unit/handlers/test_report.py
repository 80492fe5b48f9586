"""`report`: what of each route runs where, and why."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import re
import threading

import pytest
from tornado.routing import HostMatches
from tornado.web import (
    Application,
    FallbackHandler,
    RedirectHandler,
    RequestHandler,
    StaticFileHandler,
    authenticated,
    stream_request_body,
    url,
)
from tornado.websocket import WebSocketHandler, websocket_connect
from tornado.wsgi import WSGIContainer

from tests.unit.handlers.conftest import AsyncWhere, NotFound, Socket, Where
from tornado_unblock import (
    configure,
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
    assert rows["/socket$", "GET"].why == (
        "a WebSocket: its hooks hop; it sees the running loop"
    )
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
    assert found["/decorated", "PUT"] == (
        *("worker", "loop", "default"),
        f"{alone}; @unblock is on prepare",
    )
    assert found["/moved", "GET"] == ("loop", "loop", "", alone)
    assert found["/wsgi/.*", "*"] == ("loop", "loop", "", alone)
    unblock_application(app)
    found = rows()
    sync = ("worker", "worker", "default", "all of it is sync")
    assert found["/decorated", "GET"] == ("worker", "worker", "own", sync[3])
    assert found["/moved", "GET"] == sync
    assert found[r"/static/(.*)", "HEAD"] == (
        *sync[:3],
        "its coroutine awaits only what it sends",
    )
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


def here() -> str:
    return threading.current_thread().name


class Base(RequestHandler):
    """Tells the threads of `prepare` and of the verb."""

    def prepare(self) -> None:
        self.prepared = here()

    def tell(self) -> None:
        self.write(f"{self.prepared} {here()}")


class OnVerb(Base):
    @unblock(executor="own")
    def get(self) -> None:
        self.tell()

    @other
    @unblock
    def post(self) -> None:
        self.tell()

    async def put(self) -> None:
        self.tell()

    @authenticated
    async def delete(self) -> None:
        self.tell()

    def get_current_user(self) -> str:
        return "somebody"


class OnPrepare(Base):
    @unblock(executor="own")
    def prepare(self) -> None:
        self.prepared = here()

    async def get(self) -> None:
        self.tell()


class OnHelper(Base):
    @unblock
    def load(self) -> None: ...

    async def get(self) -> None:
        await self.load()
        self.tell()


class AsyncPrepare(Base):
    async def prepare(self) -> None:
        self.prepared = here()

    def get(self) -> None:
        self.tell()


@unblock(executor="of_class")
class Whole(OnVerb):
    pass


@stream_request_body
class Streamed(Base):
    def data_received(self, chunk: bytes) -> None: ...

    def post(self) -> None:
        self.tell()


HANDLERS = (OnVerb, OnPrepare, OnHelper, AsyncPrepare, Whole, Streamed)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.filterwarnings("ignore:.*belongs into prepare:UserWarning")
def test_what_is_reported_is_what_runs(serve, whole):
    """Each verb of each form is asked where it runs, and on which executor."""
    for name in ("own", "of_class", "of_app"):
        configure(name, max_workers=2)
    app = Application([(f"/{cls.__name__}", cls) for cls in HANDLERS])
    if whole:
        unblock_application(app, executor="of_app")
    server = serve(app)
    rows = report(app)
    assert len(rows) > len(HANDLERS)
    for row in rows:
        path = row.path.rstrip("$")
        response = server.get(path, method=row.verb, headers="Content-Length: 0\r\n")
        threads = response.body.decode().split()
        on = [re.sub(r"unblock-(.*)-\d+", r"\1", name) for name in threads]
        assert on == [
            row.executor if where == "worker" else "loop"
            for where in (row.prepare, row.body)
        ], row


class Talks(WebSocketHandler):
    def on_message(self, message: object) -> None:
        self.write_message(here())


class TalksByMethod(WebSocketHandler):
    @unblock(executor="own")
    def on_message(self, message: object) -> None:
        self.write_message(here())


class TalksAsync(WebSocketHandler):
    async def on_message(self, message: object) -> None:
        self.write_message(here())


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_reported_of_sockets_is_what_runs(serve, whole):
    """By their hooks, whichever form moves them."""
    for name in ("own", "of_app"):
        configure(name, max_workers=2)
    app = Application(
        [(f"/{cls.__name__}", cls) for cls in (Talks, TalksByMethod, TalksAsync)]
    )
    if whole:
        unblock_application(app, executor="of_app")
    server = serve(app)

    async def talk(path: str) -> str:
        client = await websocket_connect(f"ws://127.0.0.1:{server.port}{path}")
        server.web_sockets.append(client)
        await client.write_message("?")
        return str(await client.read_message())

    rows = {row.path: row for row in report(app)}
    for path, row in rows.items():
        on = re.sub(r"unblock-(.*)-\d+", r"\1", server.call(talk, path.rstrip("$")))
        assert on == (row.executor if row.body == "worker" else "loop"), row
    assert rows["/TalksByMethod$"].why == (
        f"a WebSocket{': its hooks hop' if whole else ''}; "
        "@unblock is on on_message; it sees the running loop"
    )
    assert rows["/TalksAsync$"].why == (
        "on the loop, because it is "
        + ("a WebSocket without sync hooks" if whole else "not unblocked")
    )


class Claims:
    """Claims any attribute, and to stand around another of its kind."""

    def __getattr__(self, name: str) -> Claims:
        return Claims()


def test_attributes_that_claim_anything():
    """What is no decorator is none for a report either."""

    class Odd(RequestHandler):
        claims = Claims()

        def get(self) -> None: ...

    (row,) = report(unblock_application(Application([("/", Odd)])))
    assert row.why == "all of it is sync"


def test_who_sees_the_running_loop():
    """A body whose code asks for it, and the hooks of WebSockets, but for some."""

    class Asks(RequestHandler):
        def prepare(self) -> None:
            self.work = asyncio.get_running_loop

        def get(self) -> None: ...

    class ByMethod(RequestHandler):
        @unblock
        def get(self) -> None:
            asyncio.get_running_loop()

        @unblock
        def post(self) -> None: ...

    class RunsItsOwn(Socket):
        def open(self) -> None:
            asyncio.run(asyncio.sleep(0))

        def on_message(self, message: object) -> None:
            asyncio.run(asyncio.sleep(0))

        def on_close(self) -> None:
            asyncio.run(asyncio.sleep(0))

    app = Application(
        [("/a", Asks), ("/m", ByMethod), ("/s", Socket), ("/o", RunsItsOwn)]
    )
    rows = {(row.path, row.verb): row.why for row in report(unblock_application(app))}
    sees = [
        key for key, why in rows.items() if why.endswith("; it sees the running loop")
    ]
    assert sees == [("/a$", "GET"), ("/m$", "GET"), ("/s$", "GET")]
