"""Claimed workers: kept for what depends on their thread, and lent to others last."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

from tests.patience import WAIT
from tests.unit.gates import Gate, lending, wait_idle
from tornado_unblock._executors.threads import (
    ReservedWorker,
    Worker,
    WorkerExecutor,
    reserve_worker,
)


def claim_one(executor: WorkerExecutor) -> ReservedWorker:
    """Return a claim of a worker that idles by now."""
    claim = executor.submit(reserve_worker).result(WAIT)
    wait_idle(executor)
    assert claim is not None
    return claim


def where(executor: WorkerExecutor) -> Any:
    return executor.submit(threading.current_thread).result(WAIT)


class Note:
    """A job that notes its thread."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.thread: Any = None

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.done.set()

    def wait(self) -> Any:
        assert self.done.wait(WAIT)
        return self.thread


def never() -> None:
    raise AssertionError


def test_only_workers_can_be_claimed():
    """Any other thread is nobody's to keep."""
    assert reserve_worker() is None


def test_claimed_worker_is_not_used_for_others(make):
    """Another one is started instead, and used from then on."""
    executor = make(3)
    claim = claim_one(executor)
    others = set()
    for _ in range(3):
        others.add(where(executor))
        wait_idle(executor)
    assert len(others) == 1
    assert claim.worker.thread not in others


def test_claimed_worker_leaves_work_to_others(make):
    """Also what waits when it has ended a job of its own."""
    executor, gate, note, claims = make(2), Gate(), Note(), []

    def job() -> None:
        claims.append(reserve_worker())
        gate()

    executor.put(job)
    assert gate.wait()
    with executor._lock:
        executor._jobs.append(note)
    gate.open.set()
    assert note.wait() is not gate.thread


def test_claimed_worker_serves_when_there_is_no_other(make):
    """A claim is a wish: it never makes an executor smaller."""
    executor = make(1)
    claim = claim_one(executor)
    assert where(executor) is claim.worker.thread
    gate, second = Gate(), Gate()
    executor.put(gate)
    assert gate.wait()
    executor.put(second)
    gate.open.set()
    assert second.wait()
    second.open.set()


def test_released_worker_is_reused(make):
    """A claim ends when nobody holds it any more."""
    executor = make(3)
    claim = claim_one(executor)
    thread, gone = claim.worker.thread, weakref.ref(claim)
    other = where(executor)
    wait_idle(executor)
    gate = Gate()
    executor.put(gate)
    assert gate.wait()
    del claim
    gc.collect()
    assert gone() is None
    assert where(executor) is thread is not other
    gate.open.set()


def test_claims_of_one_worker_add_up(make):
    """It is free when the last one has ended."""
    executor = make(1)

    def twice() -> list[Any]:
        return [reserve_worker(), reserve_worker()]

    claims = executor.submit(twice).result(WAIT)
    worker = claims[0].worker
    assert len(worker.reservations) == 2
    del claims[0]
    assert len(worker.reservations) == 1
    claims.clear()
    gc.collect()
    assert not worker.reservations


def test_work_for_a_claimed_worker(make):
    """It is woken for it, though another idles that would be taken first."""
    executor = make(3)
    claim = claim_one(executor)
    where(executor)
    wait_idle(executor)
    note = Note()
    assert executor.put_on(claim, note, never)
    assert note.wait() is claim.worker.thread


def test_work_for_a_busy_worker(make):
    """It comes next there, before what others have asked for earlier."""
    executor, gate, order = make(1), Gate(), []
    claim = claim_one(executor)
    executor.put(gate)
    assert gate.wait()
    last = executor.submit(order.append, "other")
    assert not executor.put_on(claim, never, lambda: order.append("own"))
    gate.open.set()
    last.result(WAIT)
    assert order == ["own", "other"]


def test_work_for_a_worker_that_is_gone(make):
    """Any other does it."""
    first, second = make(1), make(1)
    claim, note = claim_one(first), Note()
    assert second.put_on(claim, note, never)
    assert note.wait() is not claim.worker.thread


def test_closed_executor_takes_no_work_for_anyone(make):
    """As with other work."""
    executor = make(1)
    claim = claim_one(executor)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.put_on(claim, never, never)


def test_work_for_a_worker_is_dropped_with_the_rest(make):
    """By a shutdown that cancels."""
    executor, gate = make(1), Gate()
    claim = claim_one(executor)
    executor.put(gate)
    assert gate.wait()
    assert not executor.put_on(claim, never, never)
    executor.shutdown(wait=False, cancel_futures=True)
    gate.open.set()
    executor.join()
    assert executor.thread_count() == 0


def test_idle_claimed_worker_stays(make):
    """However long it idles; then it ends as others do."""
    executor = make(2, idle_seconds=0.001)
    claim = claim_one(executor)
    wait_idle(executor, 3)  # it has idled long enough as often
    thread = claim.worker.thread
    assert executor.thread_count() == 1
    note = Note()
    executor.put_on(claim, note, note)
    assert note.wait() is thread
    del claim
    gc.collect()
    thread.join(WAIT)
    assert executor.thread_count() == 0


def test_system_that_refuses_another_thread(make, monkeypatch):
    """Then a claimed worker will do, rather than none."""
    executor = make(2)
    claim = claim_one(executor)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert where(executor) is claim.worker.thread


def refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_thread_too_many_that_is_claimed(make):
    """It stays; another goes in its place."""
    executor, claims = make(1), []

    def job() -> Worker:
        claim = reserve_worker()
        assert claim is not None
        claims.append(claim)
        with lending(executor):
            lent = where(executor)
            wait_idle(executor)
        lent_ends.append(lent)
        return claim.worker

    lent_ends: list[Any] = []
    worker = executor.submit(job).result(WAIT)
    wait_idle(executor)
    note = Note()
    executor.put_on(claims[0], note, note)
    assert note.wait() is worker.thread
    # The lent thread takes the next job, finds itself one too many, and ends.
    assert where(executor) in (worker.thread, lent_ends[0])
