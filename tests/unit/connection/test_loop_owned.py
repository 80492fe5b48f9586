"""Loop-owned objects of others, reached from a worker or any other thread."""

from __future__ import annotations

import asyncio
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable, Optional

import pytest
from tornado import iostream, websocket
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, StreamBufferFullError, StreamClosedError
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.conftest import Server, read, uvloop
from tornado_unblock import (
    LoopThreadError,
    run_in_executor,
    unblock,
    unblock_application,
)
from tornado_unblock._connection import loop_owned
from tornado_unblock._connection.loop_owned import expect_head
from tornado_unblock._loop.portal import current_portal, portal_to

LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)


class NativeSocket(WebSocketHandler):
    """A socket of a class that is not unblocked; it notes who it is."""

    sockets: list[WebSocketHandler]
    compressed = False

    def initialize(self, sockets: Any) -> None:
        self.sockets = sockets

    def open(self) -> None:
        self.sockets.append(self)

    def get_compression_options(self) -> Optional[dict[str, Any]]:
        return {} if self.compressed else None

    def on_message(self, message: Any) -> None:
        pass


class CompressedSocket(NativeSocket):
    """The same, with permessage-deflate and one compressor for all its frames."""

    compressed = True


def posting(body: Callable[[RequestHandler], Any]) -> type[RequestHandler]:
    """Return a handler whose POST alone is unblocked, and runs ``body(handler)``."""

    class Post(RequestHandler):
        @unblock
        def post(self) -> None:
            body(self)

    return Post


async def connect(server: Server, **options: Any) -> Any:
    client = await websocket_connect(f"ws://127.0.0.1:{server.port}/ws", **options)
    server.web_sockets.append(client)
    return client


async def post(server: Server) -> None:
    from tornado.httpclient import AsyncHTTPClient

    client = AsyncHTTPClient(force_instance=True)
    address = f"http://127.0.0.1:{server.port}/post"
    try:
        await client.fetch(address, method="POST", body=b"", request_timeout=WAIT)
    finally:
        client.close()


@LOOPS
@pytest.mark.parametrize("cls", [NativeSocket, CompressedSocket])
def test_broadcast_to_sockets_of_a_class_that_is_not_unblocked(
    make_server, new_loop, cls
):
    """Eight workers at once: every frame is whole, those of one worker in order."""
    sockets: list[Any] = []
    together = threading.Barrier(8)
    names = iter(range(8))
    text = "abc" * 9000

    def body(handler: RequestHandler) -> None:
        name = next(names)
        together.wait(WAIT)
        for number in range(25):
            for each in sockets:
                each.write_message(f"{name} {number} {text}")
                each.ping(b"?")

    rules = [("/ws", cls, {"sockets": sockets}), ("/post", posting(body))]
    server = make_server(*rules, new_loop=new_loop)

    async def run() -> None:
        options = {"compression_options": {}} if cls.compressed else {}
        clients = [await connect(server, **options) for _ in range(3)]
        posts = [asyncio.ensure_future(post(server)) for _ in range(8)]
        for client in clients:
            seen: dict[str, int] = {}
            for _ in range(8 * 25):
                name, number, rest = (await client.read_message()).split(" ")
                assert rest == text
                assert int(number) == seen.get(name, -1) + 1
                seen[name] = int(number)
        await asyncio.gather(*posts)

    server.call(run)


def test_application_that_leaves_its_sockets_out(make_server):
    """``routes={"/ws": None}``: what POST tells them arrives."""
    sockets: list[Any] = []
    futures: list[Any] = []

    class Post(RequestHandler):
        def post(self) -> None:
            for each in sockets:
                futures.append(each.write_message({"who": "post"}))
                futures.append(each.write_message(b"\x00\x01", binary=True))

    server = make_server(("/ws", NativeSocket, {"sockets": sockets}), ("/post", Post))
    unblock_application(server.server.request_callback, routes={"/ws": None})

    async def run() -> None:
        client = await connect(server)
        await post(server)
        assert await client.read_message() == '{"who": "post"}'
        assert await client.read_message() == b"\x00\x01"
        assert [await future for future in futures] == [None, None]

    server.call(run)


