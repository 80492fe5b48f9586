"""Stalls as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.unit.stalls.test_counts import STALL
from tornado_unblock._stalls.counts import StallCounts
from tornado_unblock._stalls.export import to_json, write


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
    counts.add(STALL.__class__(1.0, True, "unknown", "", "", "(unknown)"))
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
