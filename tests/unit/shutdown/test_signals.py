"""Signals: the first drains, the second kills; both ways to run a loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from typing import Any, Callable, Optional

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from tests.patience import PROGRAM, WAIT
from tests.unit.gates import Gate
from tornado_unblock import (
    ConfigurationError,
    LoopThreadError,
    serve_until_signal,
    stop_on_signal,
    unblock,
)
from tornado_unblock._shutdown import signals


class Service:
    """A server on this, the main thread; its clients are on another."""

    def __init__(self, style: str, *rules: Any, deadline: Optional[float] = WAIT):
        self.style, self.deadline = style, deadline
        self.app = Application(list(rules))
        (listening,) = bind_sockets(0, "127.0.0.1")
        self.port = listening.getsockname()[1]
        self.listening = listening
        self.abandoned: Any = None
        self.loop: Any = None
        # What requests wait for that are cut off; set when the service has ended.
        self.release: Optional[asyncio.Event] = None

    def run(self, talk: Callable[[Service], None]) -> None:
        """Serve until a signal while ``talk`` runs in a thread."""
        handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
        with concurrent.futures.ThreadPoolExecutor(1, "client") as thread:
            if self.style == "asyncio":
                talked = asyncio.run(self._main(thread, talk))
            else:
                talked = self._start(thread, talk)
            talked.result()
        assert handlers == [
            signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)
        ]

    async def _main(self, thread: Any, talk: Any) -> Any:
        server = HTTPServer(self.app)
        server.add_sockets([self.listening])
        self.loop = asyncio.get_running_loop()
        talked = thread.submit(talk, self)
        self.abandoned = await serve_until_signal(server, deadline=self.deadline)
        if self.release is not None:
            self.release.set()
            await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        return talked

    def _start(self, thread: Any, talk: Any) -> Any:
        loop = self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            server = HTTPServer(self.app)
            server.add_sockets([self.listening])
            stop_on_signal(server, deadline=self.deadline)
            talked = thread.submit(talk, self)
            IOLoop.current().start()
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        return talked

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), WAIT)
        client.settimeout(WAIT)
        return client

    def send(self, path: str, more: bytes = b"") -> socket.socket:
        client = self.connect()
        client.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n")
        client.sendall(more + b"\r\n")
        return client

    def signal(self, number: int = signal.SIGTERM) -> None:
        os.kill(os.getpid(), number)


def rest(client: socket.socket) -> bytes:
    with client:
        parts = []
        while part := client.recv(4096):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture(params=["asyncio", "ioloop"])
def style(request):
    return request.param


def slow(gate: Gate) -> type[RequestHandler]:
    class Slow(RequestHandler):
        @unblock
        def get(self) -> str:
            gate.entered.release()
            assert gate.open.wait(WAIT)
            return "served"

    return Slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_are_answered(style, gate, number):
    """Idle connections are closed, no new ones are taken, then it returns."""

    def talk(service: Service) -> None:
        idle = service.send("/fast")
        assert idle.recv(4096).endswith(b"fast")
        silent = service.connect()
        busy = service.send("/slow")
        assert gate.entered.acquire(timeout=WAIT)
        service.signal(number)
        assert rest(idle) == b""
        assert rest(silent) == b""
        with pytest.raises(ConnectionRefusedError):
            service.connect()
        gate.open.set()
        assert rest(busy).endswith(b"served")

    class Fast(RequestHandler):
        def get(self) -> None:
            self.write("fast")

    service = Service(style, ("/slow", slow(gate)), ("/fast", Fast))
    service.run(talk)
    assert service.abandoned in ([], None)


def native(noted: list[str]) -> type[RequestHandler]:
    class Native(RequestHandler):
        async def get(self) -> None:
            noted.append(self.get_argument("n"))
            self.write("answered" + noted[-1])

    return Native


def moved(noted: list[str]) -> type[RequestHandler]:
    class Moved(RequestHandler):
        @unblock
        def get(self) -> None:
            noted.append(self.get_argument("n"))
            self.write("answered" + noted[-1])

    return Moved


@pytest.mark.parametrize("make", [native, moved])
@pytest.mark.parametrize("first", ["bytes", "signal"])
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("requests", [1, 2])
def test_a_request_that_is_read_in_the_very_turn(
    style, allow_log, make, first, before, requests
):
    """Either its client has an answer, or it was not executed; the same pipelined."""
    allow_log("tornado", "503 GET /")
    noted: list[str] = []

    def talk(service: Service) -> None:
        blocked, go = threading.Event(), threading.Event()
        client = service.connect()
        answers = b""
        for n in range(before):
            client.sendall(request(n))
            while f"answered{n}".encode() not in answers:
                answers += client.recv(4096)

        def block() -> None:
            blocked.set()
            assert go.wait(WAIT)

        # The loop comes to both in one turn: what was sent, and the signal.
        service.loop.call_soon_threadsafe(block)
        assert blocked.wait(WAIT)
        acts = [
            lambda: client.sendall(b"".join(map(request, range(5, 5 + requests)))),
            service.signal,
        ]
        for act in acts if first == "bytes" else reversed(acts):
            act()
        go.set()
        try:
            answers += rest(client)
        except ConnectionResetError:
            pass  # closed with bytes unread
        said.append(answers.count(b"answered") + answers.count(b"HTTP/1.1 503"))

    def request(n: int) -> bytes:
        return f"GET /?n={n} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    said: list[int] = []
    Service(style, ("/", make(noted))).run(talk)
    assert said[0] >= len(noted)


def test_coroutines_under_way_are_waited_for(style, gate):
    """Also those that are at no executor when the signal comes, but will be."""
    wake: list[Callable[[], None]] = []

    class Handler(RequestHandler):
        async def get(self) -> None:
            loop, event = asyncio.get_running_loop(), asyncio.Event()
            wake.append(lambda: loop.call_soon_threadsafe(event.set))
            gate.entered.release()
            await event.wait()
            await self.load()

        @unblock
        def load(self) -> None:
            self.write("loaded")

    def talk(service: Service) -> None:
        client = service.send("/")
        idle = service.connect()
        assert gate.entered.acquire(timeout=WAIT)
        service.signal()
        assert rest(idle) == b""
        wake[0]()
        assert rest(client).endswith(b"\r\n\r\n" + b"loaded")

    Service(style, ("/", Handler)).run(talk)


def test_deadline(style, gate, expect_log):
    """What is not done by then is answered with a 503, and the loop ends."""
    expect_log("tornado.application", "Slow.get: still running after")
    expect_log("tornado.general", "503 GET /")
    expect_log("tornado.access", "503 GET /")

    def talk(service: Service) -> None:
        client = service.send("/")
        assert gate.entered.acquire(timeout=WAIT)
        service.signal()
        assert rest(client).startswith(b"HTTP/1.1 503 ")

    service = Service(style, ("/", slow(gate)), deadline=0.01)
    service.run(talk)
    if style == "asyncio":
        assert [left.running for left in service.abandoned] == [True]


@pytest.fixture
def allow(monkeypatch):
    """Set how many seconds something may take at the end."""

    def allow(**seconds: float) -> None:
        for name, value in seconds.items():
            monkeypatch.setattr(signals, f"_{name.upper()}", value)

    return allow


def test_requests_that_are_no_bodies_are_cut_off(gate, expect_log, allow):
    """A coroutine that never ends does not hold up the end."""
    allow(answering=0.01, closing=WAIT)
    expect_log("tornado.application", "1 requests were cut off")

    class Handler(RequestHandler):
        async def get(self) -> None:
            service.release = asyncio.Event()
            gate.entered.release()
            await service.release.wait()

    def talk(service: Service) -> None:
        client = service.send("/")
        assert gate.entered.acquire(timeout=WAIT)
        service.signal()
        assert rest(client) == b""

    service = Service("asyncio", ("/", Handler), deadline=0.01)
    service.run(talk)


def test_connections_that_do_not_close(gate, expect_log, allow):
    """They are left to the system."""
    allow(answering=0.01, closing=0.05)
    expect_log("tornado.application", "1 requests were cut off")
    expect_log("tornado.application", "did not close within 0.05 s")

    @stream_request_body
    class Handler(RequestHandler):
        async def data_received(self, chunk: bytes) -> None:
            service.release = asyncio.Event()
            gate.entered.release()
            await service.release.wait()

        def get(self) -> None: ...

    def talk(service: Service) -> None:
        client = service.send("/", b"Content-Length: 1\r\n")
        client.sendall(b"x")
        assert gate.entered.acquire(timeout=WAIT)
        service.signal()
        assert rest(client) == b""

    service = Service("asyncio", ("/", Handler), deadline=0.01)
    service.run(talk)


def test_a_websocket_is_not_waited_for(gate):
    """It is no request under way; it ends with the process."""
    clients = []

    class Socket(WebSocketHandler):
        def open(self) -> None:
            gate.entered.release()

    def talk(service: Service) -> None:
        clients.append(
            service.send(
                "/",
                b"Upgrade: websocket\r\nConnection: upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n",
            )
        )
        assert gate.entered.acquire(timeout=WAIT)
        service.signal()

    Service("asyncio", ("/", Socket)).run(talk)
    clients[0].close()


def test_only_on_the_main_thread():
    """Others get no signals, and are told so."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        with pytest.raises(LoopThreadError, match="main thread"):
            thread.submit(asyncio.run, serve_until_signal()).result()


