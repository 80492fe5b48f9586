"""How long a job waits whose worker was killed, here and with others.

`python -m benchmarks.jobs_bench --peers` asks each for one job, kills the worker's
whole process group with SIGKILL in the middle of it, starts another worker at once,
and prints after how many seconds the job begins again. What is not installed is left
out (the extra `bench-jobs` has all of them). RabbitMQ, Redis and PostgreSQL have to run
on this machine; queues have names of their own.
"""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

AMQP = "amqp://guest:guest@127.0.0.1:5672"
REDIS = "redis://127.0.0.1:6379/0"

_WORK = """
import asyncio, os, time

def work():
    with open("begun", "a") as file:
        file.write("begun\\n")
    time.sleep(600)
"""
_UNBLOCK = """
from tornado_unblock.jobs import Jobs
app = Jobs({queue!r})
app.configure({url})
hold = app.job(name="hold")(work)
ask = hold.later
"""
_HUEY = """
from huey import SqliteHuey
huey = SqliteHuey("peer", filename="huey.db", fsync=True)
ask = huey.task(name="hold")(work)
"""
_DRAMATIQ = """
import dramatiq
from dramatiq.brokers.{kind} import {broker}
dramatiq.set_broker({broker}(url={url!r}{more}))
ask = dramatiq.actor(queue_name={queue!r}, actor_name="hold")(work).send
"""
_CELERY = """
from celery import Celery
app = Celery("peer", broker={url!r})
app.conf.update(task_default_queue={queue!r}, task_acks_late=True,
                task_reject_on_worker_lost=True, worker_prefetch_multiplier=1{more})
ask = app.task(name="hold")(work).delay
"""
_RQ = """
from redis import Redis
from rq import Queue
def ask():
    Queue({queue!r}, connection=Redis.from_url({url!r})).enqueue("peer.work")
"""
_ARQ = """
from arq import create_pool
from arq.connections import RedisSettings
async def hold(context):
    work()
class WorkerSettings:
    functions = [hold]
    queue_name = {queue!r}
    redis_settings = RedisSettings.from_dsn({url!r})
def ask():
    async def main():
        pool = await create_pool(WorkerSettings.redis_settings)
        await pool.enqueue_job("hold", _queue_name={queue!r})
        await pool.aclose()
    asyncio.run(main())
"""
_SAQ = """
from saq import Queue
queue = Queue.from_url({url!r}, name={queue!r})
async def hold(context):
    work()
settings = dict(queue=queue, functions=[hold], concurrency=2)
def ask():
    async def main():
        await queue.connect()
        await queue.enqueue("hold", timeout=0, retries=5)
        await queue.disconnect()
    asyncio.run(main())
"""
_PROCRASTINATE = """
import procrastinate
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo={url!r}))
hold = app.task(name="hold", queue={queue!r}, retry=5)(work)
def ask():
    with app.open():
        hold.defer()
"""
_TASKIQ = """
from taskiq_redis import RedisStreamBroker
broker = RedisStreamBroker(url={url!r}, queue_name={queue!r})
@broker.task(task_name="hold")
async def hold():
    work()
def ask():
    async def main():
        await broker.startup()
        await hold.kiq()
        await broker.shutdown()
    asyncio.run(main())
"""


class Peer(NamedTuple):
    """One library on one broker: what it needs, its module, its worker."""

    name: str
    needs: str
    module: str
    worker: tuple[str, ...]


def peers(queue: str, postgresql: Optional[str]) -> Iterator[Peer]:
    """Yield all of them."""
    consumer = ("tornado_unblock", "jobs", "peer:app")
    ours = [("SQLite", repr("sqlite:///jobs.db"), "huey")]
    ours += [("RabbitMQ", f"{'dramatiq+' + AMQP!r}, state={REDIS!r}", "dramatiq")]
    ours += [("Redis", repr("dramatiq+" + REDIS), "dramatiq")]
    if postgresql is not None:
        ours.insert(1, ("PostgreSQL", repr(postgresql), "psycopg"))
    for place, url, needs in ours:
        module = _UNBLOCK.format(url=url, queue=queue)
        yield Peer(f"tornado_unblock.jobs, {place}", needs, module, consumer)
    yield Peer("huey, SQLite", "huey", _HUEY, ("huey.bin.huey_consumer", "peer.huey"))
    yield from _on_brokers(queue)
    for name, module, worker in [
        ("rq", _RQ, ("rq.cli", "worker", "--url", REDIS, queue)),
        ("arq", _ARQ, ("arq", "peer.WorkerSettings")),
        ("saq", _SAQ, ("saq", "peer.settings")),
        ("taskiq", _TASKIQ, ("taskiq", "worker", "peer:broker", "--workers", "1")),
    ]:
        text = module.format(url=REDIS, queue=queue)
        yield Peer(f"{name}, Redis", name, text, worker)
    if postgresql is not None:
        module = _PROCRASTINATE.format(url=postgresql, queue=queue)
        worker = ("procrastinate", "--app=peer.app", "worker")
        yield Peer("procrastinate, PostgreSQL", "procrastinate", module, worker)


