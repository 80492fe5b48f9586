"""A WSGI application behind a FallbackHandler runs in a worker."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from tornado.web import FallbackHandler, RequestHandler
from tornado.wsgi import WSGIContainer

from tests.patience import WAIT
from tests.unit.conftest import Response, Server, all_quiet, read
from tornado_unblock import configure, report, unblock_application


def here() -> str:
    return threading.current_thread().name


@pytest.fixture
def serve(make_server: Any) -> Callable[..., Server]:
    """Serve what a FallbackHandler passes requests to, unblocked."""

    def start(fallback: Any, cls: Any = FallbackHandler, **options: Any) -> Server:
        server = make_server((r"/.*", cls, {"fallback": fallback}))
        assert server.server is not None
        unblock_application(server.server.request_callback, **options)
        return server

    return start


def post(server: Server, body: bytes) -> Response:
    client = server.send(
        "/a%20b?x=1",
        method="POST",
        headers=f"Content-Type: text/x\r\nContent-Length: {len(body)}\r\n",
    )
    client.sendall(body)
    return read(client)


class Body:
    """An iterable that notes where it is read and closed."""

    def __init__(self, notes: list[str], *parts: bytes) -> None:
        self._notes, self._parts = notes, parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self._notes.append(here())
            yield part

    def close(self) -> None:
        self._notes.append(here())


def test_all_of_the_application_runs_in_one_hop(serve):
    """The call, the iterable and its close, on one worker; the answer is Tornado's."""
    notes: list[str] = []
    seen: dict[str, Any] = {}

    def application(environ: Any, start_response: Any) -> Any:
        notes.append(here())
        seen.update(environ, body=environ["wsgi.input"].read())
        write = start_response("201 Made", [("X-Mine", "1")])
        write(b"<written>")
        return Body(notes, b"one", b"two")

    answer = post(serve(WSGIContainer(application)), b"posted")
    assert (answer.status, answer.body) == (201, b"<written>onetwo")
    assert answer.headers["X-Mine"] == "1"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert seen["body"] == b"posted"
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("text/x", "6")
    assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/a b", "x=1")
    assert seen["wsgi.multithread"] is True
    assert len(set(notes)) == 1
    assert len(notes) == 4
    assert notes[0].startswith("unblock-default")


def test_two_requests_at_once(serve):
    """They meet at a barrier, which they could not on the loop thread."""
    together = threading.Barrier(2)

    def application(environ: Any, start_response: Any) -> Any:
        together.wait(WAIT)
        start_response("200 OK", [])
        return [b"met"]

    server = serve(WSGIContainer(application))
    clients = [server.send("/") for _ in range(2)]
    assert [read(client).body for client in clients] == [b"met", b"met"]


@pytest.mark.parametrize("late", [False, True])
def test_application_that_raises(serve, expect_log, late):
    """The client gets a 500, whether it had begun or not; its body is closed."""
    expect_log("tornado.application", "Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")
    notes: list[str] = []

    class Failing(Body):
        def __iter__(self) -> Iterator[bytes]:
            yield b"begun"
            raise LookupError

    def application(environ: Any, start_response: Any) -> Any:
        if not late:
            raise LookupError
        start_response("200 OK", [])
        return Failing(notes)

    server = serve(WSGIContainer(application))
    assert server.get("/").status == 500
    assert len(notes) == late
    server.call(all_quiet)


def test_application_that_answers_an_error_of_its_own(serve, expect_log):
    """The last word of `start_response` counts."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise LookupError
        except LookupError as error:
            info = (type(error), error, None)
            start_response("503 Sorry", [("X-Second", "2")], info)
        return [b"sorry"]

    expect_log("tornado.access", "503 GET /")
    answer = serve(WSGIContainer(application)).get("/")
    assert (answer.status, answer.body) == (503, b"sorry")
    assert "X-First" not in answer.headers


def test_application_that_never_starts(serve, expect_log):
    """What Tornado says of that is what happens."""
    expect_log("tornado.application", "Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")
    server = serve(WSGIContainer(lambda environ, start_response: [b"x"]))
    assert server.get("/").status == 500


def test_application_that_runs_too_long(serve, expect_log):
    """A timeout is answered with 504; the application runs on, and nobody hears it."""
    expect_log("tornado.application", "still running after 0.05 s")
    expect_log("tornado.general", "504 GET /")
    expect_log("tornado.access", "504 GET /")
    gate, ended = threading.Event(), threading.Event()

    def application(environ: Any, start_response: Any) -> Any:
        assert gate.wait(WAIT)
        start_response("200 OK", [])
        ended.set()
        return [b"too late"]

    server = serve(WSGIContainer(application), timeout=0.05)
    answer = server.get("/")
    assert answer.status == 504
    assert b"too late" not in answer.raw
    gate.set()
    assert ended.wait(WAIT)
    server.call(all_quiet)


def test_executor_by_name(serve):
    """It is the one that the application's routes have."""
    configure("web", max_workers=2)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [here().encode()]

    server = serve(WSGIContainer(application), executor="web")
    assert server.get("/").body.startswith(b"unblock-web")


class Own(FallbackHandler):
    """A `prepare` of its own."""

    def prepare(self) -> None:
        super().prepare()


class OwnContainer(WSGIContainer):
    """A call of its own."""

    def __call__(self, request: Any) -> None:
        super().__call__(request)


def say_where(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [here().encode()]


@pytest.mark.parametrize(
    ("cls", "container"),
    [(Own, WSGIContainer(say_where)), (FallbackHandler, OwnContainer(say_where))],
)
def test_what_is_left_alone(serve, cls, container):
    """Classes that do something of their own do it where they did."""
    assert serve(container, cls).get("/").body == b"loop"


def test_container_with_an_executor(serve):
    """Somebody has chosen already."""
    with concurrent.futures.ThreadPoolExecutor(1, "chosen") as executor:
        try:
            container = WSGIContainer(say_where, executor=executor)
        except TypeError:
            pytest.skip("this Tornado's WSGIContainer has no executor")
        assert serve(container).get("/").body.startswith(b"chosen")


def test_fallback_that_is_no_container(serve):
    """Anything else is passed the request as ever."""
    from tornado.web import Application

    class Inner(RequestHandler):
        def get(self) -> None:
            self.write("inner")

    assert serve(Application([("/", Inner)])).get("/").body == b"inner"


@pytest.mark.allow_threads(r"Thread-\d+ \(_thread\)")  # sentry_sdk's, if it is there
def test_flask(serve):
    """A real framework: a view that blocks, a streamed answer, a form."""
    flask = pytest.importorskip("flask")
    application = flask.Flask(__name__)

    @application.post("/<path:path>")
    def view(path: str) -> Any:
        def parts() -> Iterator[str]:
            yield f"{path} {flask.request.args['x']} "
            yield f"{flask.request.data.decode()} {here()}"

        return flask.stream_with_context(parts())

    answer = post(serve(WSGIContainer(application)), b"data")
    assert answer.body.startswith(b"a b 1 data unblock-default")


def test_report(serve):
    """It says what of the route runs where."""
    server = serve(WSGIContainer(say_where))
    rows = report(server.server.request_callback)
    assert all("WSGI application runs in a worker" in row.why for row in rows)
