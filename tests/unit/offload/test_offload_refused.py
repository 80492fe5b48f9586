"""Offloads that get no worker after all, or are given up while they run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from typing import Any, Callable

import pytest

from tests.unit.conftest import quiet
from tests.unit.gates import Gate
from tornado_unblock import RejectedError, RunTimeoutError, configure
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.offload import ABANDONED, ENDED, REFUSED, Offload, helper


class Refusing(concurrent.futures.Executor):
    """An executor elsewhere that does not take a job, or loses it."""

    max_workers = 1

    def __init__(self, error: Exception, lose: bool = False) -> None:
        self.error, self.lose = error, lose
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not self.lose:
            raise self.error
        return self.future


def make(executor: Any, fn: Callable[[], Any]) -> Offload:
    portal = current_portal()
    return Offload(portal, placement(portal, executor, "endpoint", None), fn)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (concurrent.futures.BrokenExecutor("it broke"), RejectedError),
        (RuntimeError("it is shut down"), RejectedError),
        (TypeError("no such job"), TypeError),
    ],
)
def test_executor_elsewhere_that_takes_no_job(error, raised):
    """No thread is a rejection; any other error is the caller's to see."""

    async def main() -> None:
        offload = make(Refusing(error), functools.partial(print))
        with pytest.raises(raised):
            await offload.admit()
        assert offload.state is REFUSED
        assert offload._limiter.borrowed_tokens == 0
        rejected = offload.endpoint.rejected["no_thread"]
        assert rejected == (1 if raised is RejectedError else 0)

    asyncio.run(main())


def test_executor_that_breaks_under_what_was_abandoned():
    """It is told that it was abandoned: nobody misses what broke."""

    async def main() -> None:
        executor = Refusing(OSError(), lose=True)
        offload = make(executor, functools.partial(print))
        future = offload.admit()
        while not executor.future._done_callbacks:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert offload.abandon("no longer wanted")
        executor.future.set_exception(concurrent.futures.BrokenExecutor("it broke"))
        with pytest.raises(Exception, match="no longer wanted"):
            await future
        assert offload.state is ENDED

    asyncio.run(main())


def test_thread_that_waits_takes_what_would_wait():
    """It needs no token; at once where all tokens are lent."""
    configure("small", max_workers=1)
    asked: list[bool] = []

    async def main() -> None:
        executor = get_executor("small")
        taken: list[Callable[[], object]] = []

        def take(offload: Offload, at_once: bool) -> bool:
            asked.append(at_once)
            offload.start_at(taken.append)
            return True

        gate = Gate()
        first = make(executor, gate)
        future = first.admit()
        helper.set(take)
        second, third, fourth = (make(executor, str) for _ in range(3))
        futures = [second.admit()]
        first.lend()
        futures.append(third.admit())
        first.end_loan()
        futures.append(fourth.admit())
        fourth.refuse("no_thread", "its thread went")
        for run in taken[:2]:
            run()
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        gate.open.set()
        await future
        assert asked == [False, True, False]
        assert outcomes[:2] == ["", ""]
        assert isinstance(outcomes[2], RejectedError)
        assert fourth.endpoint.rejected["no_thread"] == 1
        await quiet(first._limiter)
        assert first.endpoint.completed == 3

    asyncio.run(main())


def test_shut_down_of_what_runs(gate):
    """Its caller gets a 503 now; what it waits for on the loop is cancelled."""

    async def main() -> None:
        offload = make(get_executor(), gate)
        future = offload.admit()
        offload.awaiting = asyncio.get_running_loop().create_future()
        assert offload.shut_down("the application is shutting down")
        assert not offload.shut_down("the application is shutting down")
        assert offload.awaiting.cancelled()
        assert offload.state is ABANDONED
        with pytest.raises(RunTimeoutError) as raised:
            await future
        assert raised.value.status_code == 503
        gate.open.set()
        await quiet(offload._limiter)

    asyncio.run(main())


def test_successor_of_an_executor_that_is_shut_down(gate):
    """The token that it was given comes back with a rejection."""
    configure("line", max_workers=1)

    async def main() -> None:
        executor: Any = get_executor("line")
        first, second = make(executor, gate), make(executor, str)
        futures = [first.admit(), second.admit()]
        await asyncio.get_running_loop().run_in_executor(None, gate.wait)
        executor.shutdown(wait=False)
        gate.open.set()
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert outcomes[0] == "held"
        assert isinstance(outcomes[1], RejectedError)
        assert second.endpoint.rejected["no_thread"] == 1
        await quiet(first._limiter)

    asyncio.run(main())
