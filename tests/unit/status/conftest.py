"""A status page that is asked with plain sockets, and a loop that a test holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tests.unit.conftest import Response, read
from tornado_unblock import status


class Client:
    """Asks the page at one port."""

    def __init__(self, port: int, prefix: str = "") -> None:
        self.port, self.prefix = port, prefix

    def open(self, path: str, **headers: str) -> socket.socket:
        """Send one request, and return its socket."""
        headers = {"Host": f"localhost:{self.port}", "Connection": "close", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        method, _, path = path.rpartition(" ")
        client = socket.create_connection(("127.0.0.1", self.port), WAIT)
        request = f"{method or 'GET'} {self.prefix}{path} HTTP/1.1\r\n{lines}\r\n"
        client.sendall(request.encode())
        return client

    def get(self, path: str, **headers: str) -> Response:
        """Send one request, and return its whole response."""
        return read(self.open(path, **headers))

    def json(self) -> Any:
        """Return the snapshot."""
        return json.loads(self.get("/status.json").body)

    def processes(self) -> Any:
        """Return what is told of all processes, by their number."""
        told = json.loads(self.get("/processes.json").body)
        return {one["process"]: one for one in told["processes"]}

    def events(self, path: str = "/events") -> Events:
        """Begin to listen."""
        return Events(self.open(path))


class Events:
    """What an event stream says, event by event."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._file = client.makefile("rb")
        self.raw = b""

    def next(self) -> dict[str, str]:
        """Return the next event."""
        while True:
            line = self._file.readline()
            assert line, "the stream has ended"
            self.raw += line
            if line.startswith(b"data: "):
                found: dict[str, str] = json.loads(line[6:])
                return found

    def rest(self) -> bytes:
        """Read on to the end."""
        return self._file.read()

    def close(self) -> None:
        self._file.close()
        self._client.close()


@pytest.fixture
def serve_status() -> Iterator[Callable[..., Client]]:
    """Serve the page on a free port until the test is over."""
    servers = []

    def start(**options: Any) -> Client:
        servers.append(status.serve(0, **options))
        return Client(servers[-1].port)

    yield start
    for server in servers:
        server.stop()


NEIGHBOUR = """
import asyncio, os, sys
from tornado_unblock import status

def hold_the_neighbour():
    print("held", flush=True)
    sys.stdin.readline()

async def main():
    print(os.getpid(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    hold_the_neighbour()

server = status.serve(int(sys.argv[1]))
asyncio.run(main())
server.stop()
"""


class Neighbour:
    """Another process that serves the same port."""

    def __init__(self, port: int, env: dict[str, str], folder: Path) -> None:
        script = folder / "neighbour.py"
        script.write_text(NEIGHBOUR)
        command = [sys.executable, str(script), str(port)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            *(command,), env=env, cwd=folder, stdin=pipe, stdout=pipe, text=True
        )
        self.process = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def go_on(self) -> None:
        """Let its loop go on: first into what holds it, then out of that."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def hold(self) -> None:
        """Have its loop stand still."""
        self.go_on()
        assert self._line() == "held\n"

    def stop(self) -> None:
        """Stop it, as Ctrl-Z does, and return when it stands."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process, os.WUNTRACED)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait(WAIT)

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait(WAIT)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


@pytest.fixture
def neighbour(
    child_env: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Have another process serve a page's port until the test is over."""
    started = []

    def start(page: Client) -> Neighbour:
        started.append(Neighbour(page.port, child_env, tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.close()
