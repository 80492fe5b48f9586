"""Faults: each on purpose, each survived."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest
from tornado.web import RequestHandler, stream_request_body

from tests.chaos import Chaos
from tests.patience import WAIT
from tornado_unblock import (
    AbandonedError,
    BodyExitError,
    RunTimeoutError,
    cancelled,
    run_in_executor,
    statistics,
    unblock,
)


@pytest.mark.parametrize("seed", [1, 2])
def test_chaos(seed):
    """A thousand requests at once: one response each, and nothing is left."""
    chaos = Chaos(seed)
    try:
        chaos.run(1000)
        chaos.settle()
    finally:
        chaos.close()


def test_upload_is_held_back(make_server):
    """A client that sends faster than bodies work is not read; memory stays flat."""
    gate, entered = threading.Event(), threading.Event()
    sizes: list[int] = []

    @stream_request_body
    class Handler(RequestHandler):
        @unblock
        def data_received(self, chunk: bytes) -> None:
            sizes.append(len(chunk))
            entered.set()
            assert gate.wait(WAIT)

        def put(self) -> None:
            self.write(str(sum(sizes)))

    server = make_server(("/", Handler))
    client = server.connect(SO_SNDBUF=65536)
    total = 64 * 2**20
    client.sendall(
        b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n" % total
    )
    server.server.max_body_size = total
    sent = 0
    client.setblocking(False)
    for _ in range(2):  # once before the server reads, once after
        sent += send_until_full(client, total)
        assert entered.wait(WAIT)
    # What the system buffers, and Tornado: far from what the client has to send.
    assert sent < total / 4
    assert len(sizes) == 1
    gate.set()
    client.settimeout(WAIT)
    client.sendall(b"x" * (total - sent))
    answer = b""
    while part := client.recv(4096):
        answer += part
    assert answer.endswith(str(total).encode())
    assert max(sizes) <= 65536


def send_until_full(client: Any, most: int) -> int:
    sent = 0
    block = memoryview(b"x" * 2**20)
    while sent < most:
        try:
            sent += client.send(block)
        except BlockingIOError:
            break
    return sent


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), BaseException("any"), SystemExit(), MemoryError()],
)
def test_function_that_raises_anything(error):
    """It reaches who awaits, as itself if a loop can bear it; the worker goes on."""

    def fail() -> None:
        raise error

    async def main() -> Any:
        with pytest.raises((BodyExitError, MemoryError)) as caught:
            await run_in_executor(fail)
        assert caught.value is error or caught.value.__cause__ is error
        return await run_in_executor(threading.current_thread)

    assert asyncio.run(main()).name.startswith("unblock-default-")
    error.__traceback__ = None


@pytest.mark.parametrize("error", [SystemExit(), KeyError("x"), KeyboardInterrupt()])
def test_clean_up_that_raises_anything(make_server, expect_log, error):
    """Late `on_finish` may fail in any way: the token comes back all the same."""
    expect_log("tornado.application", "still running after 0.01 s")
    expect_log("tornado.application", "Handler.get: clean-up failed")
    expect_log("tornado.general", "504 GET /")
    expect_log("tornado.access", "504 GET /")
    gate = threading.Event()

    class Handler(RequestHandler):
        @unblock(timeout=0.01)
        def get(self) -> None:
            assert gate.wait(WAIT)

        def on_finish(self) -> None:
            raise error

    server = make_server(("/", Handler))
    assert server.get("/").status == 504
    gate.set()
    server.until(lambda: not statistics()["default"].borrowed_tokens)
    error.__traceback__ = None


def test_body_that_never_returns(make_server, expect_log):
    """It costs its token, and nothing else."""
    expect_log("tornado.application", "still running after 0.01 s")
    expect_log("tornado.general", "504 POST /")
    expect_log("tornado.access", "504 POST /")
    never = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self, what: str) -> str:
            return what

        @unblock(timeout=0.01)
        def post(self, what: str) -> None:
            never.wait()

    server = make_server(("/(.*)", Handler))
    assert server.get("/", method="POST", headers="Content-Length: 0\r\n").status == 504
    try:
        for _ in range(100):
            assert server.get("/fine").body == b"fine"
        server.until(lambda: statistics()["default"].borrowed_tokens == 1)
    finally:
        never.set()
    server.until(lambda: not statistics()["default"].borrowed_tokens)


def test_body_that_never_asks_and_writes_on(make_server, expect_log):
    """A loop that only writes ends with `AbandonedError`."""
    expect_log("tornado.application", "still running after 0.01 s")
    expect_log("tornado.general", "504 GET /")
    expect_log("tornado.access", "504 GET /")
    ended = threading.Event()

    class Handler(RequestHandler):
        @unblock(timeout=0.01)
        def get(self) -> None:
            try:
                while True:
                    self.write("x")
            except AbandonedError:
                ended.set()
                raise

    assert make_server(("/", Handler)).get("/").status == 504
    assert ended.wait(WAIT)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is new in 3.11")
def test_asyncio_timeout():
    """Around a call it does as `asyncio.wait_for`: the body is abandoned."""
    inside, gate, answers = threading.Event(), threading.Event(), []

    def body() -> None:
        inside.set()
        assert gate.wait(WAIT)
        answers.append(cancelled())

    async def wait_for_it() -> None:
        async with asyncio.timeout(None) as limit:
            future = run_in_executor(body)
            while not inside.is_set():  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0)
            limit.reschedule(0)
            await future

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await wait_for_it()
        gate.set()
        while statistics()["default"].borrowed_tokens:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    asyncio.run(main())
    assert answers == [True]


def test_status_of_a_timeout(make_server, expect_log):
    """`timeout_status` says what the client gets."""
    from tornado_unblock import configure

    expect_log("tornado.application", "still running after 0.01 s")
    expect_log("tornado.general", "503 GET /")
    expect_log("tornado.access", "503 GET /")
    configure("reports", timeout=0.01, timeout_status=503)
    gate = threading.Event()

    class Handler(RequestHandler):
        @unblock(executor="reports")
        def get(self) -> None:
            assert gate.wait(WAIT)

        def write_error(self, status: int, **kwargs: Any) -> None:
            assert isinstance(kwargs["exc_info"][1], RunTimeoutError)
            super().write_error(status, **kwargs)

    server = make_server(("/", Handler))
    assert server.get("/").status == 503
    gate.set()
    server.until(lambda: not statistics()["reports"].borrowed_tokens)


NO_THREADS = """
import asyncio, resource, threading
from tornado_unblock import RejectedError, configure, run_in_executor, statistics

