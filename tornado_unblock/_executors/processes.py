"""Executors whose workers are processes, here or elsewhere.

A `concurrent.futures.ProcessPoolExecutor` one of whose processes was killed is
dead for good. `RenewedExecutor` makes another one for the next job.

# Threads: any; each executor is guarded by its `_lock`.
# Guarantees:
# - one broken pool is replaced by one new pool, whoever notices;
# - a job that was running or queued in a broken pool fails; it is not done twice;
# - a forked child makes pools of its own.
"""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import threading
import weakref
from typing import Callable, Optional, TypeVar

from tornado_unblock._executors.options import Factory
from tornado_unblock._executors.threads import WorkerExecutor
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members

_T = TypeVar("_T")

# Threads that hand jobs to such executors: the loop thread must not wait while
# a process starts, or a cluster answers. More than one, so that a dead cluster
# holds up nobody else.
_SUBMITTERS = 8

_all: weakref.WeakSet[RenewedExecutor] = weakref.WeakSet()
# In a forked child: the pools of its parent. To collect one would talk to its
# processes.
_of_the_parent: list[Optional[concurrent.futures.Executor]] = []
_lock = threading.Lock()
_submitters: Optional[WorkerExecutor] = None


def processes(number: int) -> Factory:
    """Return what makes pools of ``number`` processes.

    They are spawned: a fork copies the locks that other threads hold.
    """
    return functools.partial(
        concurrent.futures.ProcessPoolExecutor,
        number,
        multiprocessing.get_context("spawn"),
    )


def submitters() -> WorkerExecutor:
    """Return the threads that hand jobs to executors of processes; any thread."""
    global _submitters
    with _lock:
        if _submitters is None:
            _submitters = WorkerExecutor(_SUBMITTERS, "submit")
        return _submitters


def forget_submitters() -> None:
    """End those threads."""
    global _submitters
    with _lock:
        ended, _submitters = _submitters, None
    if ended is not None:
        ended.shutdown()


class RenewedExecutor(concurrent.futures.Executor):
    """An executor that is made on first use, and again when it has broken.

    Args:
        name: What errors and statistics call it.
        make: Returns the executor to use until it breaks.
        max_workers: Jobs that are given to it at once.
    """

    def __init__(self, name: str, make: Factory, max_workers: int) -> None:
        self.name = name
        self.max_workers = max_workers
        self._make = make
        self._start_empty()
        _all.add(self)

    def _start_empty(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._inner: Optional[concurrent.futures.Executor] = None

    def submit(
        self, fn: Callable[..., _T], /, *args: object, **kwargs: object
    ) -> concurrent.futures.Future[_T]:
        """Run ``fn(*args, **kwargs)`` in a process; any thread, may take long.

        Raises:
            RuntimeError: The executor is shut down, or a new one is of no use
                either.
        """
        inner = self._usable(None)
        try:
            return inner.submit(fn, *args, **kwargs)
        except RuntimeError:  # broken, or shut down by somebody else
            return self._usable(inner).submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and end the processes once theirs is done.

        Args:
            wait: Return only when they have ended.
            cancel_futures: Drop what has not started.
        """
        with self._lock:
            self._closed = True
            inner, self._inner = self._inner, None
        if isinstance(inner, concurrent.futures.ProcessPoolExecutor):
            inner.shutdown(wait=wait, cancel_futures=cancel_futures)
        elif inner is not None:  # those of other makers cannot all cancel
            inner.shutdown(wait=wait)

    def kill(self) -> None:
        """End the processes at once, whatever they are doing."""
        with self._lock:
            inner = self._inner
        for process in list((getattr(inner, "_processes", None) or {}).values()):
            process.kill()

    def _usable(
        self, broken: Optional[concurrent.futures.Executor]
    ) -> concurrent.futures.Executor:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"executor {self.name!r} is shut down")
            if self._inner is None or self._inner is broken:
                self._inner = self._make()
            return self._inner


def _forget_parent() -> None:
    global _lock, _submitters
    _lock = threading.Lock()
    _submitters = None
    for executor in members(_all):
        _of_the_parent.append(executor._inner)
        executor._start_empty()


at_fork(Step.PROCESSES, _forget_parent)