def test_deadline_is_checked():
    """Before anything is changed."""
    with pytest.raises(ConfigurationError, match="deadline"):
        asyncio.run(serve_until_signal(deadline=-1))


SERVICE = """
import asyncio, logging, signal, sys, threading
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado_unblock import serve_until_signal, stop_on_signal, unblock

logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
stuck = threading.Event()

class Handler(RequestHandler):
    @unblock
    def get(self, where):
        if where == "loop":
            IOLoop.current().add_callback(self.block)
        else:
            print("entered", flush=True)
        stuck.wait()

    def block(self):
        print("entered", flush=True)
        stuck.wait()

(listening,) = bind_sockets(0, "127.0.0.1")
print(listening.getsockname()[1], flush=True)
"""

MAIN = {
    "asyncio": """
        async def main():
            server = HTTPServer(Application([("/(.*)", Handler)]))
            server.add_sockets([listening])
            await serve_until_signal(server, deadline=DEADLINE)
            print("ended_at", flush=True)

        asyncio.run(main())
        """,
    "ioloop": """
        server = HTTPServer(Application([("/(.*)", Handler)]))
        server.add_sockets([listening])
        stop_on_signal(server, deadline=DEADLINE)
        IOLoop.current().start()
        print("ended_at", flush=True)
        """,
}


