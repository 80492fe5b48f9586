"""The Future of an offload: a plain one for the loop, waited for in workers."""

from __future__ import annotations

import asyncio
import operator
import threading
from typing import Any

import pytest

from tornado_unblock import (
    run_in_executor,
)


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
