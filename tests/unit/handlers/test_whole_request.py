"""A class with `unblock`: one hop, one thread, errors and coroutines included."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import Any

import pytest
from tornado.web import (
    HTTPError,
    RequestHandler,
    UIModule,
    authenticated,
    stream_request_body,
)

from tests.unit.gates import here
from tornado_unblock import cancelled, configure, unblock
from tornado_unblock._limits.placement import limiters
from tornado_unblock._loop.portal import current_portal


class Noting(RequestHandler):
    """Notes which thread runs which hook."""

    def initialize(self, notes: list[tuple[str, str]]) -> None:
        self.notes = notes

    def note(self, what: str) -> None:
        self.notes.append((what, here()))

    def prepare(self) -> None:
        self.note("prepare")

    def get_current_user(self) -> Any:
        self.note("user")
        return self.get_argument("user", None)

    def write_error(self, status: int, **kwargs: Any) -> None:
        self.note("write_error")
        self.finish(f"error {status}")

    def log_exception(self, *args: Any) -> None:
        self.note("log_exception")

    def compute_etag(self) -> None:
        self.note("etag")

    def on_finish(self) -> None:
        self.note("on_finish")


def run(make_server: Any, cls: Any, path: str = "/", **settings: Any) -> Any:
    """Serve one request; return its response and who ran what."""
    notes: list[tuple[str, str]] = []
    server = make_server(("/", cls, {"notes": notes}), **settings)
    response = server.get(path)
    server.until(lambda: any(what == "on_finish" for what, _ in notes))
    return response, notes


def test_one_hop_on_one_worker(make_server):
    """prepare, current_user, verb, finish and on_finish, in this order."""

    @unblock
    class Handler(Noting):
        @authenticated
        def get(self) -> str:
            self.note("get")
            return f"for {self.current_user}"

    response, notes = run(make_server, Handler, "/?user=ann")
    assert response.body == b"for ann"
    assert [what for what, _ in notes] == [
        "prepare",
        "user",
        "get",
        "etag",
        "on_finish",
    ]
    assert {thread for _, thread in notes} == {"unblock-default-1"}


@pytest.mark.parametrize("where", ["prepare", "get", "finish", "user"])
def test_errors_are_handled_there_too(make_server, expect_log, where):
    """log_exception, write_error and on_finish run on the same worker."""
    expect_log("tornado.access", "418 GET /")

    @unblock
    class Handler(Noting):
        def fail(self, what: str) -> None:
            self.note(what)
            if what == where:
                raise HTTPError(418)

        def prepare(self) -> None:
            self.fail("prepare")
            self.current_user  # noqa: B018

        def get_current_user(self) -> None:
            self.fail("user")

        def get(self) -> None:
            self.fail("get")

        def finish(self, chunk: Any = None) -> Any:
            if self.get_status() == 200:
                self.fail("finish")
            return super().finish(chunk)

    response, notes = run(make_server, Handler)
    assert response.status == 418
    assert response.body == b"error 418"
    assert [what for what, _ in notes][-3:] == [
        "log_exception",
        "write_error",
        "on_finish",
    ]
    assert {thread for _, thread in notes} == {"unblock-default-1"}


def test_errors_before_prepare_are_rendered_in_a_worker(make_server, expect_log):
    """A missing xsrf cookie is found on the loop thread; its page may query."""
    expect_log("tornado.access", "403 POST /")

    @unblock
    class Handler(Noting):
        def post(self) -> None:
            self.note("post")

    notes: list[tuple[str, str]] = []
    server = make_server(("/", Handler, {"notes": notes}), xsrf_cookies=True)
    assert server.get("/", method="POST").body == b"error 403"
    server.until(lambda: len(notes) == 3)
    assert [what for what, _ in notes] == ["log_exception", "write_error", "on_finish"]
    assert {thread for _, thread in notes} == {"unblock-default-1"}


def test_subclasses_move_too(make_server):
    """Also those that override prepare or a verb, with or without super()."""

    @unblock
    class Base(Noting):
        def get(self) -> None:
            self.note("get")

    class Silent(Base):
        def prepare(self) -> None:
            self.note("own prepare")

    class Polite(Base):
        def get(self) -> None:
            super().get()
            self.note("own get")

    _, notes = run(make_server, Silent)
    assert [w for w, _ in notes] == ["own prepare", "get", "etag", "on_finish"]
    assert len({t for _, t in notes}) == 1
    _, notes = run(make_server, Polite)
    assert [w for w, _ in notes] == ["prepare", "get", "own get", "etag", "on_finish"]
    assert {t for _, t in notes} == {"unblock-default-1"}


def test_coroutines_stay_on_the_loop_thread(make_server):
    """With an async verb all is as it was: a session opened in prepare is there."""

    @unblock
    class Handler(Noting):
        async def get(self) -> None:
            await asyncio.sleep(0)
            self.note("get")

    _, notes = run(make_server, Handler)
    assert [what for what, _ in notes] == ["prepare", "get", "etag", "on_finish"]
    assert {t for _, t in notes} == {"loop"}


def test_async_prepare_and_sync_verb(make_server):
    """The verb, finish and on_finish share a hop."""

    @unblock
    class Handler(Noting):
        async def prepare(self) -> None:
            self.note("prepare")

        def get(self) -> None:
            self.note("get")

    _, notes = run(make_server, Handler)
    assert [what for what, _ in notes] == ["prepare", "get", "etag", "on_finish"]
    assert [t == "loop" for _, t in notes] == [True, False, False, False]


def test_errors_of_a_coroutine_are_rendered_in_a_worker(make_server, expect_log):
    """If a sync verb returned it: its log_exception and what follows hop."""
    expect_log("tornado.access", "418 GET /")

    @unblock
    class Handler(Noting):
        def get(self) -> Any:
            return self.fail()

        async def fail(self) -> None:
            raise HTTPError(418)

    response, notes = run(make_server, Handler)
    assert response.body == b"error 418"
    assert [what for what, _ in notes][1:] == [
        "log_exception",
        "write_error",
        "on_finish",
    ]
    assert not [what for what, thread in notes if thread == "loop"]


def test_prepare_that_returns_an_awaitable(make_server):
    """It is awaited on the loop thread; then the verb gets a hop of its own."""

    @unblock
    class Handler(Noting):
        def prepare(self) -> Any:
            self.note("prepare")
            return self.later()

        async def later(self) -> None:
            self.note("later")

        def get(self) -> None:
            self.note("get")

    _, notes = run(make_server, Handler)
    assert [w for w, _ in notes] == ["prepare", "later", "get", "etag", "on_finish"]
    assert [t == "loop" for _, t in notes] == [False, True, False, False, False]


def test_prepare_that_finishes(make_server):
    """The verb does not run."""

    @unblock
    class Handler(Noting):
        def prepare(self) -> None:
            self.finish("from prepare")

        def get(self) -> None:
            self.note("get")

    response, notes = run(make_server, Handler)
    assert response.body == b"from prepare"
    assert [what for what, _ in notes] == ["etag", "on_finish"]


def test_verb_that_returns_an_awaitable(make_server):
    """It is awaited, and the verb does not run twice."""

    @unblock
    class Handler(Noting):
        def get(self) -> Any:
            self.note("get")
            return self.later()

        async def later(self) -> None:
            self.write("later")

    response, notes = run(make_server, Handler)
    assert response.body == b"later"
    assert [what for what, _ in notes].count("get") == 1
    assert ("on_finish", "loop") not in notes


def test_verb_that_leaves_the_request_open(make_server):
    """``_auto_finish = False``, finished later by another thread: it runs once."""
    threads = []

    @unblock
    class Handler(Noting):
        def get(self) -> None:
            self._auto_finish = False
            self.note("get")
            threads.append(threading.Thread(target=self.finish, args=("open",)))
            threads[0].start()

    response, notes = run(make_server, Handler)
    threads[0].join(10)
    assert response.body == b"open"
    assert [what for what, _ in notes].count("get") == 1


def test_verb_not_allowed(make_server, expect_log):
    """A 405 with the handler's own page."""
    expect_log("tornado.access", "405 GET /")
    response, notes = run(make_server, unblock(type("Handler", (Noting,), {})))
    assert response.body == b"error 405"
    assert {t for _, t in notes} == {"unblock-default-1"}


