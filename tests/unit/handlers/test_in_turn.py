"""What a request keeps for its thread, it finds again in its next hop."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from tornado.web import (
    Application,
    HTTPError,
    RequestHandler,
    stream_request_body,
)
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.conftest import all_quiet, read
from tests.unit.gates import here
from tornado_unblock import (
    RejectedError,
    configure,
    run_in_executor,
    statistics,
    unblock,
    unblock_application,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.portal import current_portal


class Session(RequestHandler):
    """Opens a session for its thread in `prepare`, and closes it in `on_finish`."""

    local = threading.local()
    closed: list[tuple[str, str]]

    def initialize(self, closed: list[tuple[str, str]]) -> None:
        self.closed = closed

    def prepare(self) -> None:
        self.opened_by = here()
        assert not hasattr(self.local, "session"), "two in one thread"
        self.local.session = self

    def check(self) -> None:
        assert self.local.session is self

    def on_finish(self) -> None:
        self.closed.append((self.opened_by, here()))
        del self.local.session


def served(server: Any, closed: list[Any], path: str = "/", count: int = 1) -> Any:
    """Get a page; returns it once the session is closed."""
    response = server.get(path)
    server.until(lambda: len(closed) == count)
    return response


@pytest.fixture
def closed():
    """Return the threads that opened and closed each session."""
    closed: list[tuple[str, str]] = []
    yield closed
    assert [opened for opened, _ in closed] == [by for _, by in closed]


def test_async_verb(make_server, closed):
    """A session that prepare opens on the loop thread is there in a coroutine."""

    @unblock
    class Handler(Session):
        async def get(self) -> None:
            self.check()
            self.write(here())

    server = make_server(("/", Handler, {"closed": closed}))
    assert served(server, closed).body == b"loop"
    assert closed == [("loop", "loop")]


def test_verbs_side_by_side(make_server, closed):
    """Each has prepare and on_finish on one worker, each request on another."""
    inside = []

    @unblock
    class Handler(Session):
        def get(self) -> Any:
            return self.meet()

        async def meet(self) -> None:
            inside.append(self)
            if len(inside) == 2:
                both.set()
            await both.wait()

    server = make_server(("/", Handler, {"closed": closed}))
    both = server.call(asyncio.Event)
    first, second = server.send("/"), server.send("/")
    server.until(lambda: len(closed) == 2)
    first.close()
    second.close()
    assert len({opened for opened, _ in closed}) == 2


def test_coroutine_that_calls_unblocked_methods(make_server, closed):
    """One after the other on that worker; side by side, on others."""
    threads: list[set[str]] = []
    together = threading.Barrier(2)

    @unblock
    class Handler(Session):
        @unblock
        def load(self) -> str:
            self.check()
            return here()

        @unblock
        def meet(self) -> str:
            together.wait(WAIT)
            return here()

        def get(self) -> Any:
            return self.work()

        async def work(self) -> None:
            threads.append({self.opened_by, await self.load(), await self.load()})
            threads.append({*await asyncio.gather(self.meet(), self.meet())})

    served(make_server(("/", Handler, {"closed": closed})), closed)
    assert [len(each) for each in threads] == [1, 2]


@pytest.mark.parametrize("where", ["prepare", "get"])
def test_errors(make_server, closed, expect_log, where):
    """Their page is rendered there, too."""
    expect_log("tornado.access", "418 GET /")

    @unblock
    class Handler(Session):
        def prepare(self) -> None:
            super().prepare()
            if where == "prepare":
                raise HTTPError(418)

        def get(self) -> Any:
            return self.fail()

        async def fail(self) -> None:
            raise HTTPError(418)

        def write_error(self, status: int, **kwargs: Any) -> None:
            self.check()
            self.finish("page")

    server = make_server(("/", Handler, {"closed": closed}))
    assert served(server, closed).body == b"page"


def test_verb_that_returns_an_awaitable(make_server, closed):
    """The verb and on_finish, with the loop thread in between."""

    @unblock
    class Handler(Session):
        def get(self) -> Any:
            self.check()
            return self.later()

        async def later(self) -> None:
            self.write("later")

    server = make_server(("/", Handler, {"closed": closed}))
    assert served(server, closed).body == b"later"


def test_upload(make_server, closed):
    """Every chunk, and the verb, though other workers idle."""

    @unblock
    @stream_request_body
    class Handler(Session):
        size = 0

        def data_received(self, chunk: bytes) -> None:
            self.check()
            self.size += len(chunk)

        def put(self) -> str:
            self.check()
            return str(self.size)

    server = make_server(
        ("/", Handler, {"closed": closed}), ("/other", unblock(Blocked))
    )
    client = server.connect()
    client.sendall(b"PUT / HTTP/1.0\r\nContent-Length: 30\r\n\r\n")
    for _ in range(3):
        client.sendall(b"0123456789")
        assert server.get("/other").body == b"served"
    server.until(lambda: closed)
    assert client.recv(1000).endswith(b"30")


class Blocked(RequestHandler):
    """Does nothing, or waits on a gate."""

    def initialize(self, gate: Any = None, entered: Any = None) -> None:
        self.gate, self.entered = gate, entered

    def get(self) -> str:
        if self.gate is not None:
            self.entered.set()
            assert self.gate.wait(WAIT)
        return "served"


def test_web_socket_handshake(make_server, closed):
    """prepare, Tornado's questions and on_finish; then each hook for itself."""
    asked = []

    @unblock
    class Handler(Session, WebSocketHandler):
        def check_origin(self, origin: str) -> bool:
            self.check()
            asked.append("origin")
            return True

        def select_subprotocol(self, offered: list[str]) -> str:
            self.check()
            asked.append("protocol")
            return offered[0]

        def on_message(self, message: Any) -> None:
            self.write_message(message)

    server = make_server(("/", Handler, {"closed": closed}))

    async def talk() -> None:
        url = f"ws://127.0.0.1:{server.port}/"
        socket = await websocket_connect(url, subprotocols=["chat"])
        server.web_sockets.append(socket)
        await socket.write_message("hello")
        assert await socket.read_message() == "hello"

    server.call(talk)
    server.until(lambda: closed)
    assert asked == ["protocol"] or asked == ["origin", "protocol"]
    routes = statistics()["default"].endpoints
    assert {"Handler.get", "Handler.on_finish", "Handler.on_message"} <= {
        name.rpartition("<locals>.")[2] for name in routes
    }


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def test_worker_that_serves_others_meanwhile(make_server, closed, gate):
    """on_finish waits for it, and for no token: others still get theirs."""
    configure(max_workers=1)
    entered = threading.Event()

    @unblock
    class Handler(Session):
        def get(self) -> Any:
            return self.wait()

        async def wait(self) -> None:
            await go_on.wait()

    server = make_server(
        ("/", Handler, {"closed": closed}),
        ("/busy", unblock(Blocked), {"gate": gate, "entered": entered}),
    )
    go_on = server.call(asyncio.Event)
    first = server.send("/")
    server.until(lambda: _completed("Handler.get"))
    busy = server.send("/busy")
    assert entered.wait(WAIT)
    server.call(go_on.set)
    assert first.recv(1000).startswith(b"HTTP/1.1 200")
    server.call(asyncio.sleep, 0)
    assert statistics()["default"].borrowed_tokens == 1
    assert not closed
    gate.set()
    server.until(lambda: closed)
    assert busy.recv(1000).endswith(b"served")
    server.until(lambda: not statistics()["default"].borrowed_tokens)


