"""What slow routes do to a fast one: four kinds of server, side by side.

    python -m benchmarks.interference [--quick] [--rounds N] [--seconds S]

Each server runs in a process of its own. It has a fast route, which waits 1 ms as for
a query, and two slow ones, which wait 200 ms. While none, one or both of the slow
routes have 100 clients each, twice what a pool of 50 can serve, the fast one is asked
200 times a second. Printed is the 99th percentile of what it took, in milliseconds:
the median over the rounds, in which the servers take turns. Latencies count from the
moment a request was due, so that a stall is not measured once instead of many times.

A cell some of whose requests failed shows how many instead of a number.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children
from benchmarks.harness.servers import Servers, Setup

KINDS = {
    "native": "Tornado, async def and asyncio.sleep",
    "by hand": "Tornado, await run_in_executor(ThreadPoolExecutor(50))",
    "fastapi": "FastAPI, def endpoints, uvicorn[standard]",
    "unblock": "Tornado, tornado-unblock with its defaults",
}
MODULE = (sys.executable, "-m", "benchmarks.interference")
SLOW = [(), ("/slow/1",), ("/slow/1", "/slow/2")]
SLOW_CLIENTS = 100
FAST_PER_SECOND = 200
FAST_CLIENTS = 20
WARM_UP = 1.0  # seconds of load before what counts


class Cell(NamedTuple):
    """What one measurement saw."""

    p99: float
    failed: int
    requests: int


# -- load ------------------------------------------------------------------------


async def keep_busy(url: str, clients: int, until: float) -> None:
    """Have so many clients ask for ``url``, one request after the other."""
    failed = done = 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failed, done
        while time.time() < until:
            try:
                async with session.get(url) as response:
                    await response.read()
                    failed += response.status != 200
            except (aiohttp.ClientError, asyncio.TimeoutError):
                failed += 1
            done += 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    print(json.dumps([failed, done]))


async def time_fast(url: str, seconds: float) -> tuple[list[float], int]:
    """Return the latencies of the fast route, and how many requests failed."""
    latencies: list[float] = []
    failed = 0
    begin = time.perf_counter() + 0.1
    due = iter(
        [begin + n / FAST_PER_SECOND for n in range(int(seconds * FAST_PER_SECOND))]
    )

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failed
        for moment in due:
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            try:
                async with session.get(url) as response:
                    await response.read()
                    failed += response.status != 200
            except (aiohttp.ClientError, asyncio.TimeoutError):
                failed += 1
            latencies.append(time.perf_counter() - moment)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(FAST_CLIENTS)))
    return latencies, failed


async def measure(base: str, slow: tuple[str, ...], seconds: float) -> Cell:
    """Time the fast route while ``slow`` ones are kept busy."""
    until = time.time() + WARM_UP + seconds + 1.0
    loads = [
        await asyncio.create_subprocess_exec(
            *(*MODULE, "--load", base + path, str(until)),
            stdout=subprocess.PIPE,
        )
        for path in slow
    ]
    await asyncio.sleep(WARM_UP)
    latencies, failed = await time_fast(f"{base}/fast", seconds)
    requests = len(latencies)
    for load in loads:
        output, _ = await load.communicate()
        of_load = json.loads(output)
        failed += of_load[0]
        requests += of_load[1]
    return Cell(statistics.quantiles(latencies, n=100)[98] * 1000, failed, requests)


# -- servers ---------------------------------------------------------------------


def serve_tornado(kind: str, port: int) -> None:
    """Serve one of the three Tornado applications."""
    from concurrent.futures import ThreadPoolExecutor

    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application, RequestHandler

    from tornado_unblock import unblock

    pool = ThreadPoolExecutor(50)

    class Native(RequestHandler):
        async def get(self, seconds: float) -> None:
            await asyncio.sleep(seconds)
            self.write("done")

    class ByHand(RequestHandler):
        async def get(self, seconds: float) -> None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(pool, time.sleep, seconds)
            self.write("done")

    class Unblock(RequestHandler):
        @unblock
        def get(self, seconds: float) -> None:
            time.sleep(seconds)
            self.write("done")

    base: Any = {"native": Native, "by hand": ByHand, "unblock": Unblock}[kind]

    def handler(name: str, seconds: float) -> Any:
        def get(self: Any) -> Any:
            return base.get(self, seconds)

        if kind == "unblock":  # three handlers, as three routes are
            body = base.get.__wrapped__
            get = unblock(lambda self: body(self, seconds))
        return type(name, (RequestHandler,), {"get": get})

    async def main() -> None:
        rules = [("/fast", handler("Fast", 0.001))]
        rules += [(f"/slow/{n}", handler(f"Slow{n}", 0.2)) for n in (1, 2)]
        sockets = bind_sockets(port, "127.0.0.1", backlog=1024)
        HTTPServer(Application(rules)).add_sockets(sockets)
        await asyncio.Event().wait()

    asyncio.run(main())


def serve_fastapi(port: int) -> None:
    """Serve the FastAPI application."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI()

    def route(path: str, seconds: float) -> None:
        @app.get(path, response_class=PlainTextResponse)
        def endpoint() -> str:
            time.sleep(seconds)
            return "done"

    route("/fast", 0.001)
    route("/slow/1", 0.2)
    route("/slow/2", 0.2)
    # It binds its own port: a socket of ours would lack the TCP_NODELAY it sets.
    config = uvicorn.Config(
        app, port=port, backlog=1024, log_level="warning", access_log=False
    )
    uvicorn.Server(config).run()


