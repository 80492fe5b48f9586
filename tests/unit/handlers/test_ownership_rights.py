"""A response belongs to one owner: what an abandoned body left behind reaches none."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from typing import Any, Callable

import pytest
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.conftest import Server, read, uvloop
from tests.unit.gates import Gate
from tests.unit.handlers.conftest import TIMEOUT
from tornado_unblock import AbandonedError, configure, run_in_executor, unblock
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._handlers.methods import ANSWERS
from tornado_unblock._loop.lease import current_lease

LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)
GET = "GET {} HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Next(RequestHandler):
    """What is asked for next on the connection; its body is held."""

    gate: Gate

    @unblock(executor="next")
    def get(self) -> None:
        self.gate.hold()
        self.write("the second, whole")


def check_second(raw: bytes) -> None:
    """Check that it is one whole answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"the second, whole"


def receive_head(client: Any) -> bytes:
    data = b""
    while b"</html>" not in data:
        part = client.recv(65536)
        assert part, data
        data += part
    return data


# --- the end and the timeout in one turn of the loop ------------------------------


def time_out_when_ended(offload: Any, entered: threading.Event) -> None:
    """Hold the loop until the body has posted its end, then let its time run out."""
    entered.set()
    ended = threading.Event()
    get_executor().submit(ended.set)  # the same worker, so after the end
    assert ended.wait(WAIT)
    offload._stop_timer()
    offload._time_out()


@LOOPS
@pytest.mark.parametrize("flushes", [True, False])
@pytest.mark.parametrize("finishes", [True, False])
def test_end_and_timeout_in_one_turn(
    make_server, gate, allow_log, new_loop, flushes, finishes
):
    """A body that ended in time answers, whole, and the next answer is intact."""
    configure(max_workers=1)
    allow_log("tornado.application", "still running after 100 s, its response sent")
    gate.open.set()
    held = type("Held", (Next,), {"gate": gate})

    class Handler(RequestHandler):
        @unblock(timeout=100)
        def get(self) -> None:
            entered = threading.Event()
            self.write("begun, ")
            if flushes:
                self.flush()
            io_loop = IOLoop.current()
            io_loop.add_callback(time_out_when_ended, current_lease(), entered)
            assert entered.wait(WAIT)
            self.write("rest of first")
            if finishes:
                self.finish()

    server = make_server(("/", Handler), ("/next", held), new_loop=new_loop)
    client = server.connect()
    client.sendall((GET.format("/") + LAST.format("/next")).encode())
    raw = read(client).raw
    assert raw.count(b"HTTP/1.1 200 OK") == raw.count(b"HTTP/1.1") == 2
    first, _, second = raw.partition(b"HTTP/1.1 200 OK\r\n")[2].partition(b"HTTP/1.1")
    body = first.partition(b"\r\n\r\n")[2]
    if flushes:
        assert body == b"7\r\nbegun, \r\nd\r\nrest of first\r\n0\r\n\r\n"
    else:
        assert body == b"begun, rest of first"
    check_second(b"HTTP/1.1" + second)


@LOOPS
def test_timeout_between_two_pipelined_requests(
    make_server, gate, expect_log, new_loop
):
    """A body whose time runs out as it writes answers 504, once; then the next."""
    expect_log("tornado.application", "still running after 100 s; its client")
    expect_log("tornado.general", "504 GET /")
    expect_log("tornado.access", "504 GET /")
    held = type("Held", (Next,), {"gate": gate})
    errors: list[str] = []

    class Handler(RequestHandler):
        @unblock(timeout=100)
        def get(self) -> None:
            offload: Any = current_lease()
            self.write("never seen")
            offload.portal.call(offload._stop_timer)
            offload.portal.call(offload._time_out)
            for attempt in (self.flush, self.finish, lambda: self.write("late")):
                try:
                    attempt()
                except AbandonedError as error:
                    errors.append(str(error))
            gate.open.set()

    server = make_server(("/", Handler), ("/next", held), new_loop=new_loop)
    client = server.connect()
    client.sendall((GET.format("/") + LAST.format("/next")).encode())
    raw = read(client).raw
    first, _, second = raw.partition(b"</html>")
    assert first.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert first.count(b"HTTP/1.1") == second.count(b"HTTP/1.1") == 1
    check_second(second)
    assert len(errors) == 3


# --- what was delegated ---------------------------------------------------------------


class Delegating(RequestHandler):
    """A body that is abandoned, and has others write for it then."""

    gate: Gate
    # Gets the handler; returns when its delegate is done.
    delegate: Callable[[Any], None]

    @unblock(timeout=TIMEOUT)
    def get(self) -> None:
        self.write("partial")
        type(self).delegate(self)
        self.gate.done.set()

    def late(self) -> None:
        attempts = (lambda: self.write("late"), self.flush, lambda: self.finish("late"))
        for attempt in attempts:
            try:
                attempt()
            except AbandonedError as error:
                self.gate.notes.append(str(error))


