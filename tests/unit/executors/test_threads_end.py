"""The ends of a worker executor: shutdown, fork, and that of the interpreter."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tests.unit.gates import Gate
from tornado_unblock._executors.threads import WorkerExecutor


@pytest.fixture
def executor() -> Iterator[WorkerExecutor]:
    executor = WorkerExecutor(2, "test")
    yield executor
    executor.shutdown(cancel_futures=True)


def in_thread(fn: Callable[..., Any], **kwargs: Any) -> threading.Thread:
    thread = threading.Thread(target=fn, kwargs=kwargs)
    thread.start()
    return thread


@pytest.mark.parametrize("used", [False, True])
def test_nothing_is_taken_after_shutdown(executor, used):
    """The refusal is a RuntimeError, as with the stdlib's executor."""
    if used:
        executor.submit(int).result(WAIT)
    executor.shutdown()
    executor.shutdown()
    with pytest.raises(RuntimeError, match="'test' is shut down"):
        executor.put(int)
    with pytest.raises(RuntimeError, match="'test' is shut down"):
        executor.submit(int)
    assert executor.thread_count() == 0


def test_shutdown_waits_for_all_that_was_put(executor):
    """It returns when the last job has run and the last worker has ended."""
    gates = [Gate(), Gate(), Gate()]
    futures = [executor.submit(gate) for gate in gates]
    assert gates[0].wait()
    assert gates[1].wait()
    thread = in_thread(executor.shutdown)
    for gate in gates:
        assert thread.is_alive()
        gate.open.set()
    thread.join(WAIT)
    assert all(future.done() for future in futures)
    assert executor.thread_count() == 0


class SlowStart(WorkerExecutor):
    """An executor whose workers take their time to start."""

    def __init__(self) -> None:
        super().__init__(2, "slow")
        self.may_start = threading.Event()

    def _work(self, worker: Any) -> None:
        assert self.may_start.wait(WAIT)
        super()._work(worker)


def test_shutdown_waits_for_workers_that_start_meanwhile(monkeypatch):
    """A worker that the one before it wakes after the call counts as well."""
    executor, gates = SlowStart(), [Gate(), Gate()]
    for gate in gates:
        executor.put(gate)
    waiting, join = threading.Event(), threading.Thread.join
    with monkeypatch.context() as patch:
        patch.setattr(
            threading.Thread, "join", lambda t, *a: waiting.set() is None and join(t)
        )
        thread = in_thread(executor.shutdown)
        assert waiting.wait(WAIT)
    executor.may_start.set()
    assert all(gate.wait() for gate in gates)
    gates[0].open.set()
    thread.join(0.1)  # time enough to return too early
    waits = thread.is_alive()
    gates[1].open.set()
    thread.join(WAIT)
    executor.shutdown()
    assert waits


def test_shutdown_without_waiting(executor):
    """It returns at once; what was put in is done all the same."""
    gates = [Gate(), Gate(), Gate()]
    futures = [executor.submit(gate) for gate in gates]
    executor.shutdown(wait=False)
    for gate in gates:
        gate.open.set()
    assert not concurrent.futures.wait(futures, WAIT).not_done


def test_shutdown_may_cancel(executor):
    """What has not started is dropped, and its Future cancelled."""
    gates, calls = [Gate(), Gate()], []
    running = [executor.submit(gate) for gate in gates]
    for gate in gates:
        assert gate.wait()
    waiting = executor.submit(calls.append, "submitted")
    executor.put(lambda: calls.append("put"))
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    for gate in gates:
        gate.open.set()
    executor.shutdown()
    assert [future.result(0) for future in running] == ["held", "held"]
    assert calls == []


def test_shutdown_by_a_worker(executor):
    """A worker that shuts its executor down does not wait for itself."""
    executor.submit(executor.shutdown).result(WAIT)
    with pytest.raises(RuntimeError, match="shut down"):
        executor.put(int)


FORK = """
import os
import threading
from tornado_unblock._executors.threads import WorkerExecutor

executor = WorkerExecutor(2, "test")
gate = threading.Event()
executor.put(gate.wait)
executor.put(gate.wait)
waiting = executor.submit(print, "of the parent", flush=True)
child = os.fork()
if not child:
    assert executor.thread_count() == 0
    futures = [executor.submit(pow, 2, n) for n in range(10)]
    assert [future.result(10) for future in futures] == [2**n for n in range(10)]
    assert 1 <= executor.thread_count() <= 2
    assert not waiting.done()
    executor.shutdown()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert executor.thread_count() == 2
gate.set()
waiting.result(10)
executor.shutdown()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork")
def test_fork(run_program):
    """A child has the same executor, empty; the parent's goes on."""
    assert run_program(FORK) == "of the parent\n"


FORK_UNDER_LOCK = """
import os
import threading
from tornado_unblock._executors.threads import WorkerExecutor

executor = WorkerExecutor(1, "test")
with executor._lock:
    child = os.fork()
    if not child:
        assert executor.submit(int, "7").result(10) == 7
        os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork")
def test_fork_while_a_thread_submits(run_program):
    """A lock that is held at the moment of the fork does not stop the child."""
    run_program(FORK_UNDER_LOCK)


EXIT = """
import threading
from tornado_unblock._executors.threads import WorkerExecutor

executor = WorkerExecutor(2, "test")
running = threading.Event()

def forever():
    running.set()
    threading.Event().wait()

executor.submit(int).result(10)
executor.put(forever)
running.wait(10)
print("ends")
"""


def test_interpreter_does_not_wait_for_workers(run_program):
    """Neither a busy worker nor an idle one holds up the end of the process."""
    assert run_program(EXIT) == "ends\n"
