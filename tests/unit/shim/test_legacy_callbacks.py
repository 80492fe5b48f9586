"""``callback=`` and ``io_loop=`` where Tornado 3 to 5 took them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import tornado
from tornado import auth, iostream, netutil
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.ioloop import IOLoop
from tornado.tcpserver import TCPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.patience import WAIT
from tornado_unblock import LoopThreadError, run_in_executor, unblock
from tornado_unblock._handlers.ownership import refuse_abandoned_bodies
from tornado_unblock.shim import legacy
from tornado_unblock.shim.legacy import _callbacks
from tornado_unblock.shim.legacy._classes import initialized, instance


class Calls:
    """What callbacks were called with."""

    def __init__(self) -> None:
        self.made: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, *args: Any) -> None:
        self.made.put_nowait(args)

    async def next(self) -> Any:
        return await asyncio.wait_for(self.made.get(), WAIT)


@contextlib.asynccontextmanager
async def pair(cls: Any = legacy.IOStream) -> AsyncIterator[tuple[Any, Any]]:
    """Return the two ends of a connection."""
    ours, theirs = socket.socketpair()
    stream = cls(ours, io_loop=IOLoop.current())
    other = iostream.IOStream(theirs)
    try:
        yield stream, other
    finally:
        stream.close()
        other.close()


# --- streams ------------------------------------------------------------------------


def test_stream_reads():
    """Each read calls back with its data, wherever its callback stood."""

    async def main() -> None:
        calls = Calls()
        async with pair() as (stream, other):
            await other.write(b"line\nword, 12345678rest")
            assert stream.read_until(b"\n", calls) is None
            assert await calls.next() == (b"line\n",)
            stream.read_until_regex(rb"\w+,", callback=calls)
            assert await calls.next() == (b"word,",)
            stream.read_until(b" ", None, 5)
            stream.read_bytes(4, calls)
            assert await calls.next() == (b"1234",)
            buffer = bytearray(4)
            stream.read_into(buffer, calls)
            assert await calls.next() == (4,)
            assert buffer == b"5678"
            stream.read_until_close(calls)
            other.close()
            assert await calls.next() == (b"rest",)

    async def today() -> None:
        async with pair() as (stream, other):
            await stream.write(b"as today")
            assert await other.read_bytes(100, partial=True) == b"as today"

    asyncio.run(main())
    asyncio.run(today())


def test_stream_writes_and_connects():
    """These call back with nothing; a failure is told by the close callback alone."""

    async def main() -> None:
        calls, closed = Calls(), Calls()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = legacy.IOStream(socket.socket())
            stream.connect(listener.getsockname(), calls)
            assert await calls.next() == ()
            stream.write(b"data", callback=calls)
            assert await calls.next() == ()
            stream.set_close_callback(closed)
            accepted, _ = listener.accept()
            stream.read_until(b"\n", calls)
            accepted.close()
            assert await closed.next() == ()
            await asyncio.sleep(0)
            assert calls.made.empty()
            stream.write(b"more", calls) if not stream.closed() else None
            assert calls.made.empty()

    asyncio.run(main())


def test_a_write_that_fails():
    """Its callback is not called."""

    async def main() -> None:
        calls = Calls()
        async with pair() as (stream, other):
            # More than the system keeps for a reader that reads nothing.
            stream.write(b"x" * 2**24, calls)
            other.close()
            closed = asyncio.Event()
            stream.set_close_callback(closed.set)
            await closed.wait()
            await asyncio.sleep(0)
            assert calls.made.empty()

    asyncio.run(main())


def test_a_stream_callback_that_raises(expect_log):
    """The error is logged, and the stream closed."""

    def wrong(data: bytes) -> None:
        raise ValueError("wrong")

    async def main() -> None:
        async with pair() as (stream, other):
            stream.read_until(b"\n", wrong)
            await other.write(b"line\n")
            with pytest.raises(iostream.StreamClosedError):
                await other.read_bytes(1)

    expect_log("tornado.application", "closing connection")
    expect_log("tornado.application", "Exception in callback")
    asyncio.run(main())


def test_streaming_callback_is_refused():
    """The error says what to call instead."""

    async def main() -> None:
        async with pair() as (stream, _):
            with pytest.raises(NotImplementedError, match="partial=True"):
                stream.read_bytes(4, streaming_callback=print)

    asyncio.run(main())


TLS = Path(tornado.__file__).parent / "test"


def test_tls(expect_log):
    """The connection calls back after the handshake, or not at all."""
    connect = _callbacks.taken(iostream.SSLIOStream, "connect")
    handshake = _callbacks.taken(iostream.SSLIOStream, "wait_for_handshake")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(TLS / "test.crt", TLS / "test.key")
    shaken: list[Any] = []

    class Server(TCPServer):
        async def handle_stream(self, stream: Any, address: Any) -> None:
            handshake(stream, lambda: shaken.append(stream))
            with contextlib.suppress(iostream.StreamClosedError):
                await stream.read_until_close()

    async def main() -> None:
        server, calls = Server(ssl_options=theirs), Calls()
        server.add_sockets(sockets := netutil.bind_sockets(0, "127.0.0.1"))
        address = sockets[0].getsockname()
        stream = iostream.SSLIOStream(socket.socket(), ssl_options=ours)
        assert connect(stream, address, calls) is None
        assert await calls.next() == ()
        while not shaken:  # noqa: ASYNC110
            await asyncio.sleep(0)
        stream.close()
        expect_log("tornado.general", "^SSL Error")
        strict, closed = ssl.create_default_context(), Calls()
        stream = iostream.SSLIOStream(socket.socket(), ssl_options=strict)
        stream.set_close_callback(closed)
        connect(stream, address, calls, server_hostname="x")
        await closed.next()
        assert calls.made.empty()
        server.stop()

    asyncio.run(main())


# --- others -------------------------------------------------------------------------


def test_resolver():
    """Its callback gets the addresses."""
    calls: list[Any] = []

    async def main() -> None:
        resolver = netutil.Resolver()
        calls.append(Calls())
        address = ("127.0.0.1", 80, socket.AF_INET, calls[0])
        assert await legacy.Task(resolver.resolve, *address[:3])
        resolve = _callbacks.with_callback(resolver.resolve)
        resolve(*address)
        assert (await calls[0].next())[0][0][1] == ("127.0.0.1", 80)

    asyncio.run(main())


def test_with_callback_leaves_others_alone():
    """Only methods of Tornado that took a callback are replaced."""
    assert _callbacks.with_callback(len) is len
    assert _callbacks.with_callback(print) is print


class Provider(auth.OAuth2Mixin):
    """Stands for a service that knows one user."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get_auth_http_client(self) -> Any:
        return AsyncHTTPClient()


