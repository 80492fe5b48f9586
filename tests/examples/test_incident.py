"""The incident: what happens is on the page, and what is read there is right."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.errors import SetupError
from benchmarks.stories.incident import cli, reading, runner
from benchmarks.stories.incident.customers import CUSTOMERS
from benchmarks.stories.order_service.database import Database
from examples.incident import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "incident.md"


def line_of_the_query() -> int:
    """Return the line on which the shop waits for its database."""
    lines = Path(app.__file__).read_text(encoding="utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if "connection.execute(" in line]
    return number


@pytest.mark.timeout(400)
def test_run(
    url: str,
    capsys: pytest.CaptureFixture[str],
    tables: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each minute is told, and the line on which the bodies stand; nothing is left."""
    own = secrets.token_hex(4)
    monkeypatch.setattr(secrets, "token_hex", lambda size: own)
    code = cli.main(["--database", url, "--minute", "0.5"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    minutes = out.split("\n\n03:")[1:]
    assert [m.splitlines()[0][4:] for m in minutes] == [m.text for m in runner.MINUTES]
    at = f"app.py:{line_of_the_query()} in Orders.get"
    conclusions = [m.rstrip().rpartition("=> ")[2] for m in minutes]
    assert at in out
    assert conclusions[4].startswith("Queries do not come back: bodies hang at ")
    assert conclusions[-1] == "All is well."
    for minute in minutes:
        assert all(f"customers    {path}: " in minute for path in CUSTOMERS)
        assert not re.search(r"/(?:catalog|health): .*got [^2]", minute)
    assert tables(Database(url, f"incident_{own}_")) == []


@pytest.mark.timeout(200)
def test_pictures(tmp_path: Path) -> None:
    """There is one of the page, in the folder that is asked for."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    taken = cli.Pictures(tmp_path / "deep")
    (tmp_path / "page.html").write_text("<p>the page")
    taken.take(7, (tmp_path / "page.html").as_uri())
    assert (tmp_path / "deep" / "03-07.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_browser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is said before anything begins."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert cli.main(["--pictures", str(tmp_path)]) == SetupError.exit_code
    assert "need chromium" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oracle://x/y", "No database is known"),
        ("sqlite:///nowhere/at/all", "The database cannot be used: unable to open"),
    ],
)
def test_database_that_is_not_there(
    url: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with a message, and no traceback."""
    assert cli.main(["--database", url]) == 2
    assert message in capsys.readouterr().err


def test_a_page_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails, and says at which minute."""
    minute = runner.Minute(0.01, "Nothing.", lambda now, before: False, "elephants")
    monkeypatch.setattr(runner, "MINUTES", (minute,))
    monkeypatch.setattr(runner, "PATIENCE", 0.1)
    assert cli.main(["--minute", "0.1"]) == 1
    assert "Nothing. But the page shows no elephants." in capsys.readouterr().err


# -- what is read --------------------------------------------------------------------


def snapshot(**changes: Any) -> reading.Snapshot:
    """Return a page on which all is well, but for the changes."""
    loop = {"name": "MainThread", "busy": 1.0, "watched": 10.0, "stalled": False}
    db = {
        **{"name": "db", "borrowed_tokens": 0, "total_tokens": 8, "waiting": 0},
        "oldest_waiter": None,
    }
    orders = {
        **{"executor": "db", "name": "Orders.get", "completed": 10, "failed": 0},
        **{"timed_out": 0, "abandoned": 0, "rejected": {}},
    }
    page = {"loops": [loop], "executors": [db], "endpoints": [orders], "bodies": []}
    page.update({"abandoned": [], "stalled": [], **changes})
    return page


AT = {"file": "/srv/shop/app.py", "line": 19, "function": "Orders.get"}
BODY = {"endpoint": "Orders.get", "seconds": 1.5, "at": AT, "begun": True}
WAITS = {
    **{"name": "db", "borrowed_tokens": 7, "total_tokens": 8, "waiting": 3},
    "oldest_waiter": 0.8,
}
REJECTS = {
    **{"executor": "db", "name": "Orders.get", "completed": 12, "failed": 1},
    **{"timed_out": 2, "abandoned": 2, "rejected": {"full": 4, "client_gone": 1}},
}
STALL = {"endpoint": "Stock.get", "what": "a query to a database"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "All is well."),
        ({"stalled": [STALL]}, "The loop itself stands still: Stock.get, a query to"),
        (
            {"abandoned": [BODY]},
            "Queries do not come back: bodies hang at app.py:19 in Orders.get.",
        ),
        (
            {"executors": [WAITS], "bodies": [BODY]},
            "The database is slow: workers of db are at app.py:19 in Orders.get, and "
            "orders wait.",
        ),
        (
            {"executors": [WAITS], "bodies": [BODY], "endpoints": [REJECTS]},
            "The database is slow: workers of db are at app.py:19 in Orders.get, and "
            "more is asked than it serves.",
        ),
        ({"endpoints": [REJECTS]}, "It is over: nobody waits, and no body hangs"),
    ],
)
def test_conclusions(changes: Any, text: str) -> None:
    """From each state of the page one thing follows."""
    assert reading.conclusion(snapshot(**changes), snapshot()).startswith(text)


def test_lines() -> None:
    """Counts are of the minute; what is not there is not told."""
    assert reading.lines(snapshot(), snapshot()) == [
        "event loop   MainThread: - busy",
        "executor     db: 0 of 8 workers busy",
        "endpoint     Orders.get: 0 ended",
    ]
    loop = {"name": "MainThread", "busy": 3.0, "watched": 20.0, "stalled": True}
    body = {**BODY, "at": None}
    now = snapshot(
        **{"loops": [loop, {**loop, "name": "new", "busy": None}], "bodies": [BODY]},
        **{"executors": [WAITS], "endpoints": [REJECTS], "abandoned": [body]},
    )
    assert reading.lines(now, snapshot()) == [
        "event loop   MainThread: 20% busy, STALLED",
        "event loop   new: - busy, STALLED",
        "executor     db: 7 of 8 workers busy, 3 wait, the first for 0.8 s",
        "endpoint     Orders.get: 2 ended, 1 failed, 2 timed out, 2 abandoned, "
        "5 rejected",
        "running      1, the oldest Orders.get for 1.5 s, at app.py:19 in Orders.get",
        "abandoned    1, the oldest Orders.get for 1.5 s, at its end",
    ]


# -- the page of the documentation -----------------------------------------------------


def test_the_page_tells_the_same() -> None:
    """It has each minute, and the line on which the shop waits."""
    page = PAGE.read_text(encoding="utf-8")
    heads = re.findall(r"^03:\d\d  (.*)$", page, re.MULTILINE)
    assert heads == [minute.text for minute in runner.MINUTES]
    assert set(re.findall(r"app\.py:(\d+)", page)) == {str(line_of_the_query())}