def thread(handler: Any) -> None:
    def run() -> None:
        handler.gate.hold()
        handler.late()

    other = threading.Thread(target=run)
    other.start()
    other.join(WAIT)


def nested(handler: Any) -> None:
    def run() -> None:
        handler.gate.hold()
        handler.late()

    run_in_executor(run, executor="helpers").result()


def coroutine_of_the_loop(handler: Any) -> None:
    loop = current_lease().portal.loop  # type: ignore[union-attr]
    handler.gate.hold()

    async def run() -> None:
        handler.late()

    asyncio.run_coroutine_threadsafe(run(), loop).result(WAIT)


def callback(handler: Any) -> None:
    called = threading.Event()

    def run() -> None:
        handler.late()
        called.set()

    io_loop = IOLoop.current()
    handler.gate.hold()
    io_loop.add_callback(run)
    assert called.wait(WAIT)


def held_connection(handler: Any) -> None:
    """Use the connection of the body itself, from a thread of its own."""
    connection = handler.request.connection
    stream = connection.stream
    handler.gate.hold()

    def run() -> None:
        for attempt in (
            lambda: connection.write(b"late"),
            lambda: stream.write(b"late"),
            connection.detach,
        ):
            try:
                attempt()
            except AbandonedError as error:
                handler.gate.notes.append(str(error))

    other = threading.Thread(target=run)
    other.start()
    other.join(WAIT)


def held_connection_on_its_thread(handler: Any) -> None:
    stream = handler.request.connection.stream
    handler.gate.hold()
    for attempt in (handler.detach, lambda: stream.write(b"late"), stream.close):
        try:
            attempt()
        except AbandonedError as error:
            handler.gate.notes.append(str(error))


@LOOPS
@pytest.mark.parametrize(
    "delegate",
    [
        thread,
        nested,
        coroutine_of_the_loop,
        callback,
        held_connection,
        held_connection_on_its_thread,
    ],
)
def test_delegates_of_an_abandoned_body(
    make_server, gate, expect_log, new_loop, delegate
):
    """They write while the next answer is made: each is refused, none is seen."""
    expect_log("tornado.application", "Delegating.get: still running after 0.05 s")
    expect_log("tornado.general", "504 GET /")
    expect_log("tornado.access", "504 GET /")
    second = Gate()
    parts = {"gate": gate, "delegate": staticmethod(delegate)}
    first = type("Delegating", (Delegating,), parts)
    held = type("Held", (Next,), {"gate": second})
    server = make_server(("/", first), ("/next", held), new_loop=new_loop)
    client = server.connect()
    client.sendall(GET.format("/").encode())
    answer = receive_head(client)
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"partial" not in answer
    client.sendall(LAST.format("/next").encode())
    assert second.wait()
    gate.open.set()
    assert gate.done.wait(WAIT)
    second.open.set()
    check_second(read(client).raw)
    assert len(gate.notes) == 3


# --- a body that finishes others' responses -----------------------------------