class Known(RequestHandler):
    def get(self) -> None:
        self.write({"user": self.get_argument("access_token", "nobody")})


def test_auth(make_server, expect_log):
    """The user, or None and a warning when the service says no."""
    server = make_server(("/", Known))

    async def main() -> None:
        calls = Calls()
        provider = Provider(f"http://127.0.0.1:{server.port}/")
        request = _callbacks.with_callback(provider.oauth2_request)
        assert request(provider.url, calls, access_token="ada") is None
        assert await calls.next() == ({"user": "ada"},)
        failed = IOLoop.current().asyncio_loop.create_future()  # type: ignore[attr-defined]
        failed.set_exception(auth.AuthError("not today"))
        _callbacks._user(None, calls, failed)
        assert await calls.next() == (None,)

    expect_log("tornado.general", "not today")
    asyncio.run(main())


def test_flush(make_server):
    """Its callback is called when the chunk is on its way, on any thread."""
    flush = _callbacks.taken(RequestHandler, "flush")
    called: list[Any] = []

    class Chunks(RequestHandler):
        def get(self) -> None:
            self.write("chunk ")
            flush(self, callback=self.flushed)

        @legacy.asynchronous
        def post(self) -> None:
            self.get()

        put = unblock(post)

        def flushed(self) -> None:
            called.append(threading.current_thread().name)
            if not self._finished:
                self.finish("end")

    server = make_server(("/", Chunks))
    assert b"chunk " in server.get("/").body
    for method in ("POST", "PUT"):
        headers = "Content-Length: 0\r\n"
        assert b"end" in server.get("/", method=method, headers=headers).body
    assert called == ["loop"] * 3


def test_flush_is_known_when_bodies_were_abandoned():
    """What refuses such a body has a place in Tornado's class too, below the shim's."""
    refuse_abandoned_bodies()
    flush = types.MethodType(RequestHandler.flush, object())
    taken: Any = _callbacks.with_callback(flush)
    assert taken.__func__ is _callbacks.taken(RequestHandler, "flush")
    assert taken.__func__.__wrapped__ is RequestHandler.flush


