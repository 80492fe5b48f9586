"""`run_in_executor` from the loop, from workers, on threads and processes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from typing import Any

import pytest

from tests.unit.conftest import all_quiet
from tornado_unblock import (
    ConfigurationError,
    LoopThreadError,
    RejectedError,
    RunTimeoutError,
    configure,
    run_in_executor,
    statistics,
)


def test_result_arguments_and_thread():
    """Positional and keyword arguments go in, the result comes back."""

    def body(a: int, *, b: int) -> Any:
        return a + b, threading.current_thread().name

    async def main() -> Any:
        return await run_in_executor(body, 1, b=2)

    assert asyncio.run(main()) == (3, "unblock-default-1")


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("fn", "options", "error", "message"),
    [
        (coroutine, {}, TypeError, "await it instead"),
        (functools.partial(coroutine), {}, TypeError, "await it instead"),
        (7, {}, TypeError, "expected a function"),
        (int, {"executor": 7}, TypeError, "a name or a concurrent.futures.Executor"),
        (int, {"timeout": -1}, ConfigurationError, "positive number of seconds"),
        (int, {}, LoopThreadError, "no event loop runs in thread 'MainThread'"),
    ],
)
def test_misuse(fn, options, error, message):
    """Each mistake is named at the call."""
    with pytest.raises(error, match=message):
        run_in_executor(fn, **options)


def test_timeout():
    """The Future fails at the time-out; the token comes back at the end only."""
    gate = threading.Event()

    async def main() -> None:
        with pytest.raises(RunTimeoutError, match=r"ran longer than 0\.01 s"):
            await run_in_executor(gate.wait, 10, timeout=0.01)
        gate.set()
        assert await run_in_executor(int, "7") == 7
        await all_quiet()

    with pytest.MonkeyPatch.context() as patch:
        from tornado.log import app_log

        patch.setattr(app_log, "disabled", True)
        asyncio.run(main())


def test_timeout_of_the_executor(expect_log):
    """The default for all that run there."""
    expect_log("tornado.application", r"(?s)wait: still running after 0\.01 s")
    configure("slow", timeout=0.01)
    gate = threading.Event()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await run_in_executor(gate.wait, 10, executor="slow")
        gate.set()
        while statistics()["slow"].borrowed_tokens:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        await all_quiet("slow")

    asyncio.run(main())


def test_rejection():
    """A full executor refuses at the call."""
    configure(max_workers=1, max_waiting=0)
    gate = threading.Event()

    async def main() -> None:
        first = run_in_executor(gate.wait, 10)
        with pytest.raises(RejectedError, match="max_waiting=0") as caught:
            run_in_executor(int)
        assert caught.value.rejection == "full"
        gate.set()
        assert await first

    asyncio.run(main())


def test_nested_work_of_a_full_executor():
    """A waiting worker's place serves others: depth 20 on one worker finishes."""
    configure(max_workers=1)

    def body(depth: int) -> int:
        if not depth:
            return 0
        return 1 + run_in_executor(body, depth - 1).result(10)

    async def main() -> int:
        return await run_in_executor(body, 20)

    assert asyncio.run(main()) == 20


def test_nested_wide_on_a_full_executor():
    """All workers wait for work of their own executor, and it is done."""
    configure(max_workers=4, max_waiting=100, max_endpoint_share=1)
    together = threading.Barrier(4)

    def body() -> int:
        together.wait(10)
        return sum(run_in_executor(int, "1").result(10) for _ in range(5))

    async def main() -> list[int]:
        return await asyncio.gather(*(run_in_executor(body) for _ in range(4)))

    assert asyncio.run(main()) == [5] * 4


def test_rejection_in_a_worker():
    """It comes through the Future: the limits live on the loop thread."""
    configure("tiny", max_workers=1, max_waiting=0)
    gate = threading.Event()

    def body() -> None:
        first = run_in_executor(gate.wait, 10, executor="tiny")
        with pytest.raises(RejectedError):
            run_in_executor(int, executor="tiny").result(10)
        gate.set()
        assert first.result(10)

    async def main() -> None:
        await run_in_executor(body)

    asyncio.run(main())


def test_foreign_thread_executor():
    """Any ThreadPoolExecutor, and its width is its limit."""

    async def main() -> str:
        with concurrent.futures.ThreadPoolExecutor(1, "mine") as mine:
            return await run_in_executor(
                lambda: threading.current_thread().name, executor=mine
            )

    assert asyncio.run(main()) == "mine_0"


def test_executor_that_was_shut_down():
    """A clear rejection, and no token is lost."""
    executor = concurrent.futures.ThreadPoolExecutor(1)
    executor.shutdown()

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(RejectedError, match="cannot schedule new futures"):
                await run_in_executor(int, executor=executor)

    asyncio.run(main())


def test_it_starts_at_once():
    """Also when the loop thread blocks next, with more to do in that turn."""
    started = threading.Event()

    async def main() -> bool:
        asyncio.get_running_loop().call_soon(int)
        future = run_in_executor(started.set)
        seen = started.wait(10)
        await future
        return seen

    assert asyncio.run(main())


def test_nested_work_on_an_executor_of_the_user():
    """A worker of a stock executor that waits gives its token back."""

    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as stock:

            def body() -> int:
                return run_in_executor(int, "7", executor=stock).result(10)

            assert await run_in_executor(body, executor=stock) == 7

    asyncio.run(main())