def in_thread(fn: Callable[[], Any]) -> Any:
    """Run ``fn`` in a thread that is neither the loop's nor a worker's."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(fn())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(WAIT)
    assert outcome, "it hangs"
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def one_socket(make_server: Any) -> tuple[Server, Any, Any]:
    """Return a server, a socket of it and that socket's client."""
    sockets: list[Any] = []
    server = make_server(("/ws", NativeSocket, {"sockets": sockets}))
    client = server.call(connect, server)
    return server, sockets[0], client


def test_socket_from_a_thread_of_its_own(make_server):
    """A thread that is no worker is carried to the loop thread too."""
    server, handler, client = one_socket(make_server)

    def talk() -> None:
        handler.set_nodelay(True)
        handler.ping("é")
        handler.write_message("hello")
        handler.close(4001, "bye")
        # At once, though the loop has yet to close it.
        with pytest.raises(WebSocketClosedError):
            handler.write_message("late")
        with pytest.raises(WebSocketClosedError):
            handler.ping()
        with pytest.raises(WebSocketClosedError):
            handler.set_nodelay(False)

    in_thread(talk)

    async def check() -> None:
        assert await client.read_message() == "hello"
        assert await client.read_message() is None
        assert (client.close_code, client.close_reason) == (4001, "bye")

    server.call(check)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: s.write_message(7), TypeError),
        (lambda s: s.write_message("\ud800"), UnicodeEncodeError),
        (lambda s: s.write_message({"x": object()}), TypeError),
        (lambda s: s.ping(b"x" * 126), ValueError),
        (lambda s: s.close(1000, "x" * 124), ValueError),
        (lambda s: s.close(None, "x" * 124), ValueError),
        (lambda s: s.close("x"), struct.error),
        (lambda s: s.ws_connection.write_ping("text"), AssertionError),
        (lambda s: s.ws_connection.close(1000, "x" * 124), ValueError),
    ],
)
def test_what_cannot_be_sent_raises_in_the_caller(make_server, call, error):
    """As inline; and the socket is as it was."""
    server, handler, client = one_socket(make_server)
    with pytest.raises(error):
        in_thread(lambda: call(handler))
    in_thread(lambda: handler.write_message("fine"))

    async def check() -> None:
        assert await client.read_message() == "fine"

    server.call(check)


def test_protocol_reached_directly(make_server):
    """The protocol's own methods are carried, and know a socket that is closing."""
    server, handler, client = one_socket(make_server)
    protocol = handler.ws_connection

    def talk() -> None:
        protocol.set_nodelay(True)
        protocol.write_ping(b"")
        protocol.write_message("a")
        protocol.close()
        with pytest.raises(WebSocketClosedError):
            protocol.write_message("b")
        with pytest.raises(WebSocketClosedError):
            protocol.write_ping(b"")
        protocol._abort()

    in_thread(talk)

    async def check() -> None:
        assert await client.read_message() == "a"
        assert await client.read_message() is None

    server.call(check)


def test_socket_that_closes_while_a_frame_is_on_its_way(make_server):
    """The Future says so, and nobody is told of what nobody awaits."""
    server, handler, client = one_socket(make_server)
    futures: list[Any] = []
    server.call(current_portal)

    def send() -> None:
        handler.ping()
        futures.append(handler.write_message("too late"))
        futures.append(handler.write_message("nobody awaits this"))

    def close_before() -> None:
        # The loop thread is here: what the other thread posts comes after this.
        in_thread(send)
        handler.close()

    server.call(close_before)

    async def check() -> None:
        with pytest.raises(WebSocketClosedError):
            await futures[0]
        assert await client.read_message() is None

    server.call(check)
    del futures[:]


def test_closed_socket(make_server):
    """Messages raise; closing again does nothing, as on the loop thread."""
    server, handler, client = one_socket(make_server)

    async def leave() -> None:
        client.close()

    server.call(leave)
    server.until(lambda: handler.ws_connection is None)

    def talk() -> None:
        for call in (handler.write_message, handler.ping, handler.set_nodelay):
            with pytest.raises(WebSocketClosedError):
                call("x")
        handler.close()

    in_thread(talk)


