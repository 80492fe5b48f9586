"""A thousand jobs, with kill -9 of workers and of the server all the while.

``TORNADO_UNBLOCK_SEED=7 make stress`` repeats the order of the kills; when exactly
they hit is up to the machine.
"""

from __future__ import annotations

import collections
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import psycopg
import pytest

from tornado_unblock.jobs import Jobs

SEED = int(os.environ.get("TORNADO_UNBLOCK_SEED", random.randrange(10**6)))
JOBS = 1000
WORKER_KILLS, SERVER_KILLS = 50, 10
CONSUMERS, WORKERS = 3, 4
WAIT = 240.0

#: The jobs, and a server that answers 202 and runs some of them itself.
APPLICATION = """
import asyncio, os, random, select, sys, time
from tornado.web import Application, RequestHandler
from tornado_unblock import jobs, unblock

jobs.configure({url!r}, state={state!r})


def note(*what):
    os.write(LOG, (" ".join(map(str, what)) + "\\n").encode())


LOG = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@jobs.job
def work(n):
    now = jobs.current()
    note("begin", now.id, os.getpid())
    select.select([], [], [], random.uniform(0.005, 0.1))
    note("end", now.id, os.getpid())
    return n


class Ask(RequestHandler):
    @unblock
    def post(self):
        self.set_status(202)
        self.write(work.later(int(self.get_argument("n"))).id)


async def main(port):
    Application([("/", Ask)]).listen(port, "127.0.0.1")
    jobs.start(workers={workers})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
"""
CONSUMER = "import sys; from tornado_unblock.jobs.cli import main; main(sys.argv[1:])"


class Cluster:
    """A server and some consumers, of which any may be killed."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        self.directory, self.env = directory, env
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(CONSUMERS + 1):
            self.start(number)

    def start(self, number: int) -> None:
        """Start the server, which is 0, or a consumer."""
        command = ["application.py", str(self.port)]
        if number:
            command = ["-c", CONSUMER, "application", "--workers", str(WORKERS)]
        with open(self.directory / "stderr", "a") as log:
            self.processes[number] = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.directory,
                env=self.env,
                stderr=log,
            )

    def kill(self, number: int) -> None:
        process = self.processes[number]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def ask(self, n: int) -> str:
        """Ask for a job until it is answered; return its id."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/", b"n=%d" % n, method="POST"
        )
        deadline = time.monotonic() + WAIT
        while True:
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    return str(response.read().decode())
            except (OSError, urllib.error.URLError):
                assert time.monotonic() < deadline
                threading.Event().wait(0.02)  # it is being started again


@pytest.fixture(params=["sqlite", "postgresql", "redis", "rabbitmq"])
def place(request, tmp_path):
    """Return the URL of the jobs, and of their states where these are apart."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/jobs.db", None
    elif request.param == "postgresql":
        base = request.getfixturevalue("postgresql_url")
        name = f"kill_{uuid.uuid4().hex}"
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"create schema {name}")
            yield f"{base}?options=-csearch_path%3D{name}", None
            connection.execute("set client_min_messages = error")
            connection.execute(f"drop schema {name} cascade")
    else:
        yield from broker_place(request)


def broker_place(request):
    """A broker without messages, and a Redis without records, before and after."""
    pytest.importorskip("dramatiq", reason="needs the extra jobs-dramatiq")
    redis_url = request.getfixturevalue("redis_url")
    place = f"dramatiq+{redis_url}", None
    if request.param == "rabbitmq":
        place = f"dramatiq+{request.getfixturevalue('rabbitmq_url')}", redis_url
    clear(*place)
    yield place
    clear(*place)


def clear(url, state):
    app = Jobs()
    app.configure(url, state=state)
    store = app.engine.store
    for key in store.records.client.scan_iter("unblock:*"):
        store.records.client.delete(key)
    if state is not None:
        with store.publisher() as broker:
            for suffix in ("", ".DQ", ".XQ"):
                broker.channel.queue_delete(store.queue + suffix)
            broker.queues_pending.add(store.queue)
    store.close()


@pytest.mark.timeout(600)
def test_nothing_is_lost(place, tmp_path, child_env, capsys):
    """Whatever is killed, each job that was answered for is done."""
    url, state = place
    (tmp_path / "application.py").write_text(
        textwrap.dedent(APPLICATION).format(url=url, state=state, workers=WORKERS)
    )
    chance = random.Random(SEED)
    cluster = Cluster(tmp_path, child_env)
    victims = [chance.randint(1, CONSUMERS) for _ in range(WORKER_KILLS)]
    victims += [0] * SERVER_KILLS
    chance.shuffle(victims)
    tickets: list[str] = []
    try:
        for number in range(len(victims)):
            share = JOBS * (number + 1) // len(victims) - len(tickets)
            tickets += [cluster.ask(len(tickets) + n) for n in range(share)]
            wait_until_it_works(tmp_path, cluster.processes[victims[number]].pid)
            cluster.kill(victims[number])
            cluster.start(victims[number])
        app = Jobs()
        app.configure(url, state=state)
        wait_until_done(app, tickets)
        with capsys.disabled():
            report(app, url, tmp_path, tickets)
    finally:
        for number in cluster.processes:
            cluster.kill(number)
    app.engine.store.close()


def wait_until_it_works(directory: Path, pid: int) -> None:
    """Wait, not for ever, until a process has begun a job: then a kill hurts."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if f" {pid}\n" in (directory / "log").read_text():
            return
        threading.Event().wait(0.01)


def wait_until_done(app: Jobs, tickets: list[str]) -> None:
    deadline = time.monotonic() + WAIT
    while True:
        counts = app.counts()
        if not counts.queued + counts.scheduled + counts.running:
            break
        assert time.monotonic() < deadline, counts
        threading.Event().wait(0.1)
    states = collections.Counter(app.state(ticket).state for ticket in tickets)
    assert states == {"done": JOBS}


def report(app: Jobs, url: str, directory: Path, tickets: list[str]) -> None:
    """Print what happened, and check that no more was run twice than was in flight."""
    ends = collections.Counter(
        line.split()[1]
        for line in (directory / "log").read_text().splitlines()
        if line.startswith("end")
    )
    assert set(tickets) <= set(ends)
    twice = sum(count - 1 for count in ends.values())
    crashes = sum(app.state(job_id).crashes for job_id in ends)
    print(
        f"\nseed {SEED}, {url.partition(':')[0]}: {JOBS} jobs, {WORKER_KILLS} kills of "
        f"workers and {SERVER_KILLS} of the server; lost 0, {crashes} were in flight "
        f"when their worker died, {twice} of them had their end done twice"
    )
    assert twice <= crashes <= (WORKER_KILLS + SERVER_KILLS) * WORKERS
    assert crashes
