"""Corners of a request on workers: errors between hops, calls from elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tornado.routing import Router
from tornado.web import HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from tests.patience import WAIT
from tests.unit.handlers.test_websocket import talk
from tornado_unblock import report, unblock, unblock_application
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._handlers.in_turn import offload_body, offload_in_line
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.portal import current_portal


class Own(RequestHandler):
    """Has an error page of its own, which is made in a worker."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(f"{status_code} by {threading.current_thread().name}")


@pytest.mark.allow_log("tornado.access", "^418")
def test_verb_that_raises_after_an_async_prepare(make_server):
    """Its worker makes the error page, before Tornado lets go of the request."""

    @unblock
    class Handler(Own):
        async def prepare(self) -> None: ...

        def get(self) -> None:
            raise HTTPError(418)

    assert make_server(("/", Handler)).get("/").body == b"418 by unblock-default-1"


@pytest.mark.allow_log("tornado.access", "^403")
def test_prepare_that_raises_before_a_stream(make_server):
    """Its worker makes the error page; the body is not read any more."""

    @unblock
    @stream_request_body
    class Handler(Own):
        def prepare(self) -> None:
            raise HTTPError(403)

        def data_received(self, chunk: bytes) -> None:
            raise AssertionError("not asked for")

        def post(self) -> None:
            raise AssertionError("not asked for")

    server = make_server(("/", Handler))
    response = server.get("/", method="POST", headers="Content-Length: 0\r\n")
    assert response.body == b"403 by unblock-default-1"


def test_hooks_of_a_view_called_by_a_worker(make_server):
    """Who is not the loop thread gets the plain methods."""

    @unblock
    class Handler(WebSocketHandler):
        def prepare(self) -> None:
            self.seen = [threading.current_thread().name]

        def on_ping(self, data: bytes) -> None:
            self.seen.append(data.decode())

        def on_message(self, message: Any) -> None:
            view: Any = self.ws_connection.handler  # type: ignore[union-attr]
            if message == "outer":
                view.prepare()
                view.on_ping(b"ping")
                view.on_message("inner")
            else:
                self.write_message(" ".join([message, *self.seen[1:]]))

    assert talk(make_server(("/", Handler)), "outer") == ["inner ping"]


@pytest.mark.allow_log("tornado.access", "^426")
def test_socket_of_an_unknown_version(make_server):
    """There is no connection to guard: Tornado refuses it."""

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None: ...

    client = make_server(("/", Handler)).connect()
    client.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 99\r\n\r\n"
    )
    assert client.recv(1000).startswith(b"HTTP/1.1 426 ")


def test_method_that_nobody_knows_twice(make_server, allow_log):
    """It is answered as inline, and is nothing to keep a plan under."""
    allow_log("tornado.access", "^405 BREW")
    ended = threading.Semaphore(0)

    class Handler(RequestHandler):
        @unblock
        def on_finish(self) -> None:
            ended.release()

    server = make_server(("/", Handler))
    for number in range(2):
        assert server.get("/", method=f"BREW{number}").status == 405
        assert ended.acquire(timeout=WAIT)


def test_on_finish_that_is_no_function(make_server):
    """What is called without being bound is called as it is."""
    done = threading.Event()

    class Call:
        def __call__(self) -> None:
            done.set()

    @unblock
    class Handler(RequestHandler):
        on_finish: Any = Call()

        def get(self) -> None:
            self._auto_finish = False
            parked.append(self)

    parked: list[Any] = []
    server = make_server(("/", Handler))
    client = server.send("/")
    server.until(lambda: parked)
    server.call(lambda: parked[0].finish("later") and None)
    assert b"later" in client.recv(1000)
    assert done.wait(10)


def test_router_that_does_not_tell(make_server):
    """What a router of one's own leads to is not known: there is nothing to report."""
    assert report(Router()) == []


class Slotted(RequestHandler):
    """Has attributes that stand in no dictionary."""

    __slots__ = ("__hidden", "named", "unset")

    def prepare(self) -> None:
        self.named, self.__hidden = "named", "hidden"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        assert not hasattr(self, "unset")
        self.finish(f"{status_code} {self.named} {self.__hidden}")


def test_slots_of_the_copy_for_an_error_page(make_server, gate, expect_log):
    """The copy has what the handler has, wherever it keeps it."""
    expect_log("tornado.application", "still running after")
    expect_log("tornado.general", "ran longer than 0.02 s")
    expect_log("tornado.access", "^504")

    @unblock(timeout=0.02)
    class Handler(Slotted):
        __slots__ = "one"

        def get(self) -> None:
            self.one = 1
            gate.hold()

    server = make_server(("/", Handler))
    assert server.get("/").body == b"504 named hidden"
    gate.open.set()


def test_cancelled_while_others_hold_the_handler(make_server):
    """It is passed over, and who comes after it has its turn."""
    holding, go = threading.Event(), threading.Event()
    ran: list[str] = []

    def hold() -> None:
        holding.set()
        assert go.wait(10)
        ran.append("first")

    class Handler(RequestHandler):
        async def get(self) -> None:
            portal = current_portal()
            where = placement(portal, get_executor(), "it", None)
            first = offload_body(portal, self, where, hold, direct=False)
            bodies: list[Callable[[], Any]] = [
                lambda: ran.append("cancelled"),
                lambda: ran.append("last"),
            ]
            second, third = [offload_in_line(portal, self, where, b) for b in bodies]
            second.cancel()
            go.set()
            await asyncio.gather(first, third)
            with pytest.raises(asyncio.CancelledError):
                await second
            self.write(" ".join(ran))

    assert make_server(("/", Handler)).get("/").body == b"first last"


def test_execute_of_one_handler(make_server):
    """An ``_execute`` that stands on the handler itself is what is called."""
    seen: list[str] = []

    class Handler(RequestHandler):
        def initialize(self) -> None:
            own = self._execute

            def execute(*args: Any, **kwargs: Any) -> Any:
                seen.append("its own")
                return own(*args, **kwargs)

            self._execute = execute  # type: ignore[method-assign]

        def get(self) -> None:
            self.write("served")

    server = make_server(("/", Handler))
    server.call(lambda: unblock_application(server.server.request_callback) and None)
    assert server.get("/").body == b"served"
    assert seen == ["its own"]