def test_closing_while_the_loop_is_stopped(make_server):
    """No thread runs it: the caller's own does what is asked."""
    server, handler, client = one_socket(make_server)
    server.loop.call_soon_threadsafe(server.loop.stop)
    server.thread.join(WAIT)
    asyncio.set_event_loop(server.loop)
    handler.close(4003)
    asyncio.set_event_loop(None)
    assert handler.ws_connection is None
    server.thread = threading.Thread(target=server._run)
    server.thread.start()

    async def check() -> None:
        assert await client.read_message() is None
        assert client.close_code == 4003

    server.call(check)


def test_socket_in_its_handshake(make_server):
    """It is not open yet: the same error as before the handshake, on any thread."""
    reached, gate = threading.Event(), threading.Event()
    handlers: list[Any] = []

    class Slow(NativeSocket):
        def select_subprotocol(self, offered: list[str]) -> Optional[str]:
            handlers.append(self)
            with pytest.raises(WebSocketClosedError):
                self.write_message("from the loop thread")
            reached.set()
            assert gate.wait(WAIT)  # it blocks the loop: that is how it is reached
            return None

    server = make_server(("/ws", Slow, {"sockets": []}))
    opening = asyncio.run_coroutine_threadsafe(connect(server), server.loop)
    assert reached.wait(WAIT)
    (handler,) = handlers
    try:
        for call in (handler.write_message, handler.ping, handler.set_nodelay):
            with pytest.raises(WebSocketClosedError):
                call("x")
        for call in ("write_message", "write_ping"):
            with pytest.raises(WebSocketClosedError):
                getattr(handler.ws_connection, call)(b"x")
        handler.close()
    finally:
        gate.set()
    client = opening.result(WAIT)
    in_thread(lambda: handler.write_message("open now"))

    async def check() -> None:
        assert await client.read_message() == "open now"

    server.call(check)


def test_client_socket(make_server):
    """`websocket_connect`'s connection, used by a worker."""

    class Echo(NativeSocket):
        def on_message(self, message: Any) -> None:
            self.write_message(message)

    server = make_server(("/ws", Echo, {"sockets": []}))

    def body(client: Any) -> Any:
        client.ping(b"!")
        client.write_message("one")
        client.write_message("two")
        return [client.read_message(), client.read_message()]

    async def run() -> None:
        client = await connect(server)
        answers = await run_in_executor(body, client)
        assert [await answer for answer in answers] == ["one", "two"]
        await run_in_executor(client.close, 4002)
        assert await client.read_message() is None

    server.call(run)


# --- parked plain handlers ------------------------------------------------------


class Parked(RequestHandler):
    """A long poll of a class that is not unblocked: others finish it."""

    parked: list[RequestHandler]
    finished_on: list[str]

    def initialize(self, parked: Any) -> None:
        self.parked = parked
        self._auto_finish = False

    def get(self) -> None:
        self.parked.append(self)

    head = get


def park(make_server: Any, **options: Any) -> tuple[Server, Any, socket.socket]:
    """Return a server, a parked handler and its client."""
    parked: list[Any] = []
    server = make_server(("/poll", Parked, {"parked": parked}))
    client = server.send("/poll", **options)
    server.until(lambda: parked)
    return server, parked[0], client


@LOOPS
def test_parked_handlers_are_finished_by_a_worker(make_server, new_loop):
    """Each gets one whole answer, with the headers of the moment it was finished."""
    parked: list[Any] = []

    def body(handler: RequestHandler) -> None:
        for each in parked:
            each.set_header("X-When", "before")
            each.finish({"text": "x" * 100_000})
            each._headers["X-When"] = "after"

    rules = [("/poll", Parked, {"parked": parked}), ("/post", posting(body))]
    server = make_server(*rules, new_loop=new_loop)
    clients = [server.send("/poll") for _ in range(20)]
    server.until(lambda: len(parked) == 20)
    server.call(post, server)
    for client in clients:
        answer = read(client)
        assert answer.headers["X-When"] == "before"
        assert len(answer.body) == 100_012
        assert answer.raw.count(b"HTTP/1.1 ") == 1


