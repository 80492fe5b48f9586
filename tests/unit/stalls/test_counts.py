"""Stalls added up."""

from __future__ import annotations

import dataclasses

import pytest

from tornado_unblock import Place, Stall
from tornado_unblock._stalls import counts
from tornado_unblock._stalls.counts import OTHERS, StallCounts

PLACE = Place("orders.py", 7, "load", "query()")
STALL = Stall(
    seconds=1.0,
    over=True,
    kind="handler",
    cause="sleep",
    what="a sleep",
    endpoint="Orders.get",
    place=PLACE,
    advice="put @unblock on class Orders",
)


def test_one_row_for_a_place() -> None:
    """A row has the endpoint, the place, and all that was counted there."""
    kept = StallCounts()
    for seconds in (0.2, 3.0, 0.4):
        kept.add(dataclasses.replace(STALL, seconds=seconds))
    (row,) = kept.get()
    assert (row.endpoint, row.place, row.cause) == ("Orders.get", PLACE, "sleep")
    assert (row.count, row.longest) == (3, 3.0)
    assert row.total == pytest.approx(3.6)
    assert dict(row.histogram.buckets)[0.5] == 2
    assert row.advice == STALL.advice


def test_sorted_by_total() -> None:
    """What costs most comes first."""
    kept = StallCounts()
    kept.add(STALL)
    kept.add(dataclasses.replace(STALL, endpoint="Slow.get", seconds=9.0))
    kept.add(dataclasses.replace(STALL, endpoint="Unseen.get", place=None))
    assert kept.get()[0].endpoint == "Slow.get"
    assert kept.get()[2].place is None


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes when there is no room is counted together, and none is lost."""
    monkeypatch.setattr(counts, "MOST", 2)
    kept = StallCounts()
    for number in range(5):
        kept.add(dataclasses.replace(STALL, endpoint=f"H{number}.get"))
    kept.add(dataclasses.replace(STALL, endpoint="H0.get"))
    rows = {row.endpoint: row for row in kept.get()}
    assert set(rows) == {"H0.get", "H1.get", OTHERS}
    assert [rows[name].count for name in ("H0.get", "H1.get", OTHERS)] == [2, 1, 3]
    others = rows[OTHERS]
    assert (others.place, others.kind, others.cause, others.advice) == (
        None,
        "",
        "",
        "",
    )


def test_clear() -> None:
    """After a fork, and when asked, it begins anew."""
    kept = StallCounts()
    kept.add(STALL)
    kept.clear()
    assert kept.get() == ()
    kept.add(STALL)
    kept.after_fork()
    assert kept.get() == ()
