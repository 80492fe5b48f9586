"""`statistics`: each thing that happens is counted, once, where it belongs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from tornado.web import Finish, HTTPError, RequestHandler

from tests.patience import PROGRAM, WAIT
from tests.unit.limits.conftest import counts, endpoint
from tornado_unblock import (
    RejectedError,
    RunTimeoutError,
    configure,
    run_in_executor,
    statistics,
    testing,
    unblock,
)


def body(gate: threading.Event) -> None:
    assert gate.wait(WAIT)


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def test_nothing_used_nothing_counted():
    """An executor appears with its first use."""
    assert statistics() == {}


def test_while_they_run_and_wait(gate):
    """Tokens and threads are those of this moment; any thread may ask."""
    configure(max_workers=3, max_endpoint_share=1)
    together = threading.Barrier(4)

    def first() -> None:
        together.wait(WAIT)
        body(gate)

    async def main() -> None:
        jobs = [run_in_executor(first) for _ in range(3)]
        jobs += [run_in_executor(body, gate) for _ in range(2)]
        together.wait(WAIT)
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            seen = thread.submit(statistics).result()["default"]
        assert (seen.total_tokens, seen.borrowed_tokens, seen.waiting) == (3, 3, 2)
        assert seen.threads == 3
        assert counts(seen.endpoints[first.__qualname__]) == {"borrowed_tokens": 3}
        assert counts(seen.endpoints["body"]) == {"waiting": 2}
        gate.set()
        await asyncio.gather(*jobs)

    asyncio.run(main())
    after = statistics()["default"]
    assert (after.borrowed_tokens, after.waiting) == (0, 0)
    assert counts(after.endpoints["body"]) == {"completed": 2}
    assert after.endpoints["body"].run_time.count == 2
    assert after.endpoints["body"].queue_time.count == 2


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (KeyError("x"), True),
        (SystemExit(), True),
        (HTTPError(500), True),
        (HTTPError(404), False),
        (Finish(), False),
    ],
)
def test_failures(error, failed):
    """What a handler raises to say something to its client is none."""

    def fail() -> None:
        raise error

    async def main() -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011 - any of those
            await run_in_executor(fail)

    asyncio.run(main())
    assert endpoint(fail.__qualname__).failed == failed
    assert endpoint(fail.__qualname__).completed == 1
    error.__traceback__ = None


def test_rejections(gate):
    """Each under its reason; none of them counts as completed."""
    configure(max_workers=1, max_waiting=1, queue_timeout=0.01)

    async def main() -> None:
        running = run_in_executor(body, gate)
        waiting = run_in_executor(int)
        with pytest.raises(RejectedError):
            run_in_executor(int)
        with pytest.raises(RejectedError):
            await waiting
        run_in_executor(int).cancel()
        gate.set()
        await running

    asyncio.run(main())
    assert counts(endpoint("int")) == {"full": 1, "queue_timeout": 1, "cancelled": 1}
    assert counts(endpoint()) == {"completed": 1}


def test_timeouts(gate, expect_log):
    """A timed out body is abandoned too, and completed when it has ended."""
    expect_log("tornado.application", "still running after")

    async def main() -> None:
        with pytest.raises(RunTimeoutError):
            await run_in_executor(body, gate, timeout=0.01)
        assert counts(endpoint()) == {
            "borrowed_tokens": 1,
            "timed_out": 1,
            "abandoned": 1,
        }
        gate.set()
        while endpoint().borrowed_tokens:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    asyncio.run(main())
    assert counts(endpoint()) == {"completed": 1, "timed_out": 1, "abandoned": 1}
    assert endpoint().run_time.count == 1


def test_client_that_leaves_the_line(make_server, gate, expect_log):
    """It has a reason of its own."""
    expect_log("tornado.access", "499 GET /")
    configure(max_workers=1)
    entered = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            entered.set()
            body(gate)

    name = f"{Handler.__qualname__}.get"
    server = make_server(("/", Handler))
    first = server.send("/")
    assert entered.wait(WAIT)
    second = server.send("/")
    server.until(lambda: endpoint(name).waiting)
    second.close()
    server.until(lambda: not endpoint(name).waiting)
    gate.set()
    first.recv(100)
    server.until(lambda: endpoint(name).completed)
    assert counts(endpoint(name)) == {"completed": 1, "client_gone": 1}


def test_no_thread(monkeypatch):
    """The system has none to give."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RejectedError, match="can't start new thread"):
                await run_in_executor(int)
        assert await run_in_executor(int) == 0

    asyncio.run(main())
    assert counts(endpoint("int")) == {"completed": 1, "no_thread": 1}


def test_loops_are_added_up(make_server):
    """Those that run, and those that are closed."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None: ...

    name = f"{Handler.__qualname__}.get"
    servers = [make_server(("/", Handler)) for _ in range(2)]
    for server in servers:
        server.get("/")
        server.until(lambda: not endpoint(name).borrowed_tokens)
    assert statistics()["default"].total_tokens == 100
    assert endpoint(name).completed == 2
    servers[0].close()
    assert statistics()["default"].total_tokens == 50
    assert endpoint(name).completed == 2
    servers[1].get("/")
    servers[1].until(lambda: not endpoint(name).borrowed_tokens)
    assert endpoint(name).run_time.count == endpoint(name).completed == 3


def test_retry_after_is_an_estimate(gate):
    """By then those that wait have had their turn, as fast as those before."""
    configure(max_workers=1, max_waiting=3, max_endpoint_share=1)

    async def main() -> list[Any]:
        jobs = [run_in_executor(body, gate) for _ in range(2)]
        limiter = jobs[1].offload._limiter
        named = []
        for seconds in (0.0, 2.0, 1000.0):
            times = limiter.endpoint("body").run_time
            times.counts[0], times.seconds = 1, seconds
            jobs.append(run_in_executor(body, gate))
            limiter.max_waiting = 1
            with pytest.raises(RejectedError) as caught:
                run_in_executor(body, gate)
            named.append(caught.value.retry_after)
            limiter.max_waiting = 10
        gate.set()
        await asyncio.gather(*jobs)
        return named

    assert asyncio.run(main()) == [1, 6, 60]


def test_reset():
    """Tests begin with nothing counted."""

    async def main() -> None:
        await run_in_executor(int)

    asyncio.run(main())
    testing.reset()
    assert statistics() == {}


def test_forked_child_counts_for_itself(child_env, tmp_path):
    """Its parent's counts are its parent's."""
    script = """
    import asyncio, os
    from tornado_unblock import run_in_executor, statistics

    async def main():
        await run_in_executor(int)

    asyncio.run(main())
    if os.fork() == 0:
        before = len(statistics())
        asyncio.run(main())
        print(before, statistics()["default"].endpoints["int"].completed, flush=True)
        os._exit(0)
    os.wait()
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(
        command,
        env=child_env,
        cwd=tmp_path,
        timeout=PROGRAM,
        check=True,
        capture_output=True,
    )
    assert done.stdout == b"0 1\n"
