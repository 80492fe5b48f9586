"""The thread executor: workers started, reused, lent, let go, forked.

`WorkerExecutor` is a `concurrent.futures.ThreadPoolExecutor` to its users, with
workers of its own: started on demand, the one that went idle last is reused
first, and one that idles long enough ends.

# Threads: any thread may submit; state is guarded by `_lock`.
# Guarantees:
# - at most `max_workers` threads, and one more for each worker that `lend`s;
# - a job put in is run exactly once, unless the process ends or forks first;
# - a forked child has the same executors, empty, without their threads;
# - workers are daemon threads: an ending interpreter does not wait for them.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import os
import threading
import weakref
from typing import Any, Callable, Iterator, Optional, TypeVar

from tornado.log import app_log

_T = TypeVar("_T")

Job = Callable[[], object]

# How long a worker idles before its thread ends, in seconds. Long enough for
# the pauses of a busy service; a burst's threads are gone a minute later.
IDLE_SECONDS = 60.0

# Every executor of this process, for the fork handler.
_all: weakref.WeakSet[WorkerExecutor] = weakref.WeakSet()


class _Worker:
    __slots__ = ("job", "thread", "wake_up")

    def __init__(self) -> None:
        self.job: Optional[Job] = None
        self.wake_up = threading.Lock()
        self.wake_up.acquire()
        self.thread: threading.Thread


class WorkerExecutor(concurrent.futures.ThreadPoolExecutor):
    """A thread executor whose idle workers are reused last-in-first-out.

    Args:
        max_workers: Threads at most.
        name: What its threads are called, and what errors call it.
        idle_seconds: How long an idle thread is kept.
    """

    def __init__(
        self, max_workers: int, name: str, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        super().__init__(max_workers, thread_name_prefix=f"unblock-{name}")
        self.name = name
        self.max_workers = max_workers
        self._idle_seconds = idle_seconds
        self._numbers = itertools.count(1)
        self._start_empty()
        _all.add(self)

    def _start_empty(self) -> None:
        self._lock = threading.Lock()
        # All guarded by _lock:
        self._idle: list[_Worker] = []
        self._jobs: collections.deque[Job] = collections.deque()
        self._workers: set[_Worker] = set()
        self._lent = 0
        self._closed = False

    def put(self, job: Job) -> None:
        """Run ``job`` on a worker; any thread.

        Args:
            job: A callable of no arguments. What it raises is logged, so it
                should carry its own outcome.

        Raises:
            RuntimeError: The executor is shut down, or the system refuses a
                thread and there is none to wait for.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"executor {self.name!r} is shut down")
            if self._idle:
                worker = self._idle.pop()
                worker.job = job
                worker.wake_up.release()
                return
            if len(self._workers) >= self.max_workers + self._lent:
                self._jobs.append(job)
                return
            self._start(job)

    def submit(
        self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[_T]:
        """Run ``fn(*args, **kwargs)`` on a worker; any thread.

        Returns:
            A `concurrent.futures.Future`, as `ThreadPoolExecutor.submit` does.

        Raises:
            RuntimeError: The executor is shut down.
        """
        future: concurrent.futures.Future[_T] = concurrent.futures.Future()
        self.put(_Submitted(future, fn, args, kwargs))
        return future

    @contextlib.contextmanager
    def lend(self) -> Iterator[None]:
        """Have one more thread while the calling worker waits for nested work."""
        with self._lock:
            self._lent += 1
            if self._jobs and not self._idle:
                self._start(self._jobs.popleft())
        try:
            yield
        finally:
            with self._lock:
                self._lent -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and end the workers once what was put is done.

        Args:
            wait: Return only when every worker has ended.
            cancel_futures: Drop what has not started, cancelling its Future.
        """
        dropped: list[Job] = []
        with self._lock:
            self._closed = True
            if cancel_futures:
                dropped.extend(self._jobs)
                self._jobs.clear()
            workers = list(self._workers)
            for worker in self._idle:
                worker.wake_up.release()
            self._idle.clear()
        for job in dropped:
            if isinstance(job, _Submitted):
                job.future.cancel()
        if wait:
            for worker in workers:
                if worker.thread is not threading.current_thread():
                    worker.thread.join()

    def thread_count(self) -> int:
        """Return how many threads it has now, idle ones included."""
        return len(self._workers)

    def _start(self, job: Job) -> None:
        # Holds _lock: nobody may see a worker whose thread has not started.
        worker = _Worker()
        worker.thread = threading.Thread(
            target=self._work,
            args=(worker, job),
            name=f"{self._thread_name_prefix}-{next(self._numbers)}",
            daemon=True,
        )
        try:
            worker.thread.start()
        except RuntimeError:
            # The system is short of threads: the ones there are will do.
            if not self._workers:
                raise
            self._jobs.append(job)
        else:
            self._workers.add(worker)

    def _work(self, worker: _Worker, first: Job) -> None:
        job: Optional[Job] = first
        del first
        while job is not None:
            try:
                job()
            except BaseException:
                app_log.critical(
                    "A job of executor %r let an error out", self.name, exc_info=True
                )
            del job  # an idle worker must not keep its last request alive
            job = self._next_job(worker)

    def _next_job(self, worker: _Worker) -> Optional[Job]:
        with self._lock:
            surplus = len(self._workers) > self.max_workers + self._lent
            if self._jobs and not surplus:
                return self._jobs.popleft()
            if surplus or self._closed:
                self._workers.discard(worker)
                return None
            self._idle.append(worker)
        if not worker.wake_up.acquire(timeout=self._idle_seconds):
            with self._lock:
                if worker in self._idle:
                    self._idle.remove(worker)
                    self._workers.discard(worker)
                    return None
            # A job came in the very moment the wait ended.
            worker.wake_up.acquire()
        job, worker.job = worker.job, None
        if job is None:  # shut down
            with self._lock:
                self._workers.discard(worker)
        return job


class _Submitted:
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


def _forget_parent() -> None:
    for executor in list(_all):
        executor._start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
