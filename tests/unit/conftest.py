"""A real server on its own loop thread, and a raw client for it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from tests.conftest import SLOW_TURN
from tests.patience import PROGRAM, WAIT
from tests.unit.gates import Gate, executors_of_workers
from tornado_unblock import run_in_executor
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._executors.threads import WorkerExecutor
from tornado_unblock._limits.limiter import Limiter
from tornado_unblock._limits.placement import limiter_of
from tornado_unblock._loop.portal import current_portal

# What a program prints under asyncio's debug mode, and is not its own.
REMARK = re.compile(f"{SLOW_TURN}\n", re.MULTILINE)


async def all_quiet(*names: str) -> None:
    """Wait until no token of these executors is borrowed on this loop."""
    for name in names or ("default",):
        await quiet(limiter_of(current_portal(), get_executor(name)))


async def quiet(limiter: Limiter) -> None:
    """Wait until no token of it is borrowed."""
    while limiter.borrowed_tokens:  # noqa: ASYNC110 - nobody tells of the last
        await asyncio.sleep(0)


class Server:
    """An application served by a loop of its own, in a thread of its own."""

    def __init__(self, debug: bool, new_loop: Callable[[], Any]) -> None:
        self.loop = new_loop()
        self.loop.set_debug(debug or self.loop.get_debug())
        self.thread = threading.Thread(target=self._run, name="loop")
        self.port = 0
        self.server: Optional[HTTPServer] = None
        self._clients: list[socket.socket] = []
        # WebSocket clients on the server's own loop, to be closed with it.
        self.web_sockets: list[Any] = []
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run ``fn(*args)``, a function or coroutine function, on the loop thread."""

        async def run() -> Any:
            result = fn(*args)
            return await result if isinstance(result, Awaitable) else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(WAIT)

    def serve(self, app: Application) -> None:
        def start() -> None:
            sockets = bind_sockets(0, "127.0.0.1")
            self.port = sockets[0].getsockname()[1]
            self.server = HTTPServer(app)
            self.server.add_sockets(sockets)

        self.call(start)

    def connect(self, **options: int) -> socket.socket:
        client = socket.socket()
        for name, value in options.items():
            client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        client.settimeout(WAIT)
        client.connect(("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    def send(self, path: str, *, method: str = "GET", headers: str = "") -> Any:
        """Send one request, and return its socket."""
        client = self.connect()
        client.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"{headers}\r\n".encode()
        )
        return client

    def get(self, path: str, **options: Any) -> Response:
        """Send one request, and return its whole response."""
        return read(self.send(path, **options))

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until ``condition()``, something that sets no event, holds."""

        async def poll() -> None:
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0)

        self.call(poll)

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            for client in self._clients:
                stack.callback(client.close)
        if self.loop.is_closed():
            return
        if self.thread.is_alive():
            self.call(self._close)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(WAIT)
        self.loop.close()

    async def _close(self) -> None:
        for client in self.web_sockets:
            client.close()
        if self.server is not None:
            self.server.stop()
            await self.server.close_all_connections()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=1)


class Response:
    """What came back, as bytes and in parts."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin1").split("\r\n")
        self.status = int(lines[0].split()[1]) if raw.startswith(b"HTTP/") else 0
        self.headers = dict(line.split(": ", 1) for line in lines[1:])


def read(client: socket.socket) -> Response:
    """Read until the server closes."""
    parts = []
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    client.close()
    return Response(b"".join(parts))


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(
        *rules: Any,
        debug: bool = False,
        new_loop: Callable[[], Any] = asyncio.new_event_loop,
        **settings: Any,
    ) -> Server:
        server = Server(debug, new_loop)
        servers.append(server)
        server.serve(Application(list(rules), **settings))
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Application], Server]]:
    """Return what serves an application on a loop thread of its own."""
    servers: list[Server] = []

    def start(app: Application) -> Server:
        server = Server(False, asyncio.new_event_loop)
        servers.append(server)
        server.serve(app)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a gate that is open when the test is over."""
    gate = Gate()
    yield gate
    gate.open.set()


def uvloop() -> Any:
    """Return a new loop of uvloop; skips the test where there is none."""
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.fixture(params=[False, True], ids=["", "debug"])
def debug(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"])
def any_server(
    request: pytest.FixtureRequest, make_server: Callable[..., Server], debug: bool
) -> Server:
    """Each kind of loop in a thread of its own; bodies run on its workers."""
    return make_server(new_loop=request.param, debug=debug)


@pytest.fixture
def in_any_body(any_server: Server) -> Callable[..., Any]:
    """Run a function as a body, and return what comes back from it."""
    return functools.partial(any_server.call, run_in_executor)


@pytest.fixture
def make() -> Iterator[Callable[..., WorkerExecutor]]:
    """Make executors that are shut down when the test is over."""
    with executors_of_workers() as make:
        yield make


@pytest.fixture
def run_program(child_env: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    """Run a program in a process of its own, and return all that it prints."""

    def run(program: str, *args: str, noisy: bool = False) -> str:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(program))
        # Newer Pythons warn of forking a process that has threads; that is the test.
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(script), *args],
            env=child_env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            # What a noisy program logs is not part of it.
            stderr=subprocess.PIPE if noisy else subprocess.STDOUT,
            text=True,
            timeout=PROGRAM,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr or ''}"
        return REMARK.sub("", done.stdout)

    return run