def test_parked_handler_streams_from_a_thread(make_server):
    """`flush` by `flush`, then `finish`; the chunks are whole and in order."""
    _, handler, client = park(make_server)

    def stream() -> None:
        for number in range(50):
            handler.write(f"<{number}>" * 2000)
            handler.flush()
        handler.finish()

    in_thread(stream)
    body = read(client).body
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        parts.append(body[:length])
        body = body[length + 2 :]
    whole = b"".join(parts).decode()
    assert whole == "".join(f"<{number}>" * 2000 for number in range(50))


@pytest.mark.parametrize("length", ["5", "3", "x", None])
def test_promised_length(make_server, length, allow_log):
    """A promise that is broken raises in the thread that breaks it, as inline."""
    _, handler, client = park(make_server)
    connection = handler.request.connection
    headers = HTTPHeaders({} if length is None else {"Content-Length": length})

    def respond() -> None:
        connection.write_headers(ResponseStartLine("", 200, "OK"), headers, b"ab")
        connection.write(bytearray(b"cd"))
        connection.finish()

    if length is None:
        in_thread(respond)
        assert b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n" in read(client).raw
        return
    with pytest.raises(ValueError if length == "x" else HTTPOutputError):
        in_thread(respond)
    in_thread(connection.close)
    assert not read(client).raw.endswith(b"abcde")


def test_promised_length_that_is_kept(make_server):
    """Headers first, then the body in two parts."""
    _, handler, client = park(make_server)
    connection = handler.request.connection
    headers = HTTPHeaders({"Content-Length": "4"})

    def respond() -> None:
        connection.write_headers(ResponseStartLine("", 200, "OK"), headers)
        headers["Content-Length"] = "9"  # too late to be seen
        connection.write(b"ab")
        connection.write(b"cd")
        connection.finish()

    in_thread(respond)
    answer = read(client)
    assert (answer.headers["Content-Length"], answer.body) == ("4", b"abcd")


def test_header_that_is_refused(make_server):
    """A line break raises where the header is sent."""
    _, handler, client = park(make_server)
    connection = handler.request.connection
    line = ResponseStartLine("", 200, "OK\r\nX-Bad: 1")

    def respond() -> None:
        connection.write_headers(line, HTTPHeaders(), b"")

    with pytest.raises(ValueError, match="header"):
        in_thread(respond)
    in_thread(connection.close)
    assert read(client).raw == b""


def test_headers_of_the_loop_thread(make_server):
    """A thread may write on where the loop thread began: then it waits."""
    server, handler, client = park(make_server)

    def begin() -> None:
        handler.set_header("Content-Length", "4")
        handler.write(b"ab")
        handler.flush()

    server.call(begin)
    in_thread(lambda: handler.finish(b"cd"))
    assert read(client).body == b"abcd"


def test_head_of_a_parked_handler(make_server):
    """It has a length and no body."""
    _, handler, client = park(make_server, method="HEAD")
    in_thread(lambda: handler.finish("x" * 10))
    answer = read(client)
    assert (answer.headers["Content-Length"], answer.body) == ("10", b"")


def test_detached_stream(make_server):
    """`detach` gives the stream itself; what a thread does with it is carried."""
    server, handler, client = park(make_server)

    def take() -> bytes:
        stream = handler.detach()
        assert type(stream) is IOStream
        asked: Any = stream.read_until(b"!")
        stream.write(bytearray(b"raw"))
        answer = asyncio.run_coroutine_threadsafe(_await(asked), server.loop)
        client.sendall(b"hi!")
        data = answer.result(WAIT)
        stream.set_nodelay(True)
        stream.close()
        return data

    assert in_thread(take) == b"hi!"
    assert read(client).raw == b"raw"


async def _await(awaitable: Any) -> Any:
    return await awaitable


# --- streams ------------------------------------------------------------------


@pytest.fixture
def pair(make_server: Any) -> Iterator[tuple[Server, IOStream, socket.socket]]:
    """Return a server, a stream of its loop and the socket at the other end."""
    server = make_server()
    mine, other = socket.socketpair()
    other.settimeout(WAIT)
    stream = server.call(lambda: IOStream(mine))
    yield server, stream, other
    server.call(stream.close)
    other.close()


def test_stream_of_a_loop_that_never_saw_a_worker(pair):
    """Its loop is found by the stream alone."""
    _, stream, other = pair
    in_thread(lambda: stream.write(b"hello"))
    assert other.recv(5) == b"hello"


