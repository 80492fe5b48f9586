"""What a watch costs a request: `python -m benchmarks.stalls.cost`.

A server of its own process answers trivial requests on keep-alive connections, in turns
watched and not. Its processor time for each request is compared, in rounds of
unwatched, watched, watched, unwatched: what changes slowly counts for both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Optional

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

import tornado_unblock

# Requests after each switch, before any is measured: methods were replaced, and the
# interpreter adapts the code around them again.
_WARM_UP = 500
# Of the rounds, the share at either end that is left out: somebody came in between.
_OUTLIERS = 0.1
_REQUEST = b"GET /trivial HTTP/1.1\r\nHost: x\r\n\r\n"


class Trivial(RequestHandler):
    """Answers."""

    async def get(self) -> None:
        """Answer."""
        self.write({"ok": True})


class Switch(RequestHandler):
    """Begins or ends the watch; answers the processor time used so far."""

    kept: Optional[Any] = None

    def get(self, state: str) -> None:
        """Switch to ``state``."""
        if state == "on":
            Switch.kept = tornado_unblock.watch()
        elif Switch.kept is not None:
            Switch.kept.stop()
            Switch.kept = None
        self.write(str(time.process_time()))


async def serve() -> None:
    """Serve until killed."""
    server = HTTPServer(Application([("/trivial", Trivial), (r"/(on|off)", Switch)]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


class Client:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> bytes:
        """Send one request, and return the body of its answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return await self._reader.readexactly(length)


async def measure(port: int, connections: int, requests: int, rounds: int) -> None:
    """Compare the states, round by round."""
    clients = [
        Client(*await asyncio.open_connection("127.0.0.1", port))
        for _ in range(connections)
    ]

    async def switch(state: str) -> float:
        request = _REQUEST.replace(b"trivial", state.encode())
        return float(await clients[0].ask(request))

    async def load(times: int) -> None:
        async def ask(client: Client) -> None:
            for _ in range(times // connections):
                await client.ask(_REQUEST)

        await asyncio.gather(*map(ask, clients))

    async def batch(state: str) -> float:
        await switch(state)
        await load(_WARM_UP)
        before = await switch(state)
        await load(requests)
        return (await switch(state) - before) / requests * 1e6

    await batch("off")
    plain, more = [], []
    for _ in range(rounds):
        first, *watched, last = [await batch(s) for s in ("off", "on", "on", "off")]
        plain += [first, last]
        more.append(sum(watched) / (first + last) - 1)
    cut = int(rounds * _OUTLIERS)
    kept = sorted(more)[cut : rounds - cut]
    error = statistics.stdev(kept) / len(kept) ** 0.5 if len(kept) > 1 else float("nan")
    print(
        f"{connections} connections: {statistics.median(plain):.1f} us of processor "
        f"time for each request; watched {statistics.mean(kept):+.2%}, with a standard "
        f"error of {error:.2%}",
        flush=True,
    )


def _apart(server: int) -> None:
    """Put the server and this process on a processor each, where there are two."""
    if hasattr(os, "sched_setaffinity"):
        mine, *others = sorted(os.sched_getaffinity(0))
        if others:
            os.sched_setaffinity(server, {mine})
            os.sched_setaffinity(0, {others[0]})


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser("python -m benchmarks.stalls.cost")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=1500, help="in a batch")
    parser.add_argument("--rounds", type=int, default=40, help="of four batches")
    given = parser.parse_args(arguments)
    if given.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, "-m", "benchmarks.stalls.cost", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        _apart(server.pid)
        try:
            port = int(server.stdout.readline())
            for connections in (1, 50):
                asyncio.run(measure(port, connections, given.requests, given.rounds))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
