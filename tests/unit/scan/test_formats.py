"""Reports: for a terminal, for programs, for code hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest

from tornado_unblock._scan.findings import Report
from tornado_unblock._scan.formats import FORMATS, as_json, github, sarif, table

Scanned = Callable[..., Report]
TEXT = """
#: file app.py
import requests, tornado.web
from tornado_unblock import unblock
SEEN = {}
class Base(tornado.web.RequestHandler):
    def prepare(self):
        self.load()
    def load(self):
        open("x")
class A(Base):
    async def get(self):
        requests.get("x")
        getattr(self, self.name)()
    @unblock
    def post(self):
        SEEN[1] = requests.get("%,:x")
class B(Base):
    def get(self): pass
class Page(missing.Thing): pass
routes = [("/a%d" % n, A) for n in range(4)] + [("/1", A), ("/2", A), ("/3", A)]
#: file old.py
print "x"
"""


@pytest.fixture
def report(scanned: Scanned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    monkeypatch.chdir(tmp_path)
    return scanned(TEXT)


def test_table(report: Report) -> None:
    """The table has route, endpoint, place and way, and ends in a summary."""
    text = table(report)
    assert "/1, /2 and 1 more  async A.get" in text or "async A.get" in text
    assert "requests.get  [network, seen]" in text
    assert "Base.prepare (app.py:6) -> Base.load (app.py:8)" in text
    assert "also runs in 2 more: A, B" in text
    assert "SEEN is changed by requests (faq.md#are-my-globals-safe)" in text
    assert "old.py:1: is Python 2" in text
    assert "Not followed, in 1 place:" in text
    assert "unblocked by method" not in text
    assert text.endswith(
        "2 handlers in 2 files: 2 block, in 2 methods at 2 lines; 1 has methods that "
        "are unblocked."
    )
    assert "unblocked by method" in table(report, True)


def test_table_is_cut(report: Report) -> None:
    """Long lists are cut, unless all is asked for."""
    report.dark = [("app.py", n, f"what {n}") for n in range(9)]
    report.missing = {f"package{n}": 1 for n in range(12)}
    report.accepted = report.findings[:1]
    short, long = table(report), table(report, True)
    assert "what 7" not in short
    assert "(--verbose shows all)" in short
    assert "package11" not in short
    assert "what 7" in long
    assert "package11" in long
    assert "1 finding accepted" in short


def test_empty() -> None:
    """Nothing to say is said."""
    report = Report()
    assert table(report).startswith("0 handlers in 0 files")
    for name, form in FORMATS.items():
        assert form(report, False) == "" or name != "github"


def test_json(report: Report) -> None:
    """The JSON has all there is, each finding with its way."""
    content = json.loads(as_json(report))
    assert list(content) == [
        "files", "handlers", "findings", "accepted", "notes", "problems",
        "not_followed", "missing",
    ]  # fmt: skip
    first = content["findings"][0]
    assert first["severity"] == 3
    assert first["steps"][0] == {"name": "A.get", "path": first["path"], "line": 11}
    assert len(first["fingerprint"]) == 20
    assert content["problems"][0]["kind"] == "python2"


def test_sarif(report: Report) -> None:
    """SARIF has rules, results with places relative to here, and what was skipped."""
    content = json.loads(sarif(report))
    (run,) = content["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} == rules
    assert {"blocking-network", "blocking-file", "global-write"} <= rules
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "app.py"
    assert place["region"]["startLine"] == 11
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "Python 2" in notification["message"]["text"]


def test_github(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations have one line each, whatever is in them."""
    lines = github(report).splitlines()
    assert lines[0].startswith(
        "::error file=app.py,line=11,title=Blocking%3A network::A.get"
    )
    assert any(line.startswith("::warning") and "Python 2" in line for line in lines)
    assert any(line.startswith("::notice") and "global-write" in line for line in lines)
    monkeypatch.chdir("/")
    assert "app.py" in github(report)


def test_uri_elsewhere(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not below the working directory keeps its path."""
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert f"file={tmp_path.as_posix()}/app.py" in github(report)
