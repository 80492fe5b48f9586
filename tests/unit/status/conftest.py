"""A status page that is asked with plain sockets, and a loop that a test holds."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.unit.conftest import WAIT, Response, read
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

    def events(self) -> Events:
        """Begin to listen."""
        return Events(self.open("/events"))


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