def test_calling_a_verb_from_prepare(make_server):
    """In a worker every method is the plain one again."""

    @unblock
    class Handler(Noting):
        def prepare(self) -> None:
            self.get()

        def get(self) -> None:
            self.note("get")

    _, notes = run(make_server, Handler)
    assert [what for what, _ in notes] == ["get", "get", "etag", "on_finish"]


def test_options_of_class_and_method(make_server):
    """A decorated verb keeps its own; a decorated subclass counts before its base."""

    class Where(RequestHandler):
        def get(self) -> str:
            return here()

        @unblock(executor="method")
        def post(self) -> str:
            return here()

    @unblock(executor="base")
    class Base(Where):
        pass

    @unblock(executor="child")
    class Child(Base):
        pass

    server = make_server(("/base", Base), ("/child", Child))
    assert server.get("/base").body == b"unblock-base-1"
    assert server.get("/child").body == b"unblock-child-1"
    assert server.get("/child", method="POST").body == b"unblock-method-1"


def test_thread_bound_session(make_server, tmp_path):
    """A SQLite connection opened in prepare serves templates and closes at the end."""
    (tmp_path / "page.html").write_text("{{ handler.count() }} {% module Rows() %}")
    local = threading.local()

    class Rows(UIModule):
        def render(self) -> str:
            return str(local.db.execute("select 7").fetchone()[0])

    @unblock
    class Handler(Noting):
        def prepare(self) -> None:
            local.db = sqlite3.connect(":memory:")

        def count(self) -> int:
            return int(local.db.execute("select 3").fetchone()[0])

        def get_user_locale(self) -> Any:
            local.db.execute("select 1")

        def get(self) -> None:
            self.locale  # noqa: B018
            self.render("page.html")

        def on_finish(self) -> None:
            local.db.close()
            del local.db
            super().on_finish()

    response, _ = run(
        make_server, Handler, template_path=str(tmp_path), ui_modules={"Rows": Rows}
    )
    assert response.body == b"3 7"


