"""An application with jobs of its own, on a real file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import psycopg
import pytest

from tests.patience import WAIT
from tornado_unblock.jobs import Jobs
from tornado_unblock.jobs.postgresql import PostgresStore
from tornado_unblock.jobs.sqlite import SqliteStore

#: Runs the workers as the command does.
CONSUMER = """
import sys
from tornado_unblock.jobs.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def app(url: str) -> Iterator[Jobs]:
    """Jobs in a file; each test defines the functions it needs."""
    app = Jobs()
    app.configure(url)
    yield app
    app.engine.store.close()


@pytest.fixture
def schema_url(postgresql_url: str) -> Iterator[str]:
    """A schema of PostgreSQL that is there for one test."""
    name = f"jobs_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"create schema {name}")
    yield f"{postgresql_url}?options=-csearch_path%3D{name}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("set client_min_messages = error")
        connection.execute(f"drop schema {name} cascade")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "jobs.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request, path):
    """Return what makes stores: two of them are two processes' of one place."""
    if request.param == "sqlite":
        make, place = SqliteStore, path
    else:
        make, place = PostgresStore, request.getfixturevalue("schema_url")
    with contextlib.ExitStack() as stack:

        def made(queue="default", keep=60.0):
            store = make(place, queue, keep)
            stack.callback(store.close)
            return store

        yield made


@pytest.fixture
def store(make):
    return make()


class Consumer:
    """A process that runs workers, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def line(self, start: str = "") -> str:
        """Return the next line it prints that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"it ended with {self.process.wait(WAIT)}")

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal, and wait for its end."""
        if self.process.poll() is None:
            os.kill(self.pid, number)
        status = self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture
def consume(child_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Write a module `worked` into the test's directory and run its jobs."""
    started: list[Consumer] = []

    def start(module: str = "", *arguments: str, target: str = "worked") -> Consumer:
        if module:
            (tmp_path / "worked.py").write_text(textwrap.dedent(module))
        with open(tmp_path / "stderr", "a") as log:
            process = subprocess.Popen(
                [sys.executable, "-u", "-c", CONSUMER, target, *arguments],
                env=child_env,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                preexec_fn=_hear_interrupts,
            )
        started.append(Consumer(process))
        return started[-1]

    yield start
    for consumer in started:
        try:
            os.killpg(consumer.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        consumer.end()


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_place(request: pytest.FixtureRequest) -> tuple[str, Optional[str]]:
    """The URL of a broker, and of the states where these are apart."""
    pytest.importorskip("dramatiq", reason="needs the extra jobs-dramatiq")
    redis_url = request.getfixturevalue("redis_url")
    if request.param == "redis":
        return f"dramatiq+{redis_url}", None
    return f"dramatiq+{request.getfixturevalue('rabbitmq_url')}", redis_url


@pytest.fixture
def broker_app(broker_place: tuple[str, Optional[str]]) -> Iterator[Jobs]:
    """Jobs with a broker; under a name, and in queues, of their own."""
    app = Jobs(uuid.uuid4().hex)
    app.configure(broker_place[0], state=broker_place[1])
    store = app.engine.store
    yield app
    for thread in threading.enumerate():
        if thread.name == "unblock-jobs":  # of a server that has been shut down
            thread.join(WAIT)
    client = store.records.client
    for key in client.scan_iter(f"unblock:*{app.name}*"):
        client.delete(key)
    if store.on_rabbitmq:
        with store.publisher() as broker:
            for name in (store.queue, f"{store.queue}.other"):
                for suffix in ("", ".DQ", ".XQ"):
                    broker.channel.queue_delete(name + suffix)
    store.close()
