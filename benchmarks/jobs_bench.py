"""What jobs cost: `python -m benchmarks.jobs_bench` prints one table.

- enqueue: p50 and p99 of ``await f.later.aio()`` on a loop, with the loop's own lag
  beside it, and the lag of the same loop when it enqueues nothing;
- throughput of one worker thread: jobs a second, beside plain huey on the same disk,
  asked for and run by the same code, both with ``synchronous=FULL``;
- --brokers: the same beside plain dramatiq, on RabbitMQ and Redis of this machine;
- rerun: how long after kill -9 of a worker's process, which is started again at once,
  its job begins again;
- --peers: the same of other libraries; see `benchmarks/jobs_peers.py`;
- drain: resident memory of a consumer over 10,000 queued jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import psycopg
from huey import SqliteHuey
from huey.api import logger

from benchmarks.jobs_peers import AMQP, REDIS, compare
from tornado_unblock.jobs import Jobs

ENQUEUED = 1000
TURNS = 20
EACH_TURN = 50
QUEUED = 10_000
RERUNS = 5

MODULE = """
import os, select
from tornado_unblock import jobs

jobs.configure({url!r})


@jobs.job
def hold():
    print("hold", flush=True)
    select.select([], [], [], 0.5)


@jobs.job
def nothing(n):
    return n
