"""The server processes of a run: started when first asked for, shared while of use."""

# Every server binds its own port, as its documentation has it: an inherited listening
# socket may lack what the server would have set, TCP_NODELAY for one.

from __future__ import annotations

import contextlib
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Callable, NamedTuple

from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.ports import free_port
from benchmarks.harness.processes import Child, Children

DONE = "done"  # what every page answers, or has in it
PATIENCE = 30.0  # seconds until the first answer
TICK = 0.05
KEEPER = (sys.executable, "-m", "benchmarks.harness.keeper")


class Setup(NamedTuple):
    """What servers are started with; those of one setup are shared.

    Attributes:
        workers: Threads at most.
        environment: Further environment variables, as sorted pairs.
        world: Whether they need what real bodies ask.
    """

    workers: int = 50
    environment: tuple[tuple[str, str], ...] = ()
    world: bool = False


class Server(NamedTuple):
    """A running server."""

    child: Child
    url: str
    pid: int


Command = Callable[[str, int, int], "list[str]"]


class Servers:
    """The servers of one setup.

    Args:
        children: What their processes belong to.
        interrupts: What lets Ctrl-C through while one starts.
        setup: What they are started with.
        command: What starts one, from its name, its port and its number of threads.
        environment: Further environment variables.
        first: The page that tells that one has started.
    """

    def __init__(
        self,
        children: Children,
        interrupts: Interrupts,
        setup: Setup,
        command: Command,
        environment: Mapping[str, str] | None = None,
        first: str = "/trivial",
    ) -> None:
        self._children = children
        self._interrupts = interrupts
        self.setup = setup
        self._command = command
        self._environment = {**dict(setup.environment), **(environment or {})}
        self._first = first
        self._servers: dict[str, Server] = {}

    def get(self, contender: str) -> Server:
        """Return the server of this contender.

        Raises:
            DemoError: It did not start.
        """
        if contender not in self._servers:
            self._servers[contender] = self._start(contender, self._environment)
        return self._servers[contender]

    @contextlib.contextmanager
    def by_hand(self, contender: str) -> Iterator[Server]:
        """Start one more, with its command alone; it ends with the block.

        Raises:
            DemoError: It did not start.
        """
        server = self._start(contender, {})
        try:
            yield server
        finally:
            server.child.stop()

    def _start(self, contender: str, environment: Mapping[str, str]) -> Server:
        port = free_port()
        command = self._command(contender, port, self.setup.workers)
        given = {"BENCH_WORKERS": str(self.setup.workers), **environment}
        child = self._children.start(
            f"{contender}-{port}", [*KEEPER, *command], **given
        )
        with self._interrupts.allowed():
            pid = int(child.next_line())
            server = Server(child, f"http://127.0.0.1:{port}", pid)
            _wait_until_it_answers(server, self._first)
        return server


def _wait_until_it_answers(server: Server, path: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _answer(server, path)
        except OSError as error:
            if time.monotonic() > deadline or not server.child.running():
                raise DemoError(
                    f"The server does not start: {error}.{server.child.complaint()}"
                ) from error
        time.sleep(TICK)


def _answer(server: Server, path: str) -> None:
    with urllib.request.urlopen(server.url + path, timeout=PATIENCE) as response:
        answer: bytes = response.read()
    if DONE.encode() not in answer:
        raise DemoError(f"{path} is answered with {answer[:50]!r}.")


def check(server: Server, path: str) -> None:
    """See that the page is answered as it should be.

    Raises:
        DemoError: It is not.
    """
    try:
        _answer(server, path)
    except OSError as error:  # URLError is one
        complaint = server.child.complaint()
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DemoError(f"{path} is not answered: {error}.{complaint}") from error
