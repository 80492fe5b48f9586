"""`python -m examples.consumer`: a thousand requests, twenty workers, and kill -9."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from tornado.httpclient import AsyncHTTPClient
from tornado.netutil import bind_sockets

from tornado_unblock.jobs import Jobs

CONSUMER = "import sys; from tornado_unblock.jobs.cli import main; main(sys.argv[1:])"
SERVICE = "examples.consumer.service"


class Cluster:
    """A server and a consumer with its workers, in processes of their own."""

    def __init__(self, directory: Path, workers: int) -> None:
        self._directory = directory
        (listening, *others) = bind_sockets(0, "127.0.0.1")
        self.port = listening.getsockname()[1]
        for each in (listening, *others):
            each.close()
        self._commands = [
            ["-m", SERVICE, str(self.port)],
            ["-c", CONSUMER, SERVICE, "--workers", str(workers)],
        ]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
        with open(self._directory / "processes.log", "a") as log:
            for command in self._commands:
                process = subprocess.Popen(
                    [sys.executable, *command],
                    **{"cwd": self._directory, "env": env, "stderr": log},
                )
                self._processes.append(process)

    def kill(self) -> None:
        """Kill both with SIGKILL."""
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()


async def ask(port: int, requests: int) -> list[float]:
    """Send the requests over 20 connections; return the seconds each took."""
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60.0})
    numbers, times = iter(range(requests)), []

    async def connection() -> None:
        for number in numbers:
            began, address = time.perf_counter(), f"http://127.0.0.1:{port}/reviews"
            answer = await client.fetch(address, method="POST", body=f"number={number}")
            assert answer.code == 202, answer
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(connection() for _ in range(20)))
    return times


async def until(app: Jobs, done: int, port: Optional[int] = None) -> None:
    """Wait until so many jobs are done, or until the server answers."""
    while port is None and (await app.counts.aio()).done < done:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    while port is not None:
        try:
            await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/jobs/none")
        except Exception as error:
            if getattr(error, "code", None) == 404:
                return
            await asyncio.sleep(0.1)


async def run(directory: Path, requests: int, workers: int) -> list[tuple[str, Any]]:
    """Do it all; return the rows of the table."""
    app, cluster = Jobs(), Cluster(directory, workers)
    app.configure(f"sqlite:///{directory}/jobs.db")
    try:
        cluster.start()
        await until(app, 0, cluster.port)
        began = time.perf_counter()
        times = sorted(await ask(cluster.port, requests))
        asked = time.perf_counter() - began
        await until(app, requests // 3)
        cluster.kill()
        killed = await app.counts.aio()
        cluster.start()
        await until(app, requests)
    finally:
        cluster.kill()
    done = Counter((directory / "done.log").read_text().splitlines())
    numbers = Counter(line.split()[0] for line in done.elements())
    app.engine.store.close()
    return [
        ("requests, all answered with 202", requests),
        ("seconds for all of them", f"{asked:.1f}"),
        ("milliseconds for one, median", f"{times[requests // 2] * 1000:.1f}"),
        ("milliseconds for one, p99", f"{times[requests * 99 // 100] * 1000:.1f}"),
        ("workers", workers),
        ("done when all was killed", killed.done),
        ("in flight when all was killed", killed.running),
        ("done in the end", len(numbers)),
        ("done twice", sum(numbers.values()) - len(numbers)),
        ("seconds in all", f"{time.perf_counter() - began:.1f}"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and return the exit code: 0 if every job was done."""
    parser = argparse.ArgumentParser("python -m examples.consumer", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=20)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        rows = asyncio.run(run(Path(name), given.requests, given.workers))
    for what, value in rows:
        print(f"{what:34}{value:>8}")
    return 0 if dict(rows)["done in the end"] == given.requests else 1


if __name__ == "__main__":
    sys.exit(main())
