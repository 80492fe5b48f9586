"""The worker executor: a ThreadPoolExecutor whose threads come, go and are reused."""

from __future__ import annotations

import concurrent.futures
import re
import threading
from typing import Any

import pytest

from tests.patience import WAIT
from tests.unit.gates import Gate, lending, wait_idle
from tornado_unblock._executors import threads as _workers


class HighWater:
    """Counts who is inside, and remembers the most there ever were."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exc_info: object) -> None:
        with self.lock:
            self.now -= 1


def test_is_a_thread_pool_executor(make):
    """To its users it is the stdlib's, in type and in use."""
    executor = make(2)
    assert isinstance(executor, concurrent.futures.ThreadPoolExecutor)
    assert executor.submit(pow, 2, exp=3).result(WAIT) == 8
    assert list(executor.map(str, [1, 2, 3])) == ["1", "2", "3"]
    error = executor.submit(int, "x").exception(WAIT)
    assert isinstance(error, ValueError)
    with executor:
        future = executor.submit(threading.current_thread)
    assert re.fullmatch(r"unblock-test-\d", future.result(0).name)
    assert future.result(0).daemon


def test_cancel(make):
    """What waits for a worker can be cancelled and never runs; what runs cannot."""
    executor, gate, calls = make(1), Gate(), []
    running = executor.submit(gate)
    waiting = executor.submit(calls.append, 1)
    assert gate.wait()
    assert not running.cancel()
    assert waiting.cancel()
    gate.open.set()
    assert executor.submit(lambda: calls[:]).result(WAIT) == []


@pytest.mark.parametrize(("max_workers", "jobs"), [(1, 5), (4, 40), (50, 100)])
def test_as_many_at_once_as_there_are_workers(make, max_workers, jobs):
    """Blocking jobs run `max_workers` at a time, no fewer and no more."""
    executor, inside = make(max_workers), HighWater()
    barrier = threading.Barrier(max_workers)

    def job() -> None:
        with inside:
            barrier.wait(WAIT)

    futures = [executor.submit(job) for _ in range(jobs)]
    for future in futures:
        future.result(WAIT)
    assert inside.most == max_workers == executor.thread_count()


def test_jobs_start_in_order(make):
    """First in, first out."""
    executor, gate, order = make(1), Gate(), []
    executor.put(gate)
    futures = [executor.submit(order.append, number) for number in range(100)]
    gate.open.set()
    concurrent.futures.wait(futures, WAIT)
    assert order == list(range(100))


def test_sequential_jobs_use_one_thread(make):
    """No second worker is started while the first one idles."""
    executor, threads = make(10), set()
    for _ in range(20):
        threads.add(executor.submit(threading.get_ident).result(WAIT))
        wait_idle(executor)
    assert len(threads) == executor.thread_count() == 1


def test_last_idle_worker_is_reused_first(make):
    """Last in, first out: the others can go on idling until they end."""
    executor, gates = make(3), [Gate(), Gate(), Gate()]
    for gate in gates:
        executor.put(gate)
        assert gate.wait()
    for gate in gates:
        gate.open.set()
        wait_idle(executor)
    for _ in range(5):
        thread = executor.submit(threading.current_thread).result(WAIT)
        wait_idle(executor)
        assert thread is gates[-1].thread


def test_idle_workers_end(make):
    """A worker that has idled long enough is gone; the next job gets a new one."""
    executor = make(2, idle_seconds=0.001)
    for _ in range(2):
        thread = executor.submit(threading.current_thread).result(WAIT)
        thread.join(WAIT)
        assert not thread.is_alive()
        assert executor.thread_count() == 0


def test_worker_woken_as_its_wait_ends(make, monkeypatch):
    """A job that comes at the very moment at which a worker gives up is run by it."""
    executor, ran = make(1), threading.Event()

    class LateLock:
        """A lock of which a timed wait ends just before its release."""

        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.acquire, self.release = self.lock.acquire, self.lock.release

        def wait(self, timeout: float = -1) -> bool:
            if timeout != -1 and not ran.is_set():
                executor.put(ran.set)
                return False
            return self.lock.acquire(timeout=timeout)

    class LateWorker(_workers.Worker):
        def __init__(self) -> None:
            super().__init__()
            lock = self.wake_up = LateLock()
            lock.acquire()
            lock.acquire = lock.wait

    monkeypatch.setattr(_workers, "Worker", LateWorker)
    executor.put(lambda: None)
    assert ran.wait(WAIT)
    assert executor.thread_count() == 1


def test_lent_worker(make):
    """While a worker lends itself one more thread runs, and not afterwards."""
    executor = make(1)

    def job() -> tuple[Any, Any]:
        with lending(executor):
            nested = executor.submit(threading.current_thread).result(WAIT)
            wait_idle(executor)
            return threading.current_thread(), nested

    lender, lent = executor.submit(job).result(WAIT)
    assert lender is not lent
    lender.join(WAIT)
    assert executor.thread_count() == 1
    assert executor.submit(threading.current_thread).result(WAIT) is lent


def test_thread_too_many_takes_no_more_work(make):
    """What a lent thread leaves undone is for the workers that stay."""
    executor, lent, last = make(1), Gate(), []

    def job() -> threading.Thread:
        with lending(executor):
            executor.put(lent)
            assert lent.wait()
        last.append(executor.submit(threading.current_thread))
        lent.open.set()
        lent.thread.join(WAIT)
        return threading.current_thread()

    lender = executor.submit(job).result(WAIT)
    assert last[0].result(WAIT) is lender


def test_thread_too_many_wakes_another(make):
    """One that is woken only to end passes the work on to one that idles."""
    executor, nested = make(2), [Gate(), Gate()]

    def job() -> Any:
        with lending(executor):
            for gate in nested:
                executor.put(gate)
                assert gate.wait()
            for gate in nested:
                gate.open.set()
                wait_idle(executor)
        return executor.submit(threading.current_thread).result(WAIT)

    assert executor.submit(job).result(2 * WAIT) is nested[0].thread


def test_lending_starts_what_waits_already(make):
    """The one more thread serves what was put in before, too."""
    executor, waiting = make(1), threading.Event()

    def job() -> bool:
        executor.put(waiting.set)
        with lending(executor):
            return waiting.wait(WAIT)

    assert executor.submit(job).result(WAIT)