@pytest.fixture
def start(child_env, tmp_path):
    """Return what starts a service in a process of its own, and a request there."""
    processes = []

    def start(style: str, deadline: Any, path: str, before: str = "") -> Any:
        main = textwrap.dedent(MAIN[style]).replace("DEADLINE", repr(deadline))
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", before + SERVICE + main],
            env=child_env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        port = int(process.stdout.readline())
        client = socket.create_connection(("127.0.0.1", port), WAIT)
        processes.append(client)
        client.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert process.stdout.readline() == "entered\n"
        return process

    yield start
    for each in processes:
        if isinstance(each, socket.socket):
            each.close()
        else:
            each.kill()
            each.wait()
            each.stdout.close()


def test_a_body_that_never_returns_does_not_hold_up_the_exit(start, style):
    """After the deadline the process ends, by itself and well."""
    process = start(style, 0.01, "/worker")
    process.send_signal(signal.SIGINT)
    output = process.stdout.read()
    assert process.wait(WAIT) == 0
    assert "Handler.get: still running" in output
    assert ", in get" in output
    assert output.endswith("ended_at\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_kills(start, style, number):
    """However long the deadline."""
    process = start(style, None, "/worker")
    process.send_signal(number)
    assert process.stdout.readline().startswith("Shutting down")
    process.send_signal(number)
    assert process.wait(WAIT) == -number


def test_second_signal_kills_a_stuck_loop(start, style):
    """The first one cannot be heard there, the second need not be."""
    process = start(style, None, "/loop")
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT) == -signal.SIGTERM


def test_on_uvloop(start):
    """It hears signals as well."""
    pytest.importorskip("uvloop")
    policy = "asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())\n"
    # Tornado 6.1 makes no loop of its own where the policy makes none.
    loop = "asyncio.set_event_loop(asyncio.new_event_loop())\n"
    before = f"import asyncio, uvloop\n{policy}{loop}"
    process = start("ioloop", 0.01, "/worker", before)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read().endswith("ended_at\n")
    assert process.wait(WAIT) == 0


def test_signal_after_the_loop_was_closed(start, child_env, tmp_path):
    """There is nothing to drain: it kills."""
    script = """
    import asyncio, os, signal
    from tornado.ioloop import IOLoop
    from tornado_unblock import stop_on_signal

    async def main():
        stop_on_signal()

    asyncio.run(main())
    os.kill(os.getpid(), signal.SIGTERM)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(
        command, env=child_env, cwd=tmp_path, timeout=PROGRAM, check=False
    )
    assert done.returncode == -signal.SIGTERM