def test_timeout_of_what_waits_for_its_worker(make_server, closed, gate):
    """It begins when the body does."""
    configure(max_workers=1, timeout=30)
    entered = threading.Event()
    chunks: list[bytes] = []

    @unblock
    @stream_request_body
    class Handler(Session):
        def data_received(self, chunk: bytes) -> None:
            chunks.append(chunk)

        def put(self) -> str:
            return "stored"

    server = make_server(
        ("/", Handler, {"closed": closed}),
        ("/busy", unblock(Blocked), {"gate": gate, "entered": entered}),
    )
    client = server.connect()
    client.sendall(b"PUT / HTTP/1.0\r\nContent-Length: 2\r\n\r\n1")
    server.until(lambda: chunks)
    busy = server.send("/busy")
    assert entered.wait(WAIT)
    client.sendall(b"2")
    server.until(lambda: statistics()["default"].waiting)
    gate.set()
    assert client.recv(1000).endswith(b"stored")
    assert busy.recv(1000).endswith(b"served")


def _completed(name: str) -> int:
    executors = statistics().values()
    routes = [item for executor in executors for item in executor.endpoints.items()]
    return sum(r.completed for route, r in routes if route.endswith(name))


def test_request_that_is_never_finished(make_server):
    """When its client has left, its worker is free again."""
    left, claims = [], []

    @unblock
    class Handler(RequestHandler):
        def prepare(self) -> None:
            pass

        def get(self) -> Any:
            return self.park()

        async def park(self) -> None:
            self._auto_finish = False
            claims.append(
                self.request.connection.writer.listener.reserved_worker.worker
            )  # type: ignore[union-attr]

        def on_connection_close(self) -> None:
            left.append(True)

        def on_finish(self) -> None:
            raise AssertionError

    server = make_server(("/", Handler))
    client = server.send("/")
    server.until(lambda: claims)
    assert len(claims[0].reservations) == 1
    client.close()
    server.until(lambda: left)
    # Its handler is garbage by now, in cycles.
    server.until(lambda: gc.collect() is None or not claims[0].reservations)


