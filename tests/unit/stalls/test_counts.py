"""Stalls added up, and as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tornado_unblock import Place, Stall
from tornado_unblock._stalls import counts
from tornado_unblock._stalls.counts import OTHERS, StallCounts, to_json, write

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
        kept.add(STALL._replace(seconds=seconds))
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
    kept.add(STALL._replace(endpoint="Slow.get", seconds=9.0))
    kept.add(STALL._replace(endpoint="Unseen.get", place=None))
    assert kept.get()[0].endpoint == "Slow.get"
    assert kept.get()[2].place is None


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes when there is no room is counted together, and none is lost."""
    monkeypatch.setattr(counts, "MOST", 2)
    kept = StallCounts()
    for number in range(5):
        kept.add(STALL._replace(endpoint=f"H{number}.get"))
    kept.add(STALL._replace(endpoint="H0.get"))
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


def test_to_json() -> None:
    """A list of objects: what a scan reads."""
    counts = StallCounts()
    counts.add(STALL)
    (row,) = json.loads(to_json(counts.get()))
    assert row == {
        "endpoint": "Orders.get",
        "file": os.path.abspath("orders.py"),
        "line": 7,
        "function": "load",
        "count": 1,
        "total": 1.0,
        "longest": 1.0,
        "kind": "handler",
        "cause": "sleep",
    }


def test_unseen() -> None:
    """A stall nobody saw has no place."""
    counts = StallCounts()
    counts.add(Stall(1.0, True, "unknown", "", "", "(unknown)"))
    (row,) = json.loads(to_json(counts.get()))
    assert (row["file"], row["line"], row["function"]) == ("", 0, "")


def test_write(tmp_path: Path) -> None:
    """The file is there as a whole, or as it was."""
    path = tmp_path / "stalls.json"
    path.write_text("before")
    write([], str(path))
    assert json.loads(path.read_text()) == []
    assert os.listdir(tmp_path) == ["stalls.json"]
    with pytest.raises(OSError, match="missing"):
        write([], str(tmp_path / "missing" / "stalls.json"))


def test_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """What cannot be put in its place is removed."""
    (tmp_path / "stalls.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write([], str(tmp_path / "stalls.json"))
    assert os.listdir(tmp_path) == ["stalls.json"]
