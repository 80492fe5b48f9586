"""Ask for all the work, kill everything in the middle of it, and start it again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from rich.console import Console
from tornado.httpclient import AsyncHTTPClient
from tornado.netutil import bind_sockets

from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.terminal import printer
from benchmarks.stories.consumer.settings import Settings
from tornado_unblock.jobs import Counts, Jobs

CONSUMER = "import sys; from tornado_unblock.jobs.cli import main; main(sys.argv[1:])"
SERVICE = "examples.consumer.service"
LONGEST = 300.0  # seconds for each step


@dataclass(frozen=True)
class Found:
    """What came of a run; times in seconds.

    Attributes:
        times: Of each request, the shortest first.
        asked: For all requests.
        killed: The jobs when everything was killed.
        done: How often each job was done.
        seconds: From the first request to the end of the last job.
    """

    times: list[float]
    asked: float
    killed: Counts
    done: Counter[str]
    seconds: float

    @property
    def twice(self) -> int:
        """How many were done once more than needed."""
        return sum(self.done.values()) - len(self.done)


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
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, *command],
                        cwd=self._directory,
                        env=env,
                        stdout=log,
                        stderr=log,
                    )
                )

    def kill(self) -> None:
        """Kill both with SIGKILL."""
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()


def measured(settings: Settings, interrupts: Interrupts, console: Console) -> Found:
    """Do it all.

    Raises:
        DemoError: It does not come to an end.
    """
    say = printer(console)
    say(f"{settings.requests} requests, {settings.workers} workers, 0.1 s a job")
    with tempfile.TemporaryDirectory(prefix="consumer_") as name:
        directory = Path(name)
        app, cluster = Jobs(), Cluster(directory, settings.workers)
        app.configure(f"sqlite:///{directory}/jobs.db")
        try:
            with interrupts.allowed():
                return asyncio.run(_run(settings, directory, app, cluster))
        except asyncio.TimeoutError:
            log = (directory / "processes.log").read_text()[-2000:]
            raise DemoError(f"Not within {LONGEST:g} s; they said: {log}") from None
        finally:
            cluster.kill()
            app.engine.store.close()


async def _run(settings: Settings, folder: Path, app: Jobs, cluster: Cluster) -> Found:
    cluster.start()
    await asyncio.wait_for(_until_it_answers(cluster.port), LONGEST)
    began = time.perf_counter()
    asking = asyncio.ensure_future(_ask(cluster.port, settings))
    times = sorted(await asyncio.wait_for(asking, LONGEST))
    asked = time.perf_counter() - began
    await asyncio.wait_for(_until_done(app, settings.requests // 3), LONGEST)
    cluster.kill()
    killed = await app.counts.aio()
    cluster.start()
    await asyncio.wait_for(_until_done(app, settings.requests), LONGEST)
    seconds = time.perf_counter() - began
    lines = (folder / "done.log").read_text().splitlines()
    done = Counter(line.split()[0] for line in lines)
    return Found(times, asked, killed, done, seconds)


async def _ask(port: int, settings: Settings) -> list[float]:
    """Send the requests; return the seconds that each took."""
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60.0})
    numbers, times = iter(range(settings.requests)), []

    async def connection() -> None:
        for number in numbers:
            began, address = time.perf_counter(), f"http://127.0.0.1:{port}/reviews"
            answer = await client.fetch(address, method="POST", body=f"number={number}")
            if answer.code != 202:
                raise DemoError(f"A request was answered with {answer.code}.")
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(connection() for _ in range(settings.connections)))
    return times


async def _until_done(app: Jobs, done: int) -> None:
    while (await app.counts.aio()).done < done:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)


async def _until_it_answers(port: int) -> None:
    code: Optional[int] = None
    while code != 404:
        try:
            await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/jobs/none")
        except Exception as error:
            code = getattr(error, "code", None)
            await asyncio.sleep(0.1)
