"""What is known of things that come and go on other threads."""

from __future__ import annotations

import threading
import weakref

from tests.patience import WAIT
from tornado_unblock._loop.weak import members


class Thing:
    pass


def test_what_lives() -> None:
    """What is gone is left out."""
    known: weakref.WeakSet[Thing] = weakref.WeakSet()
    kept, dropped = Thing(), Thing()
    known.update((kept, dropped))
    assert set(members(known)) == {kept, dropped}
    del dropped
    assert members(known) == [kept]


def test_added_to_meanwhile() -> None:
    """Another thread adds all the time: nobody who looks is disturbed."""
    known: weakref.WeakSet[Thing] = weakref.WeakSet()
    end, things = threading.Event(), [Thing() for _ in range(100)]

    def add() -> None:
        while not end.is_set():
            for thing in things:
                known.add(thing)
            for thing in things:
                known.discard(thing)

    thread = threading.Thread(target=add)
    thread.start()
    try:
        for _ in range(2000):
            assert set(members(known)) <= set(things)
    finally:
        end.set()
        thread.join(WAIT)
