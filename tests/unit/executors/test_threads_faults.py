"""A worker executor when things go wrong: errors, leaks, and a lack of threads."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import itertools
import logging
import threading
import weakref

import pytest

from tests.patience import WAIT
from tests.unit.gates import Gate, wait_idle


def raise_(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_job_that_lets_an_error_out(make, expect_log, error):
    """It is logged as critical, and the worker goes on."""
    executor = make(1)
    thread = executor.submit(threading.current_thread).result(WAIT)
    with expect_log(
        "tornado.application",
        "^A job of executor 'test' let an error out$",
        level=logging.CRITICAL,
    ):
        executor.put(functools.partial(raise_, error("job")))
        assert executor.submit(threading.current_thread).result(WAIT) is thread


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_submitted_function_raises_anything(make, error):
    """It arrives in the Future, as with the stdlib's executor."""
    future = make(1).submit(raise_, error)
    assert future.exception(WAIT) is error


class Job:
    """Something to refer to weakly."""

    def __init__(self, error: bool) -> None:
        self.error = error

    def __call__(self) -> None:
        if self.error:
            raise LookupError(self)


@pytest.mark.parametrize("error", [False, True])
def test_idle_worker_keeps_no_reference(make, error):
    """A job, its outcome and all it refers to are free once it is done."""
    executor, job = make(1), Job(error)
    gone = weakref.ref(job)
    gc.disable()
    try:
        future = executor.submit(job)
        concurrent.futures.wait([future], WAIT)
        wait_idle(executor)
        del job, future
        assert gone() is None
    finally:
        gc.enable()


class NoThreads:
    """A system that refuses to start threads from the given one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
        starts, start = itertools.count(), threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if next(starts) >= after:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)


def test_first_thread_is_refused(make, monkeypatch):
    """Who put the job in is told, and nothing is left behind."""
    executor, calls = make(2), []
    with monkeypatch.context() as patch:
        NoThreads(patch)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.put(functools.partial(calls.append, "refused"))
    assert executor.thread_count() == 0
    executor.submit(calls.append, "taken").result(WAIT)
    assert calls == ["taken"]


def test_later_thread_is_refused(make, monkeypatch):
    """The threads there are do the work of those that could not be had."""
    executor, gate = make(2), Gate()
    with monkeypatch.context() as patch:
        NoThreads(patch, after=1)
        executor.put(gate)
        assert gate.wait()
        futures = [executor.submit(threading.current_thread) for _ in range(3)]
        gate.open.set()
        assert {future.result(WAIT) for future in futures} == {gate.thread}
        wait_idle(executor)
    assert executor.thread_count() == 1


def test_thread_count_recovers_after_a_refusal(make, monkeypatch):
    """A refused thread is not counted: the next one is asked for again."""
    executor, first, second = make(2), Gate(), Gate()
    with monkeypatch.context() as patch:
        NoThreads(patch, after=1)
        executor.put(first)
        assert first.wait()
        executor.put(second)
    executor.put(lambda: None)
    assert second.wait()
    first.open.set()
    second.open.set()