def _on_brokers(queue: str) -> Iterator[Peer]:
    tuned = ", heartbeat_timeout=5000, maintenance_chance=1_000_000"
    worker = ("dramatiq", "peer", "--processes=1", "--threads=2")
    for name, kind, broker, url, more in [
        ("RabbitMQ", "rabbitmq", "RabbitmqBroker", AMQP, ""),
        ("Redis", "redis", "RedisBroker", REDIS, ""),
        ("Redis, tuned", "redis", "RedisBroker", REDIS, tuned),
    ]:
        text = _DRAMATIQ.format(
            kind=kind, broker=broker, url=url, queue=queue, more=more
        )
        yield Peer(f"dramatiq, {name}", "dramatiq", text, worker)
    worker = ("celery", "--app=peer:app", "worker", "--concurrency=1")
    short = ", broker_transport_options={'visibility_timeout': 30}"
    for name, url, more in [
        ("RabbitMQ, acks_late", AMQP, ""),
        ("Redis, acks_late", REDIS, ""),
        ("Redis, acks_late, visible after 30 s", REDIS, short),
    ]:
        text = _CELERY.format(url=url, queue=queue, more=more)
        yield Peer(f"Celery, {name}", "celery", text, worker)


def compare(
    postgresql: Optional[str], limit: float, words: Sequence[str]
) -> Iterator[str]:
    """Measure those whose names have one of the words, or all; yield a line each."""
    for number in range(len(list(peers("", postgresql)))):
        peer = list(peers(f"peer_{uuid.uuid4().hex}", postgresql))[number]
        if words and not any(word in peer.name for word in words):
            continue
        if importlib.util.find_spec(peer.needs) is None:
            yield f"{peer.name:42} not installed"
            continue
        with tempfile.TemporaryDirectory() as directory:
            yield f"{peer.name:42} {_measured(peer, Path(directory), limit)}"


def _measured(peer: Peer, directory: Path, limit: float) -> str:
    (directory / "peer.py").write_text(_WORK + peer.module)
    if peer.needs == "procrastinate":
        # There already, the second time.
        _program(
            directory, "procrastinate", "--app=peer.app", "schema", "--apply"
        ).wait()
    workers = []
    try:
        ask = [sys.executable, "-c", "import peer; peer.ask()"]
        asked = subprocess.run(ask, cwd=directory, env=_env(), capture_output=True)
        if asked.returncode:
            return f"cannot be asked: {asked.stderr.decode().splitlines()[-1]}"
        workers.append(_program(directory, *peer.worker))
        if not _begun(directory, 1, limit):
            return f"was not begun: {(directory / 'log').read_text()[-200:]!r}"
        os.killpg(workers[0].pid, signal.SIGKILL)
        killed = time.perf_counter()
        workers.append(_program(directory, *peer.worker))
        if not _begun(directory, 2, limit):
            return f"not in {limit:g} s"
        return f"{time.perf_counter() - killed:.1f} s"
    finally:
        for worker in workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _begun(directory: Path, times: int, limit: float) -> bool:
    until = time.monotonic() + limit
    while time.monotonic() < until:
        file = directory / "begun"
        if file.exists() and len(file.read_text().splitlines()) >= times:
            return True
        select.select([], [], [], 0.05)
    return False


def _program(directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with open(directory / "log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=directory,
            env=_env(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _env(path: Sequence[str] = sys.path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(["", os.getcwd(), *path])}
