"""The Future of an offload: a plain one for the loop, waited for in workers."""

from __future__ import annotations

import asyncio
import contextvars
import operator
import threading
from typing import Any

import pytest

from tornado_unblock import (
    run_in_executor,
)

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def test_it_is_a_plain_future():
    """`asyncio.gather` and `wait_for` take it, and work starts at once."""
    started = threading.Event()

    async def main() -> list[int]:
        future = run_in_executor(started.set)
        assert isinstance(future, asyncio.Future)
        assert started.wait(10)
        await future
        return await asyncio.wait_for(
            asyncio.gather(*(run_in_executor(operator.neg, n) for n in range(100))), 10
        )

    assert asyncio.run(main()) == [-n for n in range(100)]


def test_future_of_a_worker():
    """`result` waits there, takes a timeout, and raises what the function raised."""
    gate = threading.Event()

    def body() -> Any:
        slow = run_in_executor(gate.wait, 10)
        with pytest.raises(asyncio.TimeoutError, match="the work goes on"):
            slow.result(0.01)
        gate.set()
        with pytest.raises(ZeroDivisionError):
            run_in_executor(operator.truediv, 1, 0).result()
        return slow.result(), run_in_executor(int, "7")

    async def main() -> None:
        done, pending = await run_in_executor(body)
        assert done
        assert await pending == 7

    asyncio.run(main())


# --- what the function returns to be awaited ------------------------------------------


async def change() -> str:
    user.set("changed")
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


class Work:
    """It is awaitable, and no coroutine."""

    def __await__(self) -> Any:
        return change().__await__()


@pytest.mark.parametrize("make", [change, Work])
def test_returned_work_is_done_by_who_awaits_it(make):
    """By the same task, in the same context, as if the function ran there."""

    def body() -> Any:
        user.set("body")
        return make()

    async def main() -> None:
        task: Any = asyncio.current_task()
        assert await run_in_executor(body) == task.get_name()
        assert user.get() == "changed"

    asyncio.run(main())


def test_returned_work_of_a_gather():
    """Others than a coroutine get the result, too."""

    async def main() -> None:
        task: Any = asyncio.current_task()
        works = [run_in_executor(lambda: change()), run_in_executor(Work)]
        names = await asyncio.gather(*works)
        assert task.get_name() not in names
        assert user.get() == "nobody"

    asyncio.run(main())


@pytest.mark.parametrize("make", [change, Work])
def test_returned_work_that_nobody_wants_any_more(make):
    """Who awaits is cancelled just then: it is not begun, and nothing is said of it."""
    awaited = threading.Event()

    async def main() -> None:
        future: Any = run_in_executor(lambda: awaited.wait(10) and make())
        future.add_done_callback(lambda _: task.cancel())
        task: Any = asyncio.ensure_future(wait(future))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert future.result() is None

    async def wait(future: Any) -> None:
        asyncio.get_running_loop().call_soon(awaited.set)
        await future

    asyncio.run(main())
    assert user.get() == "nobody"
