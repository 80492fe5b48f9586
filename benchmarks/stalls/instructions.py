"""What a watch costs a request, in instructions: needs valgrind.

    python -m benchmarks.stalls.instructions

Trivial requests, watched and not, one by one under callgrind, with the marks of
`benchmarks.guard_scenario`: through a socket on one connection, as users have them, and
without sockets, as the guard counts a hop. The watcher's own looks are left out: they
come by the clock, and callgrind makes everything but the clock some fifty times slower.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Callable

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

import tornado_unblock
from benchmarks.contenders import native
from benchmarks.guard import MARKER, environment
from benchmarks.guard_scenario import REQUESTS, serve
from tornado_unblock._stalls import watcher

# Requests before any is counted. To replace a method has the interpreter adapt the code
# around it again, which takes some two hundred of them.
WARM_UP = 400
WAYS = {"socket": "through a socket", "plain": "without sockets"}
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)

# A process of its own, which callgrind does not follow: for each line it reads, so many
# requests on one connection, and a line when they are answered.
CLIENT = r"""
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for line in sys.stdin:
    for _ in range(int(line)):
        connection.request("GET", "/trivial")
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            sys.exit(f"a request was answered with {response.status}")
    print("answered", flush=True)
"""

Serve = Callable[[int], Awaitable[None]]


async def through_a_socket() -> None:
    """Serve what a client of another process asks for on one connection."""
    server = HTTPServer(native.application(1))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, str(sockets[0].getsockname()[1])),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    asked, answered = client.stdin, client.stdout

    async def ask(times: int) -> None:
        asked.write(b"%d\n" % times)
        if not await answered.readline():
            raise SystemExit("the client has ended")

    await scenario(ask)
    asked.close()
    await client.wait()
    server.stop()
    await server.close_all_connections()


async def without_sockets() -> None:
    """Serve the requests of the guard."""
    application = native.application(1)

    async def ask(times: int) -> None:
        await serve(application, times)

    await scenario(ask)


async def scenario(ask: Serve) -> None:
    """Serve, and then watched; no turn is a stall, however slow callgrind makes it."""
    await ask(WARM_UP)
    gc.collect()
    gc.disable()
    os.getppid()
    await ask(REQUESTS)
    os.getppid()
    watcher._LOOK = 3600.0
    kept: Any = tornado_unblock.watch(3600.0)
    await ask(WARM_UP)
    os.getppid()
    await ask(REQUESTS)
    os.getppid()
    kept.stop()


def count(way: str) -> tuple[float, float]:
    """Return the instructions of a request, unwatched and watched."""
    with tempfile.TemporaryDirectory(prefix="stalls_") as folder:
        out = Path(folder) / "counts"
        options = ["--tool=callgrind", "--quiet", f"--dump-before={MARKER}"]
        program = [sys.executable, "-m", "benchmarks.stalls.instructions", way]
        command = ["valgrind", *options, f"--callgrind-out-file={out}", *program]
        subprocess.run(command, env=environment(), check=True, timeout=900)
        files = sorted(Path(folder).glob("counts.*"))
        texts = [path.read_text() for path in files]
    _, plain, _, watched = (
        int(found[1]) / REQUESTS for found in map(_TOTALS.search, texts[:4]) if found
    )
    return plain, watched


def main() -> int:
    """Count, and say what it comes to."""
    for way, words in WAYS.items():
        plain, watched = count(way)
        more = watched - plain
        print(
            f"{words}: {more:,.0f} instructions a request, {more / plain:+.2%} "
            f"of {plain:,.0f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.setswitchinterval(1000)
        serving = through_a_socket if sys.argv[1] == "socket" else without_sockets
        asyncio.run(serving())
    else:
        sys.exit(main())