def serve(kind: str, port: int) -> None:
    """Serve in this process until killed."""
    import logging

    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    if kind == "fastapi":
        serve_fastapi(port)
    else:
        serve_tornado(kind, port)


# -- report ----------------------------------------------------------------------


async def run(rounds: int, seconds: float) -> dict[tuple[str, int], list[Cell]]:
    """Measure all, round by round."""
    cells: dict[tuple[str, int], list[Cell]] = {}
    with Interrupts() as interrupts, tempfile.TemporaryDirectory() as folder:
        with Children(Path(folder)) as children:
            servers = Servers(children, interrupts, Setup(), command, first="/fast")
            with interrupts.allowed():
                for number in range(rounds):
                    await _round(servers, seconds, cells)
                    print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return cells


async def _round(
    servers: Servers, seconds: float, cells: dict[tuple[str, int], list[Cell]]
) -> None:
    for slow in SLOW:
        for kind in KINDS:
            cell = await measure(servers.get(kind).url, slow, seconds)
            cells.setdefault((kind, len(slow)), []).append(cell)


def command(kind: str, port: int, workers: int) -> list[str]:
    """Return what starts a kind of server, which binds the port itself."""
    return [*MODULE, "--serve", kind, "--port", str(port)]


def report(cells: dict[tuple[str, int], list[Cell]]) -> bool:
    """Print the table; False when a cell has no number."""
    print("\np99 of the fast route, ms (and as a multiple of native async's)\n")
    print(f"{'':<10}" + "".join(f"{f'{n} slow':>18}" for n in range(len(SLOW))))
    whole = True
    for kind, text in KINDS.items():
        row = []
        for n in range(len(SLOW)):
            failed = sum(cell.failed for cell in cells[kind, n])
            if failed:
                whole = False
                total = sum(cell.requests for cell in cells[kind, n])
                row.append(f"{failed} of {total} failed")
                continue
            p99 = statistics.median(cell.p99 for cell in cells[kind, n])
            native = statistics.median(cell.p99 for cell in cells["native", n])
            row.append(f"{p99:.1f} ({p99 / native:.2f})")
        print(f"{kind:<10}" + "".join(f"{cell:>18}" for cell in row) + f"   {text}")
    return whole


def main() -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each cell")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--load", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
    elif options.load:
        url, until = options.load
        asyncio.run(keep_busy(url, SLOW_CLIENTS, float(until)))
    else:
        rounds, seconds = options.rounds, options.seconds
        if options.quick:
            rounds, seconds = 1, 2.0
        return 0 if report(asyncio.run(run(rounds, seconds))) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
