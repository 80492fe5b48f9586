"""What a thread executor is made of: its workers, claims to them, and jobs."""

from __future__ import annotations

import concurrent.futures
import threading
import weakref
from typing import Any, Callable, Optional

Job = Callable[[], object]


class Worker:
    """One thread of an executor."""

    __slots__ = ("jobs", "reservations", "thread", "wake_up")

    def __init__(self) -> None:
        self.wake_up = threading.Lock()
        self.wake_up.acquire()
        self.thread: threading.Thread
        # Jobs that no other worker may do. Guarded by the executor's lock.
        self.jobs: list[Job] = []
        # Added to by the worker itself; one that nobody holds leaves by itself.
        self.reservations: Optional[weakref.WeakSet[ReservedWorker]] = None


class ReservedWorker:
    """Says that a worker is needed again, for as long as somebody refers to it."""

    __slots__ = ("__weakref__", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker


class _Here(threading.local):
    worker: Optional[Worker] = None


here = _Here()
"""Holds the worker that runs in this thread, as ``here.worker``."""


def reserve_worker() -> Optional[ReservedWorker]:
    """Keep the calling worker, for more work that depends on its thread.

    Returns:
        What to refer to as long as there may be such work; None when the
        calling thread is no worker.
    """
    worker = here.worker
    if worker is None:
        return None
    if worker.reservations is None:
        worker.reservations = weakref.WeakSet()
    claim = ReservedWorker(worker)
    worker.reservations.add(claim)
    return claim


def take_idle(idle: list[Worker], *, claimed_too: bool) -> Optional[Worker]:
    """Take a worker out of ``idle``, the last one that is not claimed if there is.

    Args:
        idle: Guarded by the executor's lock, which is held.
        claimed_too: Whether a claimed one will do as well.
    """
    worker = next((w for w in reversed(idle) if not w.reservations), None)
    if worker is None and idle and claimed_too:
        worker = idle[-1]
    if worker is not None:
        idle.remove(worker)
    return worker


class Submitted:
    """A job with a `concurrent.futures.Future` for its outcome."""

    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(
        self,
        future: concurrent.futures.Future[Any],
        fn: Callable[..., Any],
        args: Any,
        kwargs: Any,
    ) -> None:
        self.future, self.fn, self.args, self.kwargs = future, fn, args, kwargs

    def __call__(self) -> None:
        """Run the function, unless its Future was cancelled."""
        future = self.future
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self.fn(*self.args, **self.kwargs)
        except BaseException as error:
            future.set_exception(error)
            del self.future, future  # error -> traceback -> this frame: no cycle
        else:
            future.set_result(result)
