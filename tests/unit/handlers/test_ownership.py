"""A handler between loop and workers: timeouts, clients that leave, rejections."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import threading
from typing import Any

import pytest
from tornado import gen
from tornado.web import HTTPError, RequestHandler

from tests.unit.conftest import all_quiet
from tests.unit.handlers.conftest import TIMEOUT, slow_handler
from tornado_unblock import (
    AbandonedError,
    cancelled,
    configure,
    unblock,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import limiter_of
from tornado_unblock._loop.portal import current_portal


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
            gate.notes.append(cancelled())
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


@pytest.mark.parametrize("caught", [False, True])
def test_timeout_of_a_body_that_took_the_socket(make_server, gate, expect_log, caught):
    """Nobody could answer: the socket is closed, whoever awaits the body."""
    expect_log("tornado.application", "still running after 0.05 s")
    if not caught:
        expect_log("tornado.general", "504 GET / ")

    class Handler(RequestHandler):
        @unblock(timeout=0.05)
        def load(self) -> None:
            stream = self.detach()
            gate.hold()
            with pytest.raises(AbandonedError):
                stream.write(b"late")
            gate.done.set()

        async def get(self) -> None:
            with contextlib.suppress(asyncio.TimeoutError if caught else ()):
                await self.load()

    assert make_server(("/", Handler)).get("/").raw == b""
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
                gate.notes.append("refused")

        async def get(self) -> None:
            try:
                await self.load()
            except asyncio.TimeoutError:
                self.write("fallback")

        def on_finish(self) -> None:
            gate.notes.append(threading.current_thread().name)
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
                gate.notes.append("refused")

        async def get(self) -> None:
            if how == "wait_for":
                await asyncio.wait_for(self.load(), TIMEOUT)
            else:
                deadline = datetime.timedelta(seconds=TIMEOUT)
                await gen.with_timeout(deadline, self.load())

        def on_finish(self) -> None:
            gate.notes.append(threading.current_thread().name)
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
            gate.notes.append(cancelled())
            self.write("to nobody")

        def on_connection_close(self) -> None:
            gate.notes.append(threading.current_thread())
            left.set()

        def on_finish(self) -> None:
            gate.done.set()

    server = make_server(("/", Handler))
    client = server.send("/")
    assert gate.wait()
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
            gate.notes.append(what)
            gate.hold()

        def on_finish(self) -> None:
            if self.path_args[0] == "second":
                left.set()

    server = make_server(("/(.*)", Handler))
    first = server.send("/first")
    assert gate.wait()
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
    assert gate.wait()
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
    assert gate.wait()
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


def test_two_helpers_of_one_abandoned_request(make_server, expect_log):
    """on_finish waits for the last of them."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")
    gates = [threading.Event(), threading.Event()]
    held = [threading.Event(), threading.Event()]
    notes: list[str] = []
    finished = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def load(self, number: int) -> None:
            held[number].set()
            assert gates[number].wait(10)
            notes.append(f"end {number}")

        async def get(self) -> None:
            self.loads = [self.load(0), self.load(1)]
            while not (held[0].is_set() and held[1].is_set()):  # noqa: ASYNC110
                await asyncio.sleep(0)
            raise LookupError

        def on_finish(self) -> None:
            notes.append("on_finish")
            finished.set()

    server = make_server(("/", Handler))
    assert server.get("/").status == 500
    gates[0].set()
    server.until(lambda: notes)
    gates[1].set()
    assert finished.wait(10)
    assert notes == ["end 0", "end 1", "on_finish"]
    server.call(all_quiet)


def test_error_after_the_body_has_answered(make_server, expect_log):
    """Whoever gave up waiting is only logged: the response is the body's."""
    logged = expect_log("tornado.application", "(?s)Uncaught exception GET /")
    gate, sent = threading.Event(), threading.Event()

    class Handler(RequestHandler):
        @unblock
        def answer(self) -> None:
            self.finish("answered")
            sent.set()
            assert gate.wait(10)

        async def get(self) -> None:
            self.answering = self.answer()
            while not sent.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0)
            self._finished = False  # as if it were not known here yet
            raise LookupError

    server = make_server(("/", Handler))
    assert server.get("/").body == b"answered"
    server.until(lambda: logged.messages)
    gate.set()
    server.call(all_quiet)
