"""Those that wait for a worker give up in time, whoever else waits."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from tornado_unblock._limits import queue_timeout as _patience
from tornado_unblock._limits.queue_timeout import QueueTimeouts


class Clock:
    """A clock that the test moves, and the timers that were set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def call_later(self, delay: float, fn: Callable[[], None]) -> Any:
        self.timers.append((self.now + delay, fn))
        return object()

    def move(self, seconds: float) -> None:
        """Let time pass, and fire the timers that are due."""
        self.now = round(self.now + seconds, 6)
        due = [fn for when, fn in self.timers if when <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for fn in due:
            fn()


class Waiter:
    def __init__(self) -> None:
        self.gave_up = 0

    def give_up(self) -> None:
        self.gave_up += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_patience, "time", clock)
    return clock


def test_each_gives_up_after_its_own_time(clock):
    """Not before, and once."""
    patience, waiters = QueueTimeouts(10.0, clock.call_later), []
    for _ in range(5):
        waiters.append(Waiter())
        patience.add(waiters[-1])
        clock.move(1)
    for _ in range(5):
        clock.move(0.999)
        before = sum(w.gave_up for w in waiters)
        clock.move(0.001)
        assert sum(w.gave_up for w in waiters) in (before, before + 1)
    clock.move(10)
    assert [w.gave_up for w in waiters] == [1] * 5


def test_one_timer_for_all(clock):
    """However many wait, however many leave; and none when nobody does."""
    patience, waiters = (
        QueueTimeouts(10.0, clock.call_later),
        [Waiter() for _ in range(99)],
    )
    for waiter in waiters:
        patience.add(waiter)
        clock.move(0.001)
        assert len(clock.timers) == 1
    for waiter in waiters[:98]:
        patience.discard(waiter)
    clock.move(9.99)
    assert len(clock.timers) == 1
    assert not waiters[98].gave_up
    clock.move(0.11)
    assert waiters[98].gave_up
    assert clock.timers == []
    assert not any(waiter.gave_up for waiter in waiters[:98])


def test_who_gives_up_may_make_others_leave(clock):
    """One that takes along another, which waits no more."""
    patience = QueueTimeouts(10.0, clock.call_later)
    first, second = Waiter(), Waiter()
    first.give_up = lambda: patience.discard(second)  # type: ignore[method-assign]
    patience.add(first)
    patience.add(second)
    clock.move(10)
    assert not second.gave_up
    patience.add(second)
    clock.move(10)
    assert second.gave_up


def test_a_timer_that_fires_early(clock):
    """Clocks differ a little: it is set again for what is left."""
    patience, waiter = QueueTimeouts(10.0, clock.call_later), Waiter()
    patience.add(waiter)
    [(_, fire)] = clock.timers
    clock.timers.clear()
    clock.move(9.5)
    fire()
    assert not waiter.gave_up
    clock.move(0.5)
    assert waiter.gave_up