def test_stream_bytes_are_those_of_the_call(pair):
    """A buffer that changes afterwards, and one whose items are wide."""
    _, stream, other = pair
    data = bytearray(b"first")
    wide = memoryview(struct.pack("2I", 1, 2)).cast("I")

    def send() -> None:
        stream.write(data)
        data[:] = b"later"
        stream.write(wide)

    in_thread(send)
    with other.makefile("rb") as received:
        assert received.read(13) == b"first" + bytes(wide)


def test_stream_that_is_closed(pair):
    """Writing to it raises in the caller; a close callback comes on the loop thread."""
    server, stream, _ = pair
    closed_on: list[str] = []

    def close() -> None:
        stream.set_close_callback(
            lambda: closed_on.append(threading.current_thread().name)
        )
        try:
            raise LookupError
        except LookupError:
            stream.close(exc_info=True)

    in_thread(close)
    server.until(lambda: closed_on)
    assert closed_on == ["loop"]
    assert isinstance(stream.error, LookupError)
    with pytest.raises(StreamClosedError):
        in_thread(lambda: stream.write(b"x"))


def test_stream_with_a_full_buffer(pair):
    """What does not fit raises in the caller."""
    _, stream, other = pair
    stream.max_write_buffer_size = 10
    in_thread(lambda: stream.write(b"0123456789"))
    assert other.recv(10) == b"0123456789"
    with pytest.raises(StreamBufferFullError):
        in_thread(lambda: stream.write(b"0123456789!"))


def test_reading_twice(pair):
    """Tornado's own assertion reaches the caller."""
    server, stream, other = pair
    first = in_thread(lambda: stream.read_bytes(1))
    with pytest.raises(AssertionError, match="Already reading"):
        in_thread(lambda: stream.read_bytes(1))
    other.sendall(b"x")
    assert server.call(_await, first) == b"x"


def test_unread_error_is_logged(pair, expect_log):
    """What tells nobody is logged once."""
    server, stream, _ = pair
    expect_log("tornado.application", "set_close_callback failed, called from another")

    def bad() -> None:
        raise LookupError

    stream._maybe_add_error_listener = bad
    in_thread(lambda: stream.set_close_callback(None))
    server.call(lambda: None)
    del stream._maybe_add_error_listener


def test_future_that_nobody_retrieves(pair, expect_log):
    """Any other error than a closed stream is asyncio's to report."""
    server, stream, _ = pair
    expect_log("asyncio", "Future exception was never retrieved")

    def bad() -> None:
        raise LookupError

    stream._handle_write = bad
    in_thread(lambda: stream.write(b"x"))
    server.call(lambda: None)
    del stream._handle_write


def test_write_that_is_cancelled_or_cut_off(pair):
    """A Future cancelled on the way stays so; one of a stream that closes is quiet."""
    server, stream, _ = pair
    futures: list[Any] = []
    server.call(current_portal)

    def meanwhile() -> None:
        in_thread(lambda: futures.append(stream.write(b"x")))
        in_thread(lambda: futures.append(stream.write(b"x" * 50_000_000)))
        in_thread(lambda: futures.append(stream.write(b"y")))
        futures[0].cancel()

    server.call(meanwhile)
    server.call(lambda: futures[2].cancel())
    in_thread(stream.close)
    server.until(lambda: futures[1].done())
    with pytest.raises(StreamClosedError):
        futures[1].result()
    assert futures[0].cancelled()
    assert futures[2].cancelled()


def test_stream_of_a_loop_that_does_not_run():
    """Before the first run and after the last, the caller's own thread is right."""
    loop = asyncio.new_event_loop()
    mine, other = socket.socketpair()

    async def make() -> IOStream:
        return IOStream(mine)

    stream = loop.run_until_complete(make())
    assert portal_to(loop) is None
    asyncio.set_event_loop(loop)
    stream.write(b"direct")
    assert other.recv(6) == b"direct"
    stream.close()
    assert stream.closed()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.set_event_loop(None)
    assert portal_to(loop) is None
    other.close()


def test_loop_that_closes_meanwhile():
    """It has no portal, and needs none."""

    class Closing:
        _tornado_unblock_portal = None

        def is_running(self) -> bool:
            return True

        def call_soon_threadsafe(self, *args: Any) -> None:
            raise RuntimeError("closed")

    assert portal_to(Closing()) is None  # type: ignore[arg-type]