configure(max_workers=50, max_endpoint_share=1)
gate, entered = threading.Event(), threading.Semaphore(0)

def body():
    entered.release()
    return gate.wait(20)

async def main():
    await run_in_executor(int, executor="helpers")
    threading.stack_size(256 * 2**20)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    room = {room} * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (used + room, -1))
    jobs = [run_in_executor(body) for _ in range(50)]
    await asyncio.sleep(0)
    if room > 2**29:
        await run_in_executor(entered.acquire, executor="helpers")
    threads = statistics()["default"].threads
    gate.set()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    served = results.count(True)
    refused = sum(isinstance(r, RejectedError) for r in results)
    print(0 < threads < 50, served, refused, statistics()["default"].borrowed_tokens)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("room", "output"), [(1024, "True 50 0 0"), (100, "False 0 50 0")]
)
def test_system_that_gives_few_threads(run_program, room, output):
    """With some all is served, if later; with none all is refused, at once."""
    script = NO_THREADS.replace("{room}", str(room))
    assert run_program(script) == f"{output}\n"


FORK = """
import asyncio, multiprocessing, os, sys, threading
from tornado_unblock import run_in_executor, statistics

async def serve():
    return sum(await asyncio.gather(*(run_in_executor(abs, -n) for n in range(10))))

def child():
    total = asyncio.run(serve())
    borrowed = statistics()["default"].borrowed_tokens
    os._exit(0 if (total, borrowed) == (45, 0) else 1)

def fork():
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    return process.exitcode

gate, entered = threading.Event(), threading.Event()

def hold():
    entered.set()
    gate.wait(20)

async def main():
    codes = [fork()]                       # on the loop thread, nothing used yet
    await serve()
    codes.append(fork())                   # idle workers
    running = run_in_executor(hold)
    await run_in_executor(entered.wait)
    codes.append(fork())                   # a body runs
    codes.append(await run_in_executor(fork))  # in a body
    waiting = [run_in_executor(fork) for _ in range(3)]
    codes += await asyncio.gather(*waiting)
    gate.set()
    await running
    print(codes, await serve())

codes = [fork()]                           # before any loop
asyncio.run(main())
print(codes + [fork()])                    # after the loop
"""


def test_fork_at_each_stage(run_program):
    """A child of `multiprocessing` has workers of its own, whenever it is forked."""
    assert run_program(FORK) == "[0, 0, 0, 0, 0, 0, 0] 45\n[0, 0]\n"


AUTORELOAD = """
import asyncio, os, sys, threading
from pathlib import Path
from itertools import count
from tornado import autoreload
from tornado.ioloop import PeriodicCallback
from tornado_unblock import run_in_executor

times = count(1)
me = Path(__file__)
generation = 1

async def main():
    entered = threading.Event()
    def hold():
        entered.set()
        threading.Event().wait(600)
    held = run_in_executor(hold)
    assert await run_in_executor(entered.wait, 20)
    print("generation", generation, await run_in_executor(int, "7"), flush=True)
    if generation == 1:
        autoreload.start(check_time=10)
        me.write_text(me.read_text().replace("generation = 1", "generation = 2"))
        # Again and again: it compares with what it saw first.
        PeriodicCallback(lambda: os.utime(me, (next(times),) * 2), 10).start()
        await asyncio.Event().wait()
    os._exit(0)

asyncio.run(main())
"""


def test_autoreload(run_program):
    """The process is replaced while a body runs, and serves again."""
    assert run_program(AUTORELOAD) == "generation 1 7\ngeneration 2 7\n"