def test_upload_is_written_in_workers(make_server):
    """``data_received`` hops, in order, and the client waits meanwhile."""
    parts: list[tuple[bytes, str]] = []

    @unblock
    @stream_request_body
    class Handler(RequestHandler):
        def prepare(self) -> None:
            parts.append((b"", here()))

        def data_received(self, chunk: bytes) -> None:
            parts.append((chunk, here()))

        def put(self) -> str:
            return str(sum(len(chunk) for chunk, _ in parts))

    body = bytes(range(256)) * 4000
    server = make_server(("/", Handler))
    client = server.connect()
    client.sendall(
        b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    client.sendall(body)
    answer = b""
    while part := client.recv(4096):
        answer += part
    assert answer.endswith(b"1024000")
    assert b"".join(chunk for chunk, _ in parts) == body
    assert "loop" not in {thread for _, thread in parts}


def test_timeout_of_a_whole_request(make_server, expect_log):
    """504 while it runs; the verb does not start after; on_finish waits for prepare."""
    expect_log("tornado.application", "Handler.get: still running after 0.05 s")
    expect_log("tornado.access", "504 GET /")
    gate, done = threading.Event(), threading.Event()
    notes: list[tuple[str, str]] = []

    @unblock(timeout=0.05)
    class Handler(Noting):
        def prepare(self) -> None:
            assert gate.wait(10)
            self.note(f"cancelled {cancelled()}")

        def get(self) -> None:
            self.note("get")

        def on_finish(self) -> None:
            super().on_finish()
            done.set()

    server = make_server(("/", Handler, {"notes": notes}))
    assert server.get("/").body == b"error 504"
    gate.set()
    assert done.wait(10)
    assert [what for what, _ in notes] == [
        "log_exception",
        "write_error",
        "cancelled True",
        "on_finish",
    ]
    assert notes[-1][1] == "unblock-default-1"


def test_rejection_is_rendered_without_a_worker(make_server, expect_log):
    """A full executor cannot render its own 503 page."""
    configure(max_workers=1, max_waiting=0)
    expect_log("tornado.access", "503 GET /")
    gate, entered = threading.Event(), threading.Event()
    notes: list[tuple[str, str]] = []

    @unblock
    class Handler(Noting):
        def get(self) -> None:
            entered.set()
            assert gate.wait(10)

    server = make_server(("/", Handler, {"notes": notes}))
    first = server.send("/")
    assert entered.wait(10)
    response = server.get("/")
    gate.set()
    first.recv(100)
    assert response.body == b"error 503"
    assert "Retry-After" in response.headers
    server.until(lambda: idle())


def idle() -> bool:
    return not any(limiter.borrowed_tokens for limiter in limiters(current_portal()))


def test_error_in_the_error_handler(make_server, expect_log):
    """Logged as Tornado does."""
    expect_log("tornado.application", "Error in exception logger")
    expect_log("tornado.access", "500 GET /")

    @unblock
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError

        def log_exception(self, *args: Any) -> None:
            raise KeyError

    assert make_server(("/", Handler)).get("/").status == 500


def test_exception_handler_that_fails(make_server, expect_log):
    """Likewise, from the worker."""
    logged = expect_log("tornado.application", "Exception in exception handler")

    @unblock
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError

        def _handle_request_exception(self, error: BaseException) -> None:
            self.request.connection.close()  # type: ignore[union-attr]
            raise KeyError

    server = make_server(("/", Handler))
    assert server.get("/").raw == b""
    server.until(lambda: logged.messages)


def test_misuse_of_the_class_decorator():
    """Only handlers have a request to move."""
    with pytest.raises(TypeError, match=r"subclass of tornado\.web\.RequestHandler"):
        unblock(dict)
