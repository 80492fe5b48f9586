"""Errors from before `prepare`, in classes with error pages of their own."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tornado.web import Application, HTTPError, RequestHandler

from tests.unit.conftest import all_quiet
from tornado_unblock import configure, unblock, unblock_application
from tornado_unblock._loop.lease import in_worker

MODES = ["inline", "class", "application"]
moving = pytest.mark.parametrize("mode", MODES[1:])


class Base(RequestHandler):
    """It notes what runs, and where."""

    steps: list[tuple[str, bool]]
    ended: threading.Event

    def note(self, step: str) -> None:
        self.steps.append((step, in_worker()))

    def prepare(self) -> Any:
        self.note("prepare")

    def get(self, word: str) -> Any:
        self.note("get")
        self.write(f"read {word}")

    def post(self, word: str) -> Any:
        self.note("post")
        self.write(f"posted {word}")

    def log_exception(self, *args: Any) -> None:
        self.note("log_exception")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.note(f"write_error {status_code}")
        self.finish(f"page {status_code}")

    def on_finish(self) -> None:
        self.note("on_finish")
        self.ended.set()


class AsyncPrepare(Base):
    async def prepare(self) -> None:
        self.note("prepare")


class AsyncVerbs(Base):
    async def get(self, word: str) -> None:
        self.write(f"read {word}")


class NoPrepare(Base):
    prepare = RequestHandler.prepare


SHAPES = [Base, AsyncPrepare, AsyncVerbs, NoPrepare]
REQUESTS = {
    "405": ("/word", "MADE-UP", 405),
    "xsrf": ("/word", "POST", 403),
    "argument": ("/%ff", "GET", 400),
    "both": ("/%ff", "MADE-UP", 405),
}


@pytest.fixture
def ask(make_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serve a class, send it a request, and return what can be seen of that."""

    def ask(base: Any, mode: str, path: str, method: str = "GET") -> Any:
        own = RequestHandler._execute
        ends: list[tuple[int, bool, int]] = []
        more = {"steps": [], "ended": threading.Event()}
        cls = type("Handler", (base,), more)

        async def _execute(self: Any, *args: Any, **kwargs: Any) -> None:
            await own(self, *args, **kwargs)
            ends.append((self.get_status(), self._finished, len(cls.steps)))

        if mode == "class":
            cls = unblock(cls)
        app = Application([("/(.*)", cls)], xsrf_cookies=True)
        if mode == "application":
            unblock_application(app)
        server = make_server()
        server.call(server.server.stop)
        server.serve(app)
        with monkeypatch.context() as patch:
            patch.setattr(RequestHandler, "_execute", _execute)
            response = server.get(path, method=method)
            assert cls.ended.wait(10)
            server.until(lambda: ends)
            server.call(all_quiet)
        steps = [step for step, _ in cls.steps]
        return (response.status, response.body, steps, ends), cls.steps

    return ask


@moving
@pytest.mark.parametrize("base", SHAPES, ids=lambda base: base.__name__)
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
def test_answered_when_execute_ends(ask, expect_log, base, request_, mode):
    """As inline, to who looks at it there; the page is made on a worker."""
    path, method, status = request_
    expect_log("tornado.access", f"^{status} ")
    inline, _ = ask(base, "inline", path, method)
    found, steps = ask(base, mode, path, method)
    assert found == inline
    assert found[0] == status
    on_worker = base is not AsyncVerbs or method != "GET"
    assert {where for _, where in steps} == {on_worker}


@moving
@pytest.mark.parametrize("base", SHAPES, ids=lambda base: base.__name__)
def test_without_an_error(ask, base, mode):
    """What is in order goes on as ever."""
    inline, _ = ask(base, "inline", "/word")
    found, _ = ask(base, mode, "/word")
    assert found == inline
    assert found[:2] == (200, b"read word")


@moving
def test_page_that_does_not_finish(make_server, allow_log, mode):
    """It is left so, and no verb runs after it."""
    allow_log("tornado", "")
    steps: list[str] = []
    waiting: list[RequestHandler] = []

    class Handler(RequestHandler):
        def prepare(self) -> None:
            steps.append("prepare")

        def get(self) -> None:
            steps.append("get")

        def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
            steps.append(f"send_error {status_code}")
            self.set_status(status_code)
            waiting.append(self)

    cls = unblock(Handler) if mode == "class" else Handler
    app = Application([("/", cls)])
    server = make_server()
    server.call(server.server.stop)
    server.serve(unblock_application(app) if mode == "application" else app)
    client = server.send("/", method="MADE-UP")
    server.until(lambda: waiting)
    server.call(all_quiet)
    assert steps == ["send_error 405"]
    server.call(waiting.pop().finish, "late")
    assert client.recv(4096).startswith(b"HTTP/1.1 405 ")


def test_no_worker_is_free(ask, expect_log):
    """An error page is let in however full the executor is."""
    expect_log("tornado.access", "^405 ")
    configure(max_workers=1, max_waiting=0)
    found, steps = ask(Base, "application", "/word", "MADE-UP")
    assert found[0] == 405
    assert steps[0] == ("log_exception", True)


def test_loop_thread_answers_where_no_worker_may(make_server, expect_log):
    """What is turned away is answered without one."""
    expect_log("tornado.access", "^503 ")

    class Handler(Base):
        steps: list[tuple[str, bool]] = []
        ended = threading.Event()

        def decode_argument(self, value: bytes, name: Any = None) -> str:
            from tornado_unblock import RejectedError

            raise RejectedError("no room", reason="full", retry_after=1)

    app = unblock_application(Application([("/(.*)", Handler)]))
    server = make_server()
    server.call(server.server.stop)
    server.serve(app)
    assert server.get("/word").status == 503
    assert Handler.ended.wait(10)
    assert ("write_error 503", False) in Handler.steps


def test_second_error_is_not_the_one(make_server, expect_log):
    """The first error counts where the request's body cannot be parsed either."""
    expect_log("tornado.access", "^405 ")

    class Handler(Base):
        steps: list[tuple[str, bool]] = []
        ended = threading.Event()

        def initialize(self) -> None:
            def refuse() -> None:
                raise HTTPError(400)

            self.request._parse_body = refuse  # type: ignore[method-assign]

    app = unblock_application(Application([("/(.*)", Handler)]))
    server = make_server()
    server.call(server.server.stop)
    server.serve(app)
    assert server.get("/word", method="MADE-UP").status == 405
    assert Handler.ended.wait(10)
