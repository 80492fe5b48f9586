"""The order service as its users run it: what comes out, and what is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable
from xml.etree import ElementTree

import pytest

from benchmarks.harness import story
from benchmarks.stories.order_service import schema
from benchmarks.stories.order_service.database import Database
from benchmarks.stories.order_service.load import choose
from benchmarks.stories.order_service.settings import STAGES

# Long enough to measure something, short enough to be run often.
QUICK = ["--seconds", "1", "--connections", "4", "--delay", "0.02"]

Tables = Callable[[Database], list[str]]


class Demo:
    """Runs `python -m examples.order_service` and looks for what it leaves behind."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._marker = f"ORDER_SERVICE_TEST={secrets.token_hex(8)}"
        name, value = self._marker.split("=")
        self._environment = {
            **environment,
            name: value,
            "TMPDIR": str(self.temporary),
            "COLUMNS": "200",
        }
        self._environment.pop("DATABASE", None)

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "examples.order_service", *QUICK, *options],
            cwd=self.folder,
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, **environment: str) -> tuple[int, str, str]:
        with self.start(*options, **environment) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def assert_nothing_left(self) -> None:
        assert list(self.temporary.iterdir()) == []
        assert self._processes() == []

    def _processes(self) -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):  # elsewhere there are none
            with contextlib.suppress(OSError):
                if self._marker.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text())
        return found


@pytest.fixture
def demo(child_env: dict[str, str], tmp_path: Path) -> Demo:
    """Return a demo with folders of its own."""
    return Demo(tmp_path, child_env)


def test_run(url: str, demo: Demo) -> None:
    """It ends in a table, a sentence, a chart and a JSON file."""
    chart, results = demo.folder / "deep" / "chart.svg", demo.folder / "results.json"
    options = ["--load", "aiohttp", "--chart", str(chart), "--json", str(results)]
    code, out, err = demo.run("--database", url, *options)
    assert (code, err) == (0, "")
    assert "ping" in out
    assert re.search(
        r"What scan finds in it:\n.*OrderDetailHandler\.get\n.*requests", out
    )
    assert re.search(r"What watch says while it serves an order:\n  \S", out)
    assert f"With {STAGES[-1].title}, the service is " in out
    assert f"Chart: {chart}" in out
    assert ElementTree.parse(chart).getroot().tag.endswith("svg")
    document = json.loads(results.read_text(encoding="utf-8"))
    assert_stages(document)
    assert_story(document)
    assert document["versions"]["load"].startswith("aiohttp ")
    assert document["versions"]["database"].split()[0].lower()[:5] in url
    demo.assert_nothing_left()


def test_run_with_wrk(demo: Demo) -> None:
    """The same numbers come from wrk."""
    if choose("auto") != "wrk":
        pytest.skip("wrk is not installed")
    results = demo.folder / "results.json"
    code, _, err = demo.run("--load", "wrk", "--json", str(results))
    assert (code, err) == (0, "")
    document = json.loads(results.read_text(encoding="utf-8"))
    assert_stages(document)
    assert document["versions"]["load"].startswith("wrk ")
    demo.assert_nothing_left()


def assert_story(document: dict[str, Any]) -> None:
    """The file is also what `examples.bench_app` collects."""
    told = story.parsed(document)
    assert (told.name, told.ok) == ("order_service", True)
    titles = [stage.title for stage in STAGES]
    assert [[row[0] for row in table.rows] for table in told.tables] == [titles] * 2
    assert all(chart.svg.startswith("<svg") for chart in told.charts)
    assert "--json" not in told.commands[0]


def assert_stages(document: dict[str, Any]) -> None:
    assert [stage["name"] for stage in document["stages"]] == [s.name for s in STAGES]
    for stage in document["stages"]:
        assert stage["requests"] > 0
        assert stage["failed"] == 0
        assert stage["success_percent"] == 100
        latency, ping = stage["latency"], stage["ping"]
        assert 0 < latency["mean"] <= latency["max"]
        assert latency["p99"] <= latency["max"]
        assert 0 < ping["median"] <= ping["max"]
    assert document["times_faster"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted(
    demo: Demo, tables: Tables, number: signal.Signals
) -> None:
    """Neither tables nor files nor processes stay, and there is no traceback."""
    file = demo.folder / "orders.sqlite"
    with demo.start("--database", f"sqlite://{file}", "--seconds", "50") as process:
        assert process.stdout is not None
        assert "connections ask for orders" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    assert tables(Database(f"sqlite://{file}", "")) == []
    demo.assert_nothing_left()


def test_stage_that_fails_is_not_reported(demo: Demo, tables: Tables) -> None:
    """Requests that did not succeed are no result, and the exit code says so."""
    file = demo.folder / "orders.sqlite"
    with demo.start("--database", f"sqlite://{file}", "--load", "aiohttp") as process:
        assert process.stdout is not None
        process.stdout.readline()  # the tables are there, the service is not yet
        leave_one_order(file, tables(Database(f"sqlite://{file}", "")))
        out, err = process.communicate()
    assert process.returncode == 1
    assert "'as written' is not reported, for not every request succeeded" in err
    assert "faster" not in out
    assert tables(Database(f"sqlite://{file}", "")) == []
    demo.assert_nothing_left()


def leave_one_order(file: Path, names: list[str]) -> None:
    [orders] = [name for name in names if name.endswith("_orders")]
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"DELETE FROM {orders} WHERE id > ?", (schema.FIRST_ORDER,))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--database", "mysql://root@127.0.0.1:1/test", "MySQL/MariaDB at 127.0.0.1:1"),
        ("--database", "postgres://127.0.0.1:1/test", "PostgreSQL at 127.0.0.1:1"),
        ("--database", "sqlite:///no/such/folder/x", "SQLite at /no/such/folder/x"),
        ("--database", "oracle://db/test", "No database is known by 'oracle'"),
        ("--seconds", "0", "--seconds: must be from 1"),
        ("--delay", "-1", "--delay: must be from 0"),
    ],
)
def test_run_that_cannot_begin(
    demo: Demo, option: str, value: str, message: str
) -> None:
    """A message on stderr, an exit code, no traceback."""
    code, out, err = demo.run(f"{option}={value}")
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    demo.assert_nothing_left()


def test_database_from_the_environment(demo: Demo) -> None:
    """DATABASE does what --database does."""
    code, _, err = demo.run(DATABASE="nonsense://")
    assert code == 2
    assert "No database is known by 'nonsense'" in err


def test_chart_that_cannot_be_written(demo: Demo) -> None:
    """The table is shown before that fails."""
    chart = f"{os.devnull}/chart.svg"
    code, out, err = demo.run("--stages", STAGES[-1].name, "--chart", chart)
    assert code == 1
    assert STAGES[-1].title in out
    assert err.startswith("order_service: Cannot write")


def test_package_that_is_missing(demo: Demo, tmp_path: Path) -> None:
    """Without the `examples` extra, the message says to install it."""
    (tmp_path / "rich.py").write_text(
        "raise ModuleNotFoundError('No module named rich', name='rich')"
    )
    code, _, err = demo.run()
    assert code == 2
    assert "rich is not installed: pip install 'tornado-unblock[examples]'" in err
