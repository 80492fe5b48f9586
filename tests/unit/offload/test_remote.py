"""Work for executors that pickle what they are given."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import multiprocessing
import operator
import os
import pickle
import threading
from typing import Any

import pytest

from tornado_unblock import (
    run_in_executor,
)


class Odd(concurrent.futures.Executor):
    """An executor whose jobs end in odd ways."""

    def __init__(self, end: Any) -> None:
        self.end = end

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.end(future)
        return future


def fail_to_pickle(future: Any) -> None:
    future.set_exception(pickle.PicklingError("on the way back"))


def cancel(future: Any) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (fail_to_pickle, pickle.PicklingError),
        (cancel, concurrent.futures.CancelledError),
    ],
)
def test_odd_ends_elsewhere(end, error):
    """What cannot be explained is raised as it came."""

    async def main() -> None:
        with pytest.raises(error):
            await run_in_executor(abs, -1, executor=Odd(end))

    asyncio.run(main())


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_process_executor(method):
    """Results, exceptions and pids of real processes."""
    context = multiprocessing.get_context(method)

    async def main() -> None:
        with concurrent.futures.ProcessPoolExecutor(1, context) as processes:
            run = functools.partial(run_in_executor, executor=processes)
            assert await run(os.getpid) != os.getpid()
            with pytest.raises(ZeroDivisionError):
                await run(operator.truediv, 1, 0)
            with pytest.raises(TypeError, match=r"argument 'key' \(lock\) cannot be"):
                await run(sorted, [1], key=threading.Lock())
            with pytest.raises(TypeError, match=r"the function .* cannot be pickled"):
                await run(lambda: 0)
            with pytest.raises(TypeError, match="positional argument 1"):
                await run(print, threading.Lock())

    asyncio.run(main())


def test_process_executor_from_a_worker():
    """A body may use processes too."""
    context = multiprocessing.get_context("spawn")

    async def main() -> int:
        with concurrent.futures.ProcessPoolExecutor(1, context) as processes:

            def body() -> int:
                return run_in_executor(abs, -7, executor=processes).result(50)

            return await run_in_executor(body)

    assert asyncio.run(main()) == 7
