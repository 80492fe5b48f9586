"""The thread executor: workers started, reused, lent, let go, forked.

`WorkerExecutor` is a `concurrent.futures.ThreadPoolExecutor` to its users, whose
workers start on demand; the one that went idle last is reused first.

Workers are woken one at a time, each by the one before it. Short jobs are then all
done by the first few, where waking one for each job would set them all fighting for
the interpreter; a job that blocks lets the next worker run at once.

# Threads: any thread may submit; state is guarded by `_lock`.
# Guarantees:
# - at most `max_workers` threads, and one more for each worker that `lend`s;
# - a job put in is run exactly once, unless the process ends or forks first;
# - a reserved worker stays, and works for others only when no other is to be had;
# - a forked child has the same executors, empty, without their threads;
# - workers are daemon threads: an ending interpreter does not wait for them.
"""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import threading
import weakref
from typing import Callable, Generic, Optional, TypeVar

from tornado.log import app_log

from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members

_T = TypeVar("_T")

# How long a worker idles before its thread ends, in seconds: a burst's threads
# are gone a minute later.
IDLE_SECONDS = 60.0

# Every executor of this process, for the fork handler.
_all: weakref.WeakSet[WorkerExecutor] = weakref.WeakSet()


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
        self._idle: list[Worker] = []
        self._jobs: collections.deque[Job] = collections.deque()
        self._workers: set[Worker] = set()
        # How many workers it may have: `max_workers`, and those that were lent.
        self._allowed = self.max_workers
        # Whether a worker was woken that has not run yet.
        self._waking = False
        self._closed = False

    def put(self, job: Job, *, wake: bool = True) -> None:
        """Run ``job`` on a worker; any thread.

        Args:
            job: Of no arguments; what it raises is logged.
            wake: Whether to wake a worker for it; if not, call `wake` soon.

        Raises:
            RuntimeError: The executor is shut down, or the system refuses a
                thread and there is none to wait for.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"executor {self.name!r} is shut down")
            self._jobs.append(job)
            # The first worker is started at once, to learn whether it can be.
            if not self._waking and (wake or not self._workers):
                try:
                    self._wake_one()
                except RuntimeError:
                    self._jobs.remove(job)
                    raise

    def wake(self) -> None:
        """Wake a worker for what was put without; any thread."""
        with self._lock:
            if self._jobs and not self._waking:
                self._wake_one()

    def submit(
        self, fn: Callable[..., _T], /, *args: object, **kwargs: object
    ) -> concurrent.futures.Future[_T]:
        """As `concurrent.futures.ThreadPoolExecutor.submit`; any thread."""
        future: concurrent.futures.Future[_T] = concurrent.futures.Future()
        self.put(Submitted(future, fn, args, kwargs))
        return future

    def put_on(self, reserved: ReservedWorker, job: Job, late: Job) -> bool:
        """Run ``job`` on the reserved worker, or on any if it is gone; any thread.

        Args:
            reserved: Which one.
            job: What to run.
            late: What to run instead when that worker is busy, once it is not.

        Returns:
            Whether it is ``job`` that runs.

        Raises:
            RuntimeError: As for `put`.
        """
        worker = reserved.worker
        with self._lock:
            if worker in self._workers and not self._closed:
                at_once = worker in self._idle
                worker.jobs.append(job if at_once else late)
                if at_once:
                    self._idle.remove(worker)
                    worker.wake_up.release()
                return at_once
        self.put(job)
        return True

    def lend(self) -> None:
        """Have one more thread, while a worker waits for other work; any thread."""
        with self._lock:
            self._allowed += 1
            if self._jobs and not self._waking:
                self._wake_one()

    def end_loan(self) -> None:
        """End a `lend`: the worker goes on; any thread."""
        with self._lock:
            self._allowed -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `concurrent.futures.ThreadPoolExecutor.shutdown`; any thread."""
        dropped: list[Job] = []
        with self._lock:
            self._closed = True
            if cancel_futures:
                for jobs in (self._jobs, *(w.jobs for w in self._workers)):
                    dropped.extend(jobs)
                    jobs.clear()
            for worker in self._idle:
                worker.wake_up.release()
            self._idle.clear()
        for job in dropped:
            if isinstance(job, Submitted):
                job.future.cancel()
        if wait:
            self.join()

    def join(self, timeout: Optional[float] = None) -> None:
        """Wait for every worker but the calling one, ``timeout`` seconds for each."""
        joined: set[Worker] = set()
        while True:
            with self._lock:
                # One that ends may have started another.
                left = self._workers - joined
            if not left:
                return
            joined |= left
            for worker in left:
                if worker.thread is not threading.current_thread():
                    worker.thread.join(timeout)

    def thread_count(self) -> int:
        """Return how many threads it has now, idle ones included."""
        return len(self._workers)

    def _wake_one(self) -> None:
        """Wake or start a worker, unless all are busy already; holds `_lock`.

        Raises:
            RuntimeError: The system refuses the first thread.
        """
        idle = self._idle
        if idle and not idle[-1].reservations:
            self._waking = True
            idle.pop().wake_up.release()
            return
        worker = take_idle(idle, reserved_too=not self._may_start())
        if worker is not None:
            self._waking = True
            worker.wake_up.release()
        elif self._may_start():
            self._start_one()

    def _start_one(self) -> None:
        worker = Worker()
        self._workers.add(worker)
        self._waking = True
        name = f"{self._thread_name_prefix}-{next(self._numbers)}"
        try:
            # It waits for the lock, so its worker has a thread when it begins.
            worker.thread = start_thread(lambda: self._work(worker), name)
        except RuntimeError:
            self._waking = False
            self._workers.discard(worker)
            if not self._workers:
                raise
            # The system is short of threads: the ones there are will do.
            if self._idle:
                worker = self._idle.pop()
                worker.jobs.append(self._jobs.popleft())
                worker.wake_up.release()

    def _work(self, worker: Worker) -> None:
        here.worker = worker
        job = self._next_job(worker, woken=True)
        while job is not None:
            try:
                job()
            except BaseException:
                app_log.critical(
                    "A job of executor %r let an error out", self.name, exc_info=True
                )
            del job  # an idle worker must not keep its last request alive
            job = self._next_job(worker)

    def _next_job(self, worker: Worker, woken: bool = False) -> Optional[Job]:
        while True:
            with self._lock:
                if woken:
                    self._waking = False
                jobs = self._jobs
                surplus = len(self._workers) > self._allowed
                if jobs and not (worker.jobs or worker.reservations or surplus):
                    # Nearly always.
                    first = jobs.popleft()
                    if jobs and not self._waking:
                        self._wake_one()
                    return first
                job = self._take_job(worker, surplus)
                ends = job is None and (
                    self._closed or (not worker.reservations and surplus)
                )
                if ends:
                    self._workers.discard(worker)
                elif job is None:
                    self._idle.append(worker)
                if self._jobs and not self._waking:
                    self._wake_one()
            if ends or job is not None:
                return job
            woken = worker.wake_up.acquire(timeout=self._idle_seconds)
            if not woken:
                with self._lock:
                    idle = worker in self._idle
                    if idle:
                        self._idle.remove(worker)
                        # A job may have been put without waking anybody.
                        if not worker.reservations and not self._jobs:
                            self._workers.discard(worker)
                            return None
                if not idle:  # woken the very moment the wait ended
                    woken = worker.wake_up.acquire()

    def _take_job(self, worker: Worker, surplus: bool) -> Optional[Job]:
        """Take what ``worker`` is to do next, if anything; holds `_lock`."""
        if worker.jobs:
            return worker.jobs.pop(0)
        if worker.reservations:
            leave = self._may_start() or not all(w.reservations for w in self._idle)
        else:
            leave = surplus
        return self._jobs.popleft() if self._jobs and not leave else None

    def _may_start(self) -> bool:
        return len(self._workers) < self._allowed


def _forget_parent() -> None:
    for executor in members(_all):
        executor._start_empty()


at_fork(Step.THREADS, _forget_parent)


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread, for which an ending interpreter does not wait.

    Raises:
        RuntimeError: The system refuses the thread.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


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
    reserved = ReservedWorker(worker)
    worker.reservations.add(reserved)
    return reserved


def take_idle(idle: list[Worker], *, reserved_too: bool) -> Optional[Worker]:
    """Take a worker out of ``idle``, the last one that is not reserved if there is.

    Args:
        idle: Guarded by the executor's lock, which is held.
        reserved_too: Whether a reserved one will do as well.
    """
    worker = next((w for w in reversed(idle) if not w.reservations), None)
    if worker is None and idle and reserved_too:
        worker = idle[-1]
    if worker is not None:
        idle.remove(worker)
    return worker


class Submitted(Generic[_T]):
    """A job with a `concurrent.futures.Future` for its outcome."""

    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(
        self,
        future: concurrent.futures.Future[_T],
        fn: Callable[..., _T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
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