def test_follower_on_a_full_executor(make_server):
    """What waited for another body of its socket may find no room either."""
    from tornado_unblock._handlers.in_turn import offload_in_line

    configure("first", max_workers=1)
    configure("second", max_workers=1, max_waiting=0)
    gate, held = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert gate.wait(10)

    class Handler(RequestHandler):
        async def get(self) -> None:
            portal = current_portal()
            where = [
                placement(portal, get_executor(name), name, None)
                for name in ("first", "second")
            ]
            running = offload_in_line(portal, self, where[0], hold)
            waiting = offload_in_line(portal, self, where[1], int)
            other = run_in_executor(free.wait, 10, executor="second")
            assert held.wait(10)
            gate.set()
            await running
            with pytest.raises(RejectedError):
                await waiting
            free.set()
            await other
            self.write("served")

    free = threading.Event()
    assert make_server(("/", Handler)).get("/").body == b"served"


# --- `on_finish` that the loop thread has called --------------------------------------


@pytest.mark.parametrize("form", ["method", "application"])
def test_on_finish_may_render(make_server, form):
    """It comes before Tornado takes apart what a handler renders with, as inline."""
    rendered: list[Any] = []
    ends = threading.Event()
    waiting: list[RequestHandler] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            self._auto_finish = False
            waiting.append(self)

        def on_finish(self) -> None:
            rendered.extend([self.ui is not None, here()])
            ends.set()

    if form == "method":
        Handler.on_finish = unblock(Handler.on_finish)  # type: ignore[method-assign]
    app = Application([("/", Handler)])
    server = make_server()
    server.call(server.server.stop)
    server.serve(unblock_application(app) if form == "application" else app)
    client = server.send("/")
    server.until(lambda: waiting)
    server.call(all_quiet)
    server.call(waiting[0].finish, "done")
    assert ends.wait(WAIT)
    server.call(all_quiet)
    assert read(client).body == b"done"
    assert rendered == [True, "unblock-default-1"]
    assert waiting[0].ui is None