def test_fetch_as_today(make_server):
    """Without a callback it is Tornado's, also on a worker."""
    server = make_server(("/", Known))
    url = f"http://127.0.0.1:{server.port}/"

    def from_worker(path: str) -> Any:
        client = legacy.AsyncHTTPClient()
        return client.fetch(url + path, raise_error=False)

    async def main() -> None:
        client = legacy.AsyncHTTPClient(io_loop=IOLoop.current())
        assert isinstance(client, AsyncHTTPClient)
        assert client.__wrapped__ is AsyncHTTPClient()
        assert (await client.fetch(url)).code == 200
        assert (await client.fetch(url + "none", False)).code == 404
        with pytest.raises(HTTPClientError):
            await client.fetch(url + "none")
        assert (await run_in_executor(from_worker, "none")).code == 404
        with pytest.raises(ValueError, match="kwargs"):
            await run_in_executor(from_worker_wrong)

    def from_worker_wrong() -> Any:
        request = HTTPRequest(url)
        return legacy.AsyncHTTPClient().fetch(request, method="GET")

    asyncio.run(main())
    assert legacy.AsyncHTTPClient.configure == AsyncHTTPClient.configure


pytestmark = pytest.mark.allow_log("tornado.access", "^404 GET")


def test_fetch_of_nonsense():
    """What is wrong with the request is told where it is made."""

    async def main() -> None:
        calls = Calls()
        legacy.AsyncHTTPClient().fetch("nonsense://x", callback=calls)
        (response,) = await calls.next()
        assert response.code == 599

    asyncio.run(main())


class Echo(WebSocketHandler):
    def on_message(self, message: Any) -> None:
        self.write_message(message)


def test_websocket_connect(make_server):
    """It takes a loop; its callback gets a Future, as ever; workers may call it."""
    server = make_server(("/", Echo))
    url = f"ws://127.0.0.1:{server.port}/"

    async def main() -> None:
        calls = Calls()
        await legacy.websocket_connect(url, callback=calls, io_loop=IOLoop.current())
        ((connected,),) = (await calls.next(),)
        socket = connected.result()
        await socket.write_message("hello")
        assert await socket.read_message() == "hello"
        read_message = _callbacks.with_callback(socket.read_message)
        future = read_message(calls)
        await socket.write_message("again")
        assert await calls.next() == (future,)
        assert future.result() == "again"
        socket.close()
        assert await socket.read_message() is None
        other = await run_in_executor(lambda: legacy.websocket_connect(url))
        other.close()
        assert await other.read_message() is None

    asyncio.run(main())


def test_with_timeout():
    """It takes a loop."""

    async def main() -> None:
        loop = IOLoop.current()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        loop.add_callback(future.set_result, 7)
        assert await legacy.with_timeout(loop.time() + WAIT, future, io_loop=loop) == 7

    asyncio.run(main())


# --- io_loop= -----------------------------------------------------------------------


def test_io_loop_is_accepted():
    """By position or by name; another loop than the current one is refused."""

    async def main(other: IOLoop) -> None:
        loop, called = IOLoop.current(), asyncio.Event()
        timer = legacy.PeriodicCallback(called.set, 1, loop)
        timer.start()
        await called.wait()
        timer.stop()
        legacy.HTTPServer(Application(), io_loop=None).stop()
        legacy.HTTPServer(Application(), io_loop=loop).stop()
        with pytest.raises(NotImplementedError, match=r"io_loop\.add_callback"):
            legacy.HTTPServer(Application(), io_loop=other)

    other = asyncio.new_event_loop()
    try:

        async def current() -> IOLoop:
            return IOLoop.current()

        asyncio.run(main(other.run_until_complete(current())))
    finally:
        other.close()


# --- IOLoop.instance ----------------------------------------------------------------


def test_instance_in_workers_and_threads(make_server):
    """It is the application's loop, wherever it is asked for."""
    found: list[Any] = []

    class Ask(RequestHandler):
        @unblock
        def get(self) -> None:
            found.append((IOLoop.instance(), legacy.IOLoop.instance()))

    server = make_server(("/", Ask))
    server.get("/")
    io_loop = server.call(IOLoop.current)
    assert found == [(io_loop, io_loop)]
    assert server.call(instance) is io_loop
    assert instance() is io_loop  # the test's own thread has no loop
    assert initialized()


def test_instance_is_not_guessed(make_server):
    """With several loops there is no telling; before any runs it is the thread's."""
    for _ in range(2):
        make_server().call(IOLoop.current)
    with pytest.raises(LoopThreadError, match="2 loops run"):
        instance()


def test_instance_before_a_loop_runs():
    """The way programs of old began."""
    ran: list[Any] = []

    def program() -> None:
        loop = legacy.IOLoop(make_current=False)
        asyncio.set_event_loop(loop.asyncio_loop)
        assert legacy.IOLoop.instance() is loop
        assert legacy.IOLoop.current() is loop
        assert legacy.IOLoop.initialized()
        loop.add_callback(loop.stop)
        loop.start()
        loop.close(all_fds=True)
        asyncio.set_event_loop(None)
        ran.append(True)

    thread = threading.Thread(target=program)
    thread.start()
    thread.join(WAIT)
    assert ran
