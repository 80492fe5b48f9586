"""What was seen while it ran, joined to what the source says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

from tornado_unblock._scan.findings import Finding, Report
from tornado_unblock._scan.observed import ObservedError, Stall, rank, read_stalls

Scanned = Callable[..., Report]
TEXT = """
import requests, tornado.web
class A(tornado.web.RequestHandler):
    def get(self):
        requests.get("x")
        self.help()
    def help(self):
        open("x")
class B(tornado.web.RequestHandler):
    def get(self):
        self.db.execute("x")
"""


def totals(findings: list[Finding]) -> list[tuple[str, int, float]]:
    return [(f.what, f.count, f.total) for f in findings]


def test_by_line(scanned: Scanned) -> None:
    """A stall at a finding's own line is its; the longest comes first."""
    report = scanned(TEXT)
    path = next(f.path for f in report.findings if f.what == "open")
    findings, missed = rank(
        report.findings,
        [Stall("A.get", path, 7, 2, 0.5), Stall("A.get", "app.py", 7, 1, 1)],
    )
    assert missed == []
    assert totals(findings)[0] == ("open", 3, 1.5)


@pytest.mark.parametrize(
    ("stall", "what"),
    [
        (Stall("A.get", "app.py", 5, 1, 1), "open"),  # a line of the way
        (Stall("A.get", "", 0, 1, 1), "requests.get"),
        (Stall("app.A.get", "lib.py", 3, 1, 1), "requests.get"),
        (Stall("B.get", "driver.py", 99, 1, 1), "self.db.execute"),
        (Stall("", "app.py", 4, 1, 1), "requests.get"),
    ],
)
def test_by_method(scanned: Scanned, stall: Stall, what: str) -> None:
    """Elsewhere it goes to the method's finding that fits best."""
    findings, missed = rank(scanned(TEXT).findings, [stall])
    assert missed == []
    assert totals(findings)[0] == (what, 1, 1)


def test_certainty(scanned: Scanned) -> None:
    """Ranked is time times certainty."""
    stalls = [Stall("B.get", "", 0, 1, 1.1), Stall("A.get", "", 0, 1, 1)]
    findings, _ = rank(scanned(TEXT).findings, stalls)
    assert [f.what for f in findings[:2]] == ["requests.get", "self.db.execute"]


def test_missed(scanned: Scanned) -> None:
    """What belongs to no finding is given back."""
    stalls = [Stall("C.get", "c.py", 1, 1, 1), Stall("A.post", "", 0, 1, 1)]
    assert rank(scanned(TEXT).findings, stalls)[1] == stalls


def test_read(tmp_path: Path) -> None:
    """Fields that are not known may be missing or null."""
    file = tmp_path / "stalls.json"
    file.write_text(json.dumps([{"count": 1, "total": 2, "file": None, "more": 3}]))
    assert read_stalls(file) == [Stall("", "", 0, 1, 2.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "must be a JSON list"),
        ([1], "stall 0 is no object"),
        ([{"count": 1}], "stall 0 is no object"),
        ([{"count": "x", "total": 1}], "stall 0 is no object"),
    ],
)
def test_wrong(tmp_path: Path, content: Any, message: str) -> None:
    """What is no list of stalls is refused."""
    file = tmp_path / "stalls.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ObservedError, match=message):
        read_stalls(file)


def test_unreadable(tmp_path: Path) -> None:
    """So is a file that is not there, or no JSON."""
    file = tmp_path / "stalls.json"
    with pytest.raises(ObservedError, match="cannot be read"):
        read_stalls(file)
    file.write_text("{")
    with pytest.raises(ObservedError, match="cannot be read"):
        read_stalls(file)
