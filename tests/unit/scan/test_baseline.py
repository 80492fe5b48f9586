"""Baselines: what is accepted stays accepted when lines move, and no more than that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest

from tornado_unblock._scan.baseline import BaselineError, split, write_baseline
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]
TEXT = """
import requests, tornado.web
class A(tornado.web.RequestHandler):
    def get(self):
        requests.get("x")
"""


def test_lines_may_move(scanned: Scanned, tmp_path: Path) -> None:
    """A finding is known by its method and its text; one more of the same is new."""
    file = tmp_path / "baseline.json"
    assert write_baseline(scanned(TEXT).findings, file) == 1
    moved = scanned("# moved\n" + TEXT).findings
    assert split(moved, file) == ([], moved)
    twice = scanned(TEXT + '        requests.get("x")\n').findings
    new, known = split(twice, file)
    assert (len(new), len(known)) == (1, 1)
    other = scanned(TEXT + '        requests.put("x")\n').findings
    assert [f.what for f in split(other, file)[0]] == ["requests.put"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no baseline"),
        ("[]", "is no baseline"),
        ("{}", "is no baseline"),
        (json.dumps({"version": 1, "accepted": [1]}), "is no baseline"),
        (json.dumps({"version": 2, "accepted": []}), "another version"),
        (None, "cannot be read"),
    ],
)
def test_no_baseline(tmp_path: Path, text: str | None, message: str) -> None:
    """What is no baseline is refused, with how to make one."""
    file = tmp_path / "baseline.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BaselineError, match=f"{message}.*--write-baseline"):
        split([], file)
