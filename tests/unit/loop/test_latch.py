"""A wait for the loop thread ends, one way or another."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tornado_unblock import LoopClosedError
from tornado_unblock._loop import latch as _latch
from tornado_unblock._loop.latch import Answer, Latch, interpreter_is_ending


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Lock:
    """A lock that notes how long it is waited for, and passes the time at once."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def acquire(self, timeout: float) -> bool:
        assert timeout >= 0  # less means: for ever
        self.waits.append(timeout)
        self.then()
        return False


def latch_on(lock: Any) -> Latch:
    latch = Latch()
    latch._lock = lock
    return latch


def test_opened_before_the_wait(loop):
    """Who comes late does not wait, however often it was opened and is asked."""
    latch = Latch()
    latch.open()
    latch.open()
    assert latch.wait(loop)
    assert latch.wait(loop, 0.001)


def test_opened_during_the_wait(loop):
    """The waiting thread goes on."""
    latch, waiting, outcome = Latch(), threading.Event(), []

    def wait() -> None:
        waiting.set()
        outcome.append(latch.wait(loop, WAIT))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(WAIT)
    latch.open()
    thread.join(WAIT)
    assert outcome == [True]


def test_opened_again_as_the_wait_ends(loop):
    """Any number of times means at any time, too."""

    class Reopened:
        """A lock that is released once more as soon as the waiter has it."""

        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.release = self.lock.release

        def acquire(self, timeout: float) -> bool:
            acquired = self.lock.acquire(timeout=timeout)
            latch.open()
            return acquired

    latch = latch_on(Reopened())
    assert latch.wait(loop)
    assert latch.wait(loop)


@pytest.mark.parametrize(
    ("timeout", "waits"),
    [
        (0.2, [0.2]),
        (0.5, [0.5]),
        (1.25, [0.5, 0.5, 0.25]),
        (0.0, [0.0]),
        (-1.0, [0.0]),
    ],
)
def test_timeout(loop, timeout, waits):
    """It waits as long as it was told, in steps, and then says that it gave up."""
    lock = Lock()
    assert not latch_on(lock).wait(loop, timeout)
    assert lock.waits == waits


def test_timeout_in_real_time(loop):
    """A latch that nobody opens is given up in time."""
    assert not Latch().wait(loop, 0.05)


@pytest.mark.parametrize("timeout", [None, 100.0])
def test_loop_closes(loop, timeout):
    """The waiter is told of it when it looks next, in half a second at most."""
    lock = Lock()
    lock.then = lambda: len(lock.waits) == 3 and loop.close()
    with pytest.raises(LoopClosedError, match=r"event loop .* is closed"):
        latch_on(lock).wait(loop, timeout)
    assert lock.waits == [0.5, 0.5, 0.5]


def test_interpreter_ends(loop, monkeypatch):
    """The loop may never be closed then: nobody is left to do it."""
    monkeypatch.setattr(_latch, "interpreter_is_ending", lambda: True)
    with pytest.raises(LoopClosedError):
        latch_on(Lock()).wait(loop)


def test_opened_latch_of_a_closed_loop(loop):
    """What was given before the end is taken all the same."""
    latch = Latch()
    latch.open()
    loop.close()
    assert latch.wait(loop)


def test_interpreter_is_not_ending():
    """As long as the main thread runs it is not, whoever asks."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(interpreter_is_ending()))
    thread.start()
    thread.join(WAIT)
    assert outcome == [False]


def test_answer_is_given(loop):
    """What the function returns comes out at the other end."""
    answer = Answer(divmod, (7, 2))
    answer.give()
    assert answer.latch.wait(loop, WAIT)
    assert answer.take() == (3, 1)


def test_answer_is_withdrawn():
    """Nothing runs for who has given up waiting."""
    calls: list[int] = []
    answer = Answer(calls.append, (1,))
    assert answer.withdraw()
    answer.give()
    assert calls == []


def test_answer_is_withdrawn_too_late(loop):
    """Once it is being given it must be taken."""
    answer = Answer(int, ("7",))
    answer.give()
    assert not answer.withdraw()
    assert answer.take() == 7


class Error(Exception):
    """Something to refer to weakly."""


def fail() -> None:
    raise Error("it failed")


def test_answer_is_an_error():
    """It is raised where it is taken, and is part of no reference cycle."""
    answer = Answer(fail, ())
    answer.give()
    gc.disable()
    try:
        with pytest.raises(Error, match="it failed") as caught:
            answer.take()
        gone = weakref.ref(caught.value)
        assert caught.traceback[-1].name == "fail"
        del caught
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [Error, asyncio.CancelledError, SystemExit])
def test_waiter_is_told_of_any_error(loop, error):
    """A function that raises does not leave the worker waiting, whatever it is."""

    def fail() -> None:
        raise error

    answer = Answer(fail, ())
    with contextlib.suppress(SystemExit):  # that one stops the loop as well
        answer.give()
    assert answer.latch.wait(loop, WAIT)
    with pytest.raises(error):
        answer.take()
