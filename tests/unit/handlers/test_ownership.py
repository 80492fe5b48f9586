"""A handler between loop and workers: timeouts, clients that leave, rejections."""

from __future__ import annotations

import asyncio
import datetime
import threading
from typing import Any

import pytest
from tornado import gen
from tornado.web import HTTPError, RequestHandler, UIModule

from tornado_unblock import (
    AbandonedError,
    RunTimeoutError,
    cancelled,
    configure,
    unblock,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import limiter_of
from tornado_unblock._loop.portal import current_portal

TIMEOUT = 0.05  # seconds; bodies wait for events, not for this


class Gate:
    """Holds bodies until the test lets them go, and notes what they saw."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.done = threading.Event()
        self.notes: list[Any] = []

    def hold(self) -> None:
        self.entered.release()
        assert self.open.wait(10)

    def note(self, what: Any) -> None:
        self.notes.append(what)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def slow_handler(gate: Gate, **more: Any) -> type[RequestHandler]:
    """A handler whose body outlives its timeout, and then tries to write."""

    class Slow(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def get(self) -> None:
            self.write("partial")
            self.set_cookie("seen", "yes")
            gate.hold()
            gate.note(cancelled())
            for attempt in (
                lambda: self.write("late"),
                self.finish,
                lambda: self.render_late(),
                lambda: self.redirect("/elsewhere"),
                self.flush,
            ):
                try:
                    attempt()
                except AbandonedError as error:
                    gate.note(str(error))

        def render_late(self) -> None:
            self.finish("late")

        def on_finish(self) -> None:
            gate.note(threading.current_thread().name)
            gate.note(self._finished)
            gate.done.set()

    for name, value in more.items():
        setattr(Slow, name, value)
    return Slow


@pytest.fixture
def timeout_logs(expect_log):
    expect_log("tornado.application", r"(?s)Slow.get: still running after 0.05 s.*hold")
    expect_log("tornado.general", r"504 GET / .*Slow.get ran longer than 0.05 s")
    expect_log("tornado.access", "504 GET /")


def test_timeout_answers_while_the_body_runs(make_server, gate, timeout_logs):
    """504 at once; later writes raise; on_finish waits, on the body's worker."""
    server = make_server(("/", slow_handler(gate)))
    response = server.get("/")
    assert response.status == 504
    assert b"504: Gateway Timeout" in response.body
    assert b"partial" not in response.body
    assert response.headers["Set-Cookie"] == "seen=yes; Path=/"
    assert not gate.done.is_set()
    gate.open.set()
    assert gate.done.wait(10)
    assert gate.notes[0] is True
    advice = "Slow.get: its timeout of 0.05 s is over; nothing more can be sent"
    assert len(gate.notes) == 8
    assert all(note.endswith(advice) for note in gate.notes[1:6])
    assert gate.notes[6:] == ["unblock-default-1", True]


def test_timeout_is_rendered_by_the_handlers_own_write_error(
    make_server, gate, timeout_logs, tmp_path
):
    """With a template and UI modules, on a copy the worker does not hold."""
    (tmp_path / "error.html").write_text("{{ status }} {% module Sign(user) %}")

    class Sign(UIModule):
        def render(self, user: str) -> str:
            selves.append(self.handler)
            return f"for {user}"

    def prepare(self: Any) -> None:
        selves.append(self)
        self.user = "ann"

    def write_error(self: Any, status: int, **kwargs: Any) -> None:
        selves.append(self)
        assert isinstance(kwargs["exc_info"][1], RunTimeoutError)
        self.render("error.html", status=status, user=self.user)

    selves: list[Any] = []
    server = make_server(
        ("/", slow_handler(gate, prepare=prepare, write_error=write_error)),
        template_path=str(tmp_path),
        ui_modules={"Sign": Sign},
    )
    assert server.get("/").body == b"504 for ann"
    original, shown, module_handler = selves
    assert shown is module_handler
    assert shown is not original
    gate.open.set()
    assert gate.done.wait(10)
    selves.clear()


def test_connection_serves_on_after_a_timeout(make_server, gate, timeout_logs):
    """Keep-alive: nothing of the late body reaches the next response."""

    class Next(RequestHandler):
        def get(self) -> None:
            self.write("next")

    server = make_server(("/", slow_handler(gate)), ("/next", Next))
    client = server.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"504: Gateway Timeout</body>" in receive_until(client, b"</html>")
    gate.open.set()
    assert gate.done.wait(10)
    client.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    rest = receive_until(client, b"next")
    assert rest.startswith(b"HTTP/1.1 200 OK")
    assert rest.endswith(b"\r\n\r\nnext")


def receive_until(client: Any, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = client.recv(65536)
        assert part, data
        data += part
    return data


def test_timeout_after_the_response_is_only_a_warning(make_server, gate, expect_log):
    """A body that runs on after ``finish`` keeps its answered request."""
    warned = expect_log("tornado.application", "still running after 0.05 s, its resp")

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def get(self) -> None:
            self.finish("in time")
            gate.hold()
            gate.note(cancelled())
            gate.done.set()

    server = make_server(("/", Handler))
    assert server.get("/").body == b"in time"
    server.until(lambda: warned.messages)
    gate.open.set()
    assert gate.done.wait(10)


def test_timeout_after_headers_ends_the_connection(make_server, gate, expect_log):
    """No error page fits any more: the client sees an incomplete response."""
    expect_log("tornado.application", "still running after 0.05 s; its client")
    expect_log("tornado.general", "504 GET /")
    expect_log("tornado.general", "Cannot send error response after headers written")
    expect_log("tornado.general", "Failed to flush partial response")

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def get(self) -> None:
            self.set_header("Content-Length", "100")
            self.write("begun ")
            self.flush()
            gate.hold()
            try:
                self.write("late")
            finally:
                gate.done.set()

    response = make_server(("/", Handler)).get("/")
    assert response.status == 200
    assert response.body == b"begun "
    gate.open.set()
    assert gate.done.wait(10)


def test_coroutine_may_catch_the_timeout_of_a_helper(make_server, gate, expect_log):
    """It goes on with the handler; the helper's body is kept from it."""
    expect_log("tornado.application", "still running after 0.05 s")

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def load(self) -> None:
            gate.hold()
            try:
                self.write("late")
            except AbandonedError:
                gate.note("refused")

        async def get(self) -> None:
            try:
                await self.load()
            except asyncio.TimeoutError:
                self.write("fallback")

        def on_finish(self) -> None:
            gate.note(threading.current_thread().name)
            gate.done.set()

    assert make_server(("/", Handler)).get("/").body == b"fallback"
    gate.open.set()
    assert gate.done.wait(10)
    assert gate.notes == ["refused", "unblock-default-1"]


@pytest.mark.parametrize("how", ["with_timeout", "wait_for"])
def test_timeouts_of_the_caller(make_server, gate, expect_log, how):
    """`gen.with_timeout` and `asyncio.wait_for` around a call do as ours does."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")

    class Handler(RequestHandler):
        @unblock
        def load(self) -> None:
            gate.hold()
            try:
                self.finish("late")
            except AbandonedError:
                gate.note("refused")

        async def get(self) -> None:
            if how == "wait_for":
                await asyncio.wait_for(self.load(), TIMEOUT)
            else:
                deadline = datetime.timedelta(seconds=TIMEOUT)
                await gen.with_timeout(deadline, self.load())

        def on_finish(self) -> None:
            gate.note(threading.current_thread().name)
            gate.done.set()

    response = make_server(("/", Handler)).get("/")
    assert response.status == 500
    gate.open.set()
    assert gate.done.wait(10)
    assert gate.notes == ["refused", "unblock-default-1"]


def test_client_that_leaves_while_its_body_runs(make_server, gate):
    """`on_connection_close` fires on the loop; the body can ask; on_finish runs."""
    left = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            gate.hold()
            gate.note(cancelled())
            self.write("to nobody")

        def on_connection_close(self) -> None:
            gate.note(threading.current_thread())
            left.set()

        def on_finish(self) -> None:
            gate.done.set()

    server = make_server(("/", Handler))
    client = server.send("/")
    assert gate.entered.acquire(timeout=10)
    client.close()
    assert left.wait(10)
    gate.open.set()
    assert gate.done.wait(10)
    assert gate.notes == [server.thread, True]


def test_client_that_leaves_while_waiting_never_starts(make_server, gate, expect_log):
    """Its body does not run, its on_finish does, and it is counted."""
    configure(max_workers=1)
    expect_log("tornado.access", "499 GET /second")
    left = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self, what: str) -> None:
            gate.note(what)
            gate.hold()

        def on_finish(self) -> None:
            if self.path_args[0] == "second":
                left.set()

    server = make_server(("/(.*)", Handler))
    first = server.send("/first")
    assert gate.entered.acquire(timeout=10)
    second = server.send("/second")
    server.until(lambda: waiting_requests())
    second.close()
    assert left.wait(10)
    gate.open.set()
    while first.recv(4096):
        pass
    assert gate.notes == ["first"]


def waiting_requests() -> int:
    """How many requests wait for a worker; loop thread."""
    return int(limiter_of(current_portal(), get_executor()).waiting)


def test_full_is_answered_at_once(make_server, gate, expect_log):
    """503 with Retry-After, through the handler's own write_error."""
    configure(max_workers=1, max_waiting=0)
    expect_log("tornado.general", r"503 GET /.*max_waiting=0")
    expect_log("tornado.access", "503 GET /")

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            gate.hold()

        def write_error(self, status: int, **kwargs: Any) -> None:
            self.finish(f"sorry {status} {kwargs['exc_info'][1].rejection}")

    server = make_server(("/", Handler))
    first = server.send("/")
    assert gate.entered.acquire(timeout=10)
    response = server.get("/")
    gate.open.set()
    assert (response.status, response.body) == (503, b"sorry 503 full")
    assert response.headers["Retry-After"] == "1"
    first.recv(100)


def test_waiting_too_long_is_answered(make_server, gate, expect_log):
    """503 with Retry-After after ``queue_timeout``."""
    configure(max_workers=1, queue_timeout=TIMEOUT)
    expect_log("tornado.general", r"503 GET /.*no worker came free within 0.05 s")
    expect_log("tornado.access", "503 GET /")

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            gate.hold()

    server = make_server(("/", Handler))
    first = server.send("/")
    assert gate.entered.acquire(timeout=10)
    response = server.get("/")
    gate.open.set()
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert read_status(first) == 200


def read_status(client: Any) -> int:
    return int(client.recv(4096).split()[1])


def test_503_of_a_body_has_no_retry_after(make_server, expect_log):
    """Only a rejection names a time."""
    expect_log("tornado.general", "503 GET /")
    expect_log("tornado.access", "503 GET /")

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            raise HTTPError(503, "my own")

    assert "Retry-After" not in make_server(("/", Handler)).get("/").headers


def test_prepare_in_a_worker(make_server):
    """What it leaves on ``self`` is there for the verb; it may end the request."""

    class Handler(RequestHandler):
        @unblock
        def prepare(self) -> None:
            self.who = threading.current_thread().name
            if self.get_argument("stop", None):
                self.redirect("/stopped")

        def get(self) -> None:
            self.write(self.who)

    server = make_server(("/", Handler))
    assert server.get("/").body == b"unblock-default-1"
    assert server.get("/?stop=1").status == 302


def test_unheard_hooks_log_their_errors(make_server, expect_log):
    """Nobody awaits ``on_finish``; its error is logged with the endpoint."""
    record = expect_log("tornado.application", "Uncaught exception in .*on_finish")
    done = threading.Event()

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("fine")

        @unblock
        def on_finish(self) -> None:
            done.set()
            raise LookupError("in on_finish")

    server = make_server(("/", Handler))
    assert server.get("/").body == b"fine"
    assert done.wait(10)
    server.until(lambda: record.messages)


def test_on_finish_of_a_verb_that_is_finished_for_it(make_server):
    """Auto-finish is part of the body: ETag, log and on_finish in the worker."""
    names = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write("x")

        def on_finish(self) -> None:
            names.append(threading.current_thread().name)

        def compute_etag(self) -> str:
            names.append(threading.current_thread().name)
            return '"tag"'

    server = make_server(("/", Handler))
    assert server.get("/").headers["Etag"] == '"tag"'
    server.until(lambda: len(names) == 2)
    assert names == ["unblock-default-1"] * 2


def test_no_instance_attributes_stay_behind(make_server):
    """What the ownership puts on a handler is gone when its body has ended."""
    kept = []

    class Handler(RequestHandler):
        @unblock
        def load(self) -> int:
            return 7

        async def get(self) -> None:
            before = set(vars(self))
            await self.load()
            kept.append(set(vars(self)) - before)

    make_server(("/", Handler)).get("/")
    assert kept == [set()]
