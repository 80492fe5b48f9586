"""The values that say what is known."""

from __future__ import annotations

from tornado_unblock import LoopStatistics, Place


def test_shares() -> None:
    """They are shares of the time watched; unknown where that is not measured."""
    loop = LoopStatistics("m", "selector", 10.0, 5.0, 9, 0.1, 1.0, 2.0, 1, 0.0, None)
    assert (loop.utilization, loop.stalled_share) == (0.5, 0.2)
    new = LoopStatistics("m", "selector", 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0, 0.0, None)
    assert (new.utilization, new.stalled_share) == (0.0, 0.0)


def test_places() -> None:
    """They read like a line of a traceback."""
    assert str(Place("a.py", 3, "f", "query()")) == "a.py:3 in f: query()"
    assert str(Place("a.py", 3, "f", "")) == "a.py:3 in f"
