"""The server processes of a run: started when first asked for, shared while of use."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Child, Children

DONE = "done"  # what every page answers, or has in it
PATIENCE = 30.0  # seconds until the first answer


class Setup(NamedTuple):
    """What servers are started with; those of one setup are shared.

    Attributes:
        workers: Threads at most.
        environment: Further environment variables, as sorted pairs.
    """

    workers: int = 50
    environment: tuple[tuple[str, str], ...] = ()


class Server(NamedTuple):
    """A running server."""

    child: Child
    url: str
    pid: int


class Servers:
    """The servers of one setup.

    Args:
        children: What their processes belong to.
        interrupts: What lets Ctrl-C through while one starts.
        setup: What they are started with.
    """

    def __init__(
        self, children: Children, interrupts: Interrupts, setup: Setup
    ) -> None:
        self._children = children
        self._interrupts = interrupts
        self._setup = setup
        self._servers: dict[str, Server] = {}

    def get(self, contender: str) -> Server:
        """Return the server of this contender.

        Raises:
            DemoError: It did not start.
        """
        if contender not in self._servers:
            self._servers[contender] = self._start(contender)
        return self._servers[contender]

    def _start(self, contender: str) -> Server:
        command = [sys.executable, "-m", "benchmarks.serve", contender]
        command += ["--workers", str(self._setup.workers)]
        environment: Mapping[str, str] = dict(self._setup.environment)
        child = self._children.start(contender, command, **environment)
        with self._interrupts.allowed():
            port, _, pid = child.first_line().partition(" ")
            return Server(child, f"http://127.0.0.1:{port}", int(pid))


def check(server: Server, path: str) -> None:
    """See that the page is answered as it should be.

    Raises:
        DemoError: It is not.
    """
    try:
        with urllib.request.urlopen(server.url + path, timeout=PATIENCE) as response:
            answer: bytes = response.read()
    except OSError as error:  # URLError is one
        complaint = server.child.complaint()
        raise DemoError(f"{path} is not answered: {error}.{complaint}") from error
    if DONE.encode() not in answer:
        raise DemoError(f"{path} is answered with {answer[:50]!r}.")