"""
CONSUMER = "import sys; from tornado_unblock.jobs.cli import main; main(sys.argv[1:])"


def quantile(values: Sequence[float], share: float) -> float:
    """Return that of ``values`` below which ``share`` of them are."""
    return sorted(values)[int(share * (len(values) - 1))]


def enqueue(directory: Path) -> list[str]:
    """Measure what asking for a job takes, and what it does to the loop."""
    app = Jobs()
    app.configure(f"sqlite:///{directory}/enqueue.db")
    job = app.job(name="nothing")(lambda n: n)
    times: list[float] = []

    async def ask() -> None:
        for n in range(ENQUEUED // TURNS):
            began = time.perf_counter()
            await job.later.aio(n)
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.002)

    async def idle() -> None:
        await asyncio.sleep(ENQUEUED / TURNS * 0.003)

    asyncio.run(ask())  # the threads, the file and its tables are there
    times.clear()
    lags: dict[str, list[float]] = {"quiet": [], "busy": []}

    async def turns() -> None:
        # In turns: whatever else the machine does, both see it.
        for _ in range(TURNS):
            lags["quiet"] += await _lag(idle)
            lags["busy"] += await _lag(ask)

    asyncio.run(turns())
    rate = asyncio.run(_rate_from_a_loop(job))
    app.engine.store.close()
    quiet, busy = lags["quiet"], lags["busy"]
    return [
        f"enqueue             p50 {_ms(times, 0.5)}, p99 {_ms(times, 0.99)}",
        f"loop lag meanwhile  p50 {_ms(busy, 0.5)}, p99 {_ms(busy, 0.99)}",
        f"loop lag without    p50 {_ms(quiet, 0.5)}, p99 {_ms(quiet, 0.99)}",
        f"20 coroutines       {rate:.0f} enqueued a second",
    ]


async def _rate_from_a_loop(job: Any) -> float:
    numbers = iter(range(ENQUEUED))

    async def ask() -> None:
        for n in numbers:
            await job.later.aio(n)

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(20)))
    return ENQUEUED / (time.perf_counter() - began)


def _ms(values: Sequence[float], share: float) -> str:
    return f"{quantile(values, share) * 1000:.2f} ms"


async def _lag(work: Callable[[], Any]) -> list[float]:
    """Return by how much a timer of one millisecond was late while ``work`` ran."""
    lags: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - began - 0.001)

    watching = asyncio.ensure_future(watch())
    await work()
    watching.cancel()
    return lags


def throughput(directory: Path) -> list[str]:
    """Measure one worker beside plain huey, in turns, the median of many."""
    logger.setLevel("ERROR")
    ours, plain = _ours(directory / "ours.db"), _plain(str(directory / "plain.db"))
    rates: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": []}
    for _ in range(TURNS):
        rates["ours"].append(_rates(*ours[:2]))
        rates["plain"].append(_rates(*plain[:2]))
    for each in (ours, plain):
        each[2].close()
    return [
        f"{'':20}enqueue/s    run/s   (median of {TURNS})",
        *(
            f"{name:20}{_of(each, 0):9.0f}{_of(each, 1):9.0f}"
            for name, each in [
                ("tornado_unblock.jobs", rates["ours"]),
                ("plain huey", rates["plain"]),
            ]
        ),
        f"{'ratio':20}{_ratio(rates['ours'], rates['plain'], 0):9.2f}"
        f"{_ratio(rates['ours'], rates['plain'], 1):9.2f}",
    ]


def _of(rates: list[tuple[float, float]], index: int) -> float:
    return statistics.median(rate[index] for rate in rates)


def _ratio(
    ours: list[tuple[float, float]], plain: list[tuple[float, float]], index: int
) -> float:
    # Of two turns that follow each other: whatever else the machine does, both see it.
    return statistics.median(
        one[index] / other[index] for one, other in zip(ours, plain)
    )


def _ours(path: Path) -> tuple[Any, Any, Any]:
    app = Jobs()
    app.configure(f"sqlite:///{path}")
    job = app.job(name="nothing")(lambda n: n)
    app.counts()
    return job.later, app.engine.run_next, app.engine.store


def _plain(path: str) -> tuple[Any, Any, Any]:
    huey = SqliteHuey("bench", filename=path, fsync=True)

    @huey.task()
    def nothing(n: int) -> int:
        return n

    def run_next() -> Any:
        task = huey.dequeue()
        if task is not None:
            huey.execute(task)
        return task

    return nothing, run_next, huey.storage


def _rates(
    ask: Callable[[int], Any], run_next: Callable[[], Any]
) -> tuple[float, float]:
    began = time.perf_counter()
    for n in range(EACH_TURN):
        ask(n)
    asked = time.perf_counter()
    while run_next() is not None:
        pass
    ended = time.perf_counter()
    return EACH_TURN / (asked - began), EACH_TURN / (ended - asked)


def brokers() -> list[str]:
    """Measure one worker beside plain dramatiq, in turns, the median of many."""
    for name in ("pika", "dramatiq"):
        logging.getLogger(name).setLevel("CRITICAL")
    lines = []
    for place, url, state in [("RabbitMQ", AMQP, REDIS), ("Redis", REDIS, None)]:
        ours, plain = [], []
        for _ in range(TURNS):
            ours.append(_ours_on(url, state))
            plain.append(_plain_on(url))
        lines += [
            f"{place:20}enqueue/s    run/s   (median of {TURNS})",
            *(
                f"{name:20}{_of(each, 0):9.0f}{_of(each, 1):9.0f}"
                for name, each in [("  with jobs", ours), ("  plain dramatiq", plain)]
            ),
            f"{'  ratio':20}{_ratio(ours, plain, 0):9.2f}{_ratio(ours, plain, 1):9.2f}",
        ]
    return lines


def _ours_on(url: str, state: Optional[str]) -> tuple[float, float]:
    from tornado_unblock.jobs.broker import Workers

    app = Jobs(f"bench_{uuid.uuid4().hex}")
    app.configure(f"dramatiq+{url}", state=state)
    done = threading.Semaphore(0)
    job = app.job(name="nothing")(lambda n: done.release())
    app.engine.store.ping()
    rates = _rates_of(
        job.later, lambda: Workers(app.engine, 1, app.engine.perform), done
    )
    app.engine.store.close()
    return rates


def _plain_on(url: str) -> tuple[float, float]:
    import dramatiq
    from dramatiq.brokers.rabbitmq import RabbitmqBroker
    from dramatiq.brokers.redis import RedisBroker

    if url == AMQP:
        broker: Any = RabbitmqBroker(url=url, confirm_delivery=True)
    else:
        broker = RedisBroker(url=url)
    done = threading.Semaphore(0)
    name = f"bench_{uuid.uuid4().hex}"

    def nothing(n: int) -> None:
        done.release()

    actor: Any = dramatiq.actor(nothing, broker=broker, queue_name=name)

    def start() -> Any:
        worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=250)
        worker.start()
        return worker

    rates = _rates_of(actor.send, start, done)
    broker.close()
    return rates


def _rates_of(
    ask: Callable[[int], Any], start: Callable[[], Any], done: threading.Semaphore
) -> tuple[float, float]:
    ask(0)  # the queue is there
    began = time.perf_counter()
    for n in range(EACH_TURN):
        ask(n)
    asked = time.perf_counter()
    worker = start()
    done.acquire()
    first = time.perf_counter()
    for _ in range(EACH_TURN):
        done.acquire()
    ended = time.perf_counter()
    worker.stop(5000)
    return EACH_TURN / (asked - began), EACH_TURN / (ended - first)


def rerun(directory: Path, url: str) -> list[str]:
    """Measure how long a job waits whose worker was killed."""
    (directory / "benched.py").write_text(MODULE.format(url=url))
    app = Jobs()
    app.configure(url)
    hold = app.job(name="benched.hold")(lambda: None)
    times = []
    for _ in range(RERUNS):
        hold.later()
        consumer = _consumer(directory)
        _line(consumer, b"hold")
        consumer.send_signal(signal.SIGKILL)
        began = time.perf_counter()
        consumer.wait()
        other = _consumer(directory)
        _line(other, b"hold")
        times.append(time.perf_counter() - began)
        while app.counts().running:
            select.select([], [], [], 0.05)
        other.terminate()
        other.wait()
    app.engine.store.close()
    kind = url.partition(":")[0]
    return [
        f"rerun, {kind:12} {min(times):.1f} to {max(times):.1f} s after kill -9, "
        "the start of Python included"
    ]


def _consumer(directory: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CONSUMER, "benched", "--workers", "2"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _line(process: subprocess.Popen[bytes], wanted: bytes) -> None:
    assert process.stdout is not None
    while process.stdout.readline().strip() != wanted:
        pass


@contextlib.contextmanager
def schema(url: str) -> Iterator[str]:
    """Give the URL of a schema that is there meanwhile."""
    name = f"bench_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create schema {name}")
        yield f"{url}?options=-csearch_path%3D{name}"
        connection.execute("set client_min_messages = error")
        connection.execute(f"drop schema {name} cascade")


def drain(directory: Path, url: str) -> list[str]:
    """Measure the memory of a consumer that has much to do."""
    (directory / "benched.py").write_text(MODULE.format(url=url))
    app = Jobs()
    app.configure(url)
    job = app.job(name="benched.nothing")(lambda n: n)
    for n in range(QUEUED):
        job.later(n)
    consumer, sizes = _consumer(directory), []
    began = time.perf_counter()
    while True:
        left = app.counts().queued
        sizes.append((QUEUED - left, _resident(consumer.pid)))
        if not left:
            break
        select.select([], [], [], 0.2)
    seconds = time.perf_counter() - began
    consumer.terminate()
    consumer.wait()
    app.engine.store.close()
    steps = [_at(sizes, QUEUED * share // 10) for share in (1, 5, 10)]
    return [
        f"drain of {QUEUED:,}     {QUEUED / seconds:.0f} jobs/s; resident after 10 %, "
        f"50 %, all: {', '.join(f'{size / 1e6:.1f}' for size in steps)} MB"
    ]


def _at(sizes: list[tuple[int, int]], done: int) -> int:
    return next(size for count, size in sizes if count >= done)


def _resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgresql", help="a URL, to measure reruns there, too")
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="WORD",
        help="only reruns, of all libraries, or of those with a word in their name",
    )
    parser.add_argument(
        "--brokers", action="store_true", help="only rates on RabbitMQ and Redis"
    )
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a rerun")
    arguments = parser.parse_args()
    if arguments.peers is not None:
        for line in compare(arguments.postgresql, arguments.limit, arguments.peers):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        return
    if arguments.brokers:
        sys.stdout.write("\n".join(brokers()) + "\n")
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url = f"sqlite:///{directory}/jobs.db"
        lines = [*enqueue(directory), *throughput(directory), *rerun(directory, url)]
        if arguments.postgresql:
            with schema(arguments.postgresql) as other:
                lines += rerun(directory, other)
        lines += drain(directory, url)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
