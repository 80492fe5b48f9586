"""Jobs that wait to be let go, and executors on whose idle workers to wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Callable

from tests.patience import WAIT
from tornado_unblock import run_in_executor
from tornado_unblock._executors.threads import WorkerExecutor


class IdleList(list):  # type: ignore[type-arg]
    """A list of idle workers on which to wait for the next to become idle."""

    def __init__(self) -> None:
        self.added = threading.Semaphore(0)

    def append(self, worker: Any) -> None:
        super().append(worker)
        self.added.release()


class Gate:
    """A job, or what a body calls, that says when it is there and goes on when let.

    Each call releases ``entered`` once. Notes are for whatever the test wants.
    """

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open, self.done = threading.Event(), threading.Event()
        self.thread: Any = None
        self.notes: list[Any] = []
        #: Seconds that it holds at most.
        self.patience = WAIT

    def hold(self) -> str:
        self.thread = threading.current_thread()
        self.entered.release()
        assert self.open.wait(self.patience)
        return "held"

    __call__ = hold

    def wait(self) -> bool:
        """Wait until one more has come."""
        return self.entered.acquire(timeout=WAIT)

    async def hold_worker(self, **options: Any) -> asyncio.Future[str]:
        """Have a worker that holds; returns once it does."""
        future = run_in_executor(self.hold, **options)
        await run_in_executor(self.wait, executor="helpers")
        return future


def here() -> str:
    """Return the name of this thread."""
    return threading.current_thread().name


@contextlib.contextmanager
def executors_of_workers() -> Iterator[Callable[..., WorkerExecutor]]:
    """Give what makes executors; they are shut down at the end."""
    with contextlib.ExitStack() as stack:

        def make(max_workers: int, **options: Any) -> WorkerExecutor:
            executor = WorkerExecutor(max_workers, "test", **options)
            executor._idle = IdleList()
            stack.callback(executor.shutdown, cancel_futures=True)
            return executor

        yield make


@contextlib.contextmanager
def lending(executor: WorkerExecutor) -> Iterator[None]:
    """While this lasts the executor has one more thread."""
    executor.lend()
    try:
        yield
    finally:
        executor.end_loan()


def wait_idle(executor: WorkerExecutor, times: int = 1) -> None:
    """Wait until so many more times a worker has become idle."""
    for _ in range(times):
        assert executor._idle.added.acquire(timeout=WAIT)  # type: ignore[attr-defined]