def test_loop_that_does_not_answer(monkeypatch, make_server):
    """Its thread is blocked: the caller is told, and does not wait for ever."""
    monkeypatch.setattr("tornado_unblock._loop.portal.CALL_TIMEOUT", 0.05)
    server = make_server()
    entered, gate = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        assert gate.wait(WAIT)

    server.loop.call_soon_threadsafe(block)
    assert entered.wait(WAIT)
    try:
        with pytest.raises(LoopThreadError, match="did not answer"):
            portal_to(server.loop)
    finally:
        gate.set()


def test_stream_of_another_running_loop(pair):
    """What has to wait would block the calling loop: it is refused with advice."""
    _, stream, other = pair

    async def main() -> None:
        stream.write(b"posted")
        with pytest.raises(LoopThreadError, match="runs another event loop"):
            stream.read_bytes(1)

    asyncio.run(main())
    assert other.recv(6) == b"posted"


def test_stream_of_a_loop_that_a_body_runs(make_server):
    """It belongs to the worker that runs that loop: nothing is carried."""
    server = make_server()

    async def talk() -> bytes:
        left, right = (IOStream(end) for end in socket.socketpair())
        await left.write(b"hi")
        data = await right.read_bytes(2)
        left.close()
        right.close()
        return data

    async def run() -> None:
        assert await run_in_executor(asyncio.run, talk()) == b"hi"

    server.call(run)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop])
def test_files_of_an_io_loop(make_server, new_loop):
    """A body adds, changes and removes them; the loop that waits hears of each."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            io_loop, here = IOLoop.current(), threading.current_thread()
            seen: queue.SimpleQueue[Any] = queue.SimpleQueue()

            def note(sock: Any, events: int) -> None:
                seen.put((events, threading.current_thread() is here))
                io_loop.remove_handler(sock)

            one, other = socket.socketpair()
            with one, other:
                io_loop.add_handler(one, note, io_loop.READ)
                other.send(b"x")
                assert seen.get(timeout=WAIT) == (io_loop.READ, False)
                io_loop.add_handler(one, note, io_loop.ERROR)
                io_loop.update_handler(one, io_loop.WRITE)
                assert seen.get(timeout=WAIT) == (io_loop.WRITE, False)
                io_loop.add_handler(other, handler=note, events=io_loop.READ)
                io_loop.remove_handler(other)
            self.write("done")

    assert make_server(("/", Handler), new_loop=new_loop).get("/").body == b"done"


def test_guards_are_installed_once():
    """A second time changes nothing; every class stays what it was."""
    loop_owned.guard_tornado()
    before = vars(IOStream)["set_nodelay"]
    loop_owned.guard_tornado()
    assert vars(IOStream)["set_nodelay"] is before
    assert IOStream.set_nodelay.__name__ == "set_nodelay"


def test_tornado_has_what_is_guarded():
    """Each name exists in this Tornado, on one of its classes, and is guarded there."""
    loop_owned.guard_tornado()
    for _, classes, methods in loop_owned.GUARDED + loop_owned.guarded_sockets(
        websocket
    ):
        for name in methods:
            owners = [cls for cls in classes if name in vars(cls)]
            assert owners, name
            for cls in owners:
                assert hasattr(vars(cls)[name], "__wrapped__"), (cls, name)


def test_private_things_of_tornado_that_guards_use():
    """What they read beyond the documented: each is there in this Tornado."""
    source = {
        HTTP1Connection: ["_request_start_line", "stream"],
        iostream.BaseIOStream: ["io_loop", "max_write_buffer_size", "error"],
        websocket.WebSocketProtocol: ["stream"],
        websocket.WebSocketProtocol13: ["is_closing"],
        WebSocketHandler: ["ws_connection"],
        websocket.WebSocketClientConnection: [],
    }
    import inspect

    for cls, names in source.items():
        text = inspect.getsource(cls)
        for name in names:
            assert name in text, (cls, name)


def test_connection_of_another_kind():
    """What is no HTTP/1 connection is left as it is."""
    connection = SimpleNamespace()
    expect_head(connection)
    assert vars(connection) == {}