@LOOPS
@pytest.mark.parametrize("unblocked", [False, True])
@pytest.mark.parametrize("abandoned", [False, True])
def test_body_that_finishes_others_and_times_out(
    make_server, gate, expect_log, new_loop, unblocked, abandoned
):
    """Each poll is answered, and the body's own client gets its 504."""
    expect_log("tornado.application", "Post.post: still running after 0.05 s; its cl")
    expect_log("tornado.general", "504 POST /")
    expect_log("tornado.access", "504 POST /")
    parked: list[RequestHandler] = []

    class Poll(RequestHandler):
        def get(self) -> None:
            self._auto_finish = False
            parked.append(self)

    class Post(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def post(self) -> None:
            if abandoned:
                gate.hold()
            for poll in parked:
                poll.finish("a message")
            if not abandoned:
                gate.hold()
            gate.done.set()

    if unblocked:
        unblock(Poll)
    server = make_server(("/poll", Poll), ("/", Post), new_loop=new_loop)
    polls = [server.send("/poll") for _ in range(3)]
    server.until(lambda: len(parked) == 3)
    own = server.get("/", method="POST", headers="Content-Length: 0\r\n")
    assert own.status == 504
    assert own.raw.count(b"HTTP/1.1") == 1
    if abandoned:
        gate.open.set()
    for poll in polls:
        answer = read(poll)
        assert (answer.status, answer.body) == (200, b"a message")
        assert answer.raw.count(b"HTTP/1.1") == 1
    gate.open.set()
    assert gate.done.wait(WAIT)


# --- uploads and sockets ------------------------------------------------------


CHANGES: dict[str, tuple[Any, ...]] = {
    "add_header": ("X-Late", "1"),
    "clear": (),
    "clear_header": ("Content-Type",),
    "finish": ("late",),
    "flush": (),
    "redirect": ("/late",),
    "send_error": (500,),
    "set_cookie": ("late", "1"),
    "set_header": ("X-Late", "1"),
    "set_status": (418,),
    "write": ("late",),
}


def in_body(change: Callable[[], None]) -> None:
    change()


def in_thread(change: Callable[[], None]) -> None:
    other = threading.Thread(target=change)
    other.start()
    other.join(WAIT)


@LOOPS
@pytest.mark.parametrize("who", [in_body, in_thread])
def test_who_awaited_an_abandoned_body_has_the_handler_for_itself(
    make_server, gate, expect_log, new_loop, who
):
    """No method that changes a response does so for the body, or its delegate."""
    assert CHANGES.keys() == {*ANSWERS, "send_error"}
    expect_log("tornado.application", "still running after")

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def helper(self) -> None:
            gate.hold()
            for name, arguments in CHANGES.items():
                who(functools.partial(self.attempt, name, arguments))
            gate.done.set()

        def attempt(self, name: str, arguments: tuple[Any, ...]) -> None:
            with contextlib.suppress(AbandonedError):
                getattr(self, name)(*arguments)
                gate.notes.append(name)

        async def get(self) -> None:
            with contextlib.suppress(asyncio.TimeoutError):
                await self.helper()
            self.set_header("X-Own", "1")
            self.write("fallback")
            gate.open.set()
            await run_in_executor(gate.done.wait, WAIT, executor="helpers")

    server = make_server(("/", Handler), new_loop=new_loop)
    client = server.connect()
    client.sendall(LAST.format("/").encode())
    response = read(client)
    assert gate.notes == []
    assert (response.status, response.body) == (200, b"fallback")
    assert response.headers["X-Own"] == "1"
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert not {"X-Late", "Set-Cookie"} & set(response.headers)


@LOOPS
def test_a_head_that_an_abandoned_body_was_about_to_send(
    make_server, gate, expect_log, new_loop
):
    """It was past the check when its time ran out: the loop thread sends the head."""
    expect_log("tornado.application", "still running after")

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def helper(self) -> None:
            gate.hold()
            self._headers_written = True  # as `flush` does before it sends
            gate.done.set()

        async def get(self) -> None:
            with contextlib.suppress(asyncio.TimeoutError):
                await self.helper()
            gate.open.set()
            await run_in_executor(gate.done.wait, WAIT, executor="helpers")
            self.finish("whole")

    server = make_server(("/", Handler), new_loop=new_loop)
    client = server.connect()
    client.sendall(LAST.format("/").encode())
    response = read(client)
    assert (response.status, response.body) == (200, b"whole")


@LOOPS
def test_abandoned_data_received(make_server, gate, expect_log, new_loop):
    """Its connection is closed, as after any error there; what it sends is refused."""
    expect_log("tornado.application", "Upload.data_received: still running after")
    expect_log("tornado.application", "Uncaught exception")

    @stream_request_body
    class Upload(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def data_received(self, chunk: bytes) -> None:
            connection = self.request.connection
            gate.hold()
            for attempt in (
                lambda: self.write("late"),
                lambda: self.finish("late"),
                lambda: connection.write(b"late"),  # type: ignore[union-attr]
            ):
                try:
                    attempt()
                except AbandonedError as error:
                    gate.notes.append(str(error))
            gate.done.set()

        def post(self) -> None:
            self.write("not reached")

    server = make_server(("/", Upload), new_loop=new_loop)
    client = server.connect()
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    assert gate.wait()
    assert read(client).raw == b""
    gate.open.set()
    assert gate.done.wait(WAIT)
    assert len(gate.notes) == 3


@LOOPS
def test_abandoned_hook_of_a_socket(make_server, gate, expect_log, new_loop):
    """What it sends then is refused, on its thread and on others; others' goes on."""
    expect_log("tornado.application", "Socket.on_message: still running after 0.05 s")
    expect_log("tornado.general", "504 GET /")
    other = Gate()

    @unblock(timeout=TIMEOUT)
    class Socket(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            gate.hold()
            thread = threading.Thread(target=self.late)
            thread.start()
            thread.join(WAIT)
            self.late()
            gate.done.set()

        def late(self) -> None:
            for attempt in (
                lambda: self.write_message("late"),
                lambda: self.ping(b"late"),
                lambda: self.close(4000, "late"),
                lambda: self.set_nodelay(True),
            ):
                try:
                    attempt()
                except Exception as error:
                    gate.notes.append(type(error).__name__)

        def on_close(self) -> None:
            other.done.set()

    server: Server = make_server(("/", Socket), new_loop=new_loop)

    async def talk() -> Any:
        client = await websocket_connect(f"ws://127.0.0.1:{server.port}/")
        server.web_sockets.append(client)
        await client.write_message("x")
        return await client.read_message()

    assert server.call(talk) is None  # its connection was closed, with nothing sent
    gate.open.set()
    assert gate.done.wait(WAIT)
    assert other.done.wait(WAIT)
    assert len(gate.notes) == 8
