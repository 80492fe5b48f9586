"""The migration's steps: real servers, a real database, the report as a script."""

from __future__ import annotations

import concurrent.futures
import contextlib
import difflib
import functools
import json
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.stories.migration import calls
from benchmarks.stories.migration.runner import Running, started
from benchmarks.stories.migration.schema import BIG, SMALL
from benchmarks.stories.migration.steps import ASYNC, DUAL, INLINE, NATIVE, STEPS, Step
from tests.docs.pages import DOCS, blocks

REPORT = """\
Hamlet           55      1771.00 EUR
Macbeth           3       115.92 EUR
"""


@pytest.fixture(params=STEPS, ids=lambda step: step.name)
def running(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    child_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Running]:
    """Start each step in turn."""
    monkeypatch.chdir(tmp_path)  # the children import the installed library
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    with started(request.param, tmp_path / "desk", delay=0.0) as desk:
        yield desk


def rows(desk: Running, query: str) -> list[tuple[object, ...]]:
    path = desk.environment["TICKETS_DATABASE"]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def partner_calls(desk: Running) -> dict[str, int]:
    with urllib.request.urlopen(f"{desk.partner}/calls") as response:
        return dict(json.load(response))


def body(response: bytes) -> dict[str, object]:
    return dict(json.loads(response.partition(b"\r\n\r\n")[2]))


def status(response: bytes) -> int:
    return int(response.split()[1])


# -- what the desk does ------------------------------------------------------------


def test_answers(running: Running) -> None:
    """Each call has its outcome, one busy partner notwithstanding."""
    found = calls.answers(running.url)
    good = [200] * 12
    good[11] = 409
    assert list(map(status, found)) == [*good, 200, 404, 500, 400, 200, 200, 405]
    assert body(found[0]) == {
        "number": 1,
        "code": f"{BIG}/1/call-0",
        "cents": 3500,
        "euros": 32.2,
    }
    assert body(found[12])["number"] == 12  # that of the booking that was undone
    assert body(found[16]) == {
        "takings": [
            {"title": "Hamlet", "seats": 55, "euros": 1771.0},
            {"title": "Macbeth", "seats": 3, "euros": 115.92},
        ]
    }


def test_both_statements_or_none(running: Running) -> None:
    """A booking without a seat left is undone, and the next one is not."""
    found = [
        status(calls.ask(running.url, *calls.book(SMALL, seats), f"call-{seats}"))
        for seats in (2, 7, 1)
    ]
    assert found == [200, 409, 200]
    assert rows(running, "SELECT number, seats FROM bookings") == [(1, 2), (2, 1)]
    assert rows(running, f"SELECT free FROM shows WHERE name = '{SMALL}'") == [(0,)]


def test_who_asks_is_known_everywhere(running: Running) -> None:
    """The context variable reaches the partner and the database, never another's."""
    names = [f"caller {number:02}" for number in range(16)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as clients:
        booked = functools.partial(calls.ask, running.url, *calls.book(BIG, 1))
        found = list(clients.map(booked, names))
    assert [body(each)["code"] for each in found] == [
        f"{BIG}/1/{name}" for name in names
    ]
    query = "SELECT code, asked_by FROM bookings ORDER BY asked_by"
    assert rows(running, query) == [(f"{BIG}/1/{name}", name) for name in names]
    assert rows(running, f"SELECT free FROM shows WHERE name = '{BIG}'") == [(999984,)]


def test_rate_is_kept(running: Running) -> None:
    """The partner is asked for the rate once, however many book."""
    for number in range(3):
        calls.ask(running.url, *calls.book(BIG, 1), f"call-{number}")
    assert partner_calls(running) == {"/rate": 1, "/reserve": 3}


def test_report(running: Running) -> None:
    """The script needs no server, and prints what the handlers answer."""
    calls.answers(running.url)
    before = partner_calls(running)["/rate"]
    assert calls.report(running.step, running.environment) == REPORT
    assert partner_calls(running)["/rate"] == before + 1


def test_report_that_fails(running: Running) -> None:
    """Then it says why, and ends with an error; no thread keeps it."""
    environment = {**running.environment, "TICKETS_PARTNER": "http://127.0.0.1:1"}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        calls.report(running.step, environment)
    assert caught.value.returncode == 1
    assert "ConnectionError" in caught.value.stderr.splitlines()[-1]


def test_steps_do_the_same(
    tmp_path: Path, child_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same bytes for all calls, same lines in the report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    found = {}
    for step in STEPS:
        with started(step, tmp_path / step.name, delay=0.0) as desk:
            found[step] = desk.outcome()
    for step in STEPS:
        assert found[step] == found[INLINE]


# -- what changes from one step to the next ----------------------------------------

MODULES = ("context", "handlers", "models", "partner", "report", "store")
CHANGED = {
    "step2_unblocked": {"handlers"},
    "step3_dual_leaves": {"partner", "store"},
    "step4_async_leaves": {"partner"},
    "step5_native": {"handlers", "models"},
}


def source(step: Step, module: str) -> str:
    return step.file(module).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "after"), list(zip(STEPS, STEPS[1:])), ids=lambda step: str(step.name)
)
def test_only_these_modules_change(before: Step, after: Step) -> None:
    """Leaves and callers are never changed in one step, and the report never is."""
    changed = {name for name in MODULES if source(before, name) != source(after, name)}
    assert changed == CHANGED[after.name]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_modules(step: Step) -> None:
    """A step has a file for each module that it changes, and none for the others."""
    folder = step.file("handlers" if step == INLINE else min(CHANGED[step.name])).parent
    found = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert found == CHANGED.get(step.name, set(MODULES))
    assert folder.name == step.name


def test_store_is_only_decorated() -> None:
    """The thread's connection and its transaction stay as they were written."""
    before, after = (source(step, "store").splitlines() for step in (INLINE, NATIVE))
    added = [line for line in after if line not in before]
    assert sorted(set(added)) == [
        "@shim.contextmanager",
        "@shim.dual",
        "from tornado_unblock import shim",
    ]
    assert set(before) - set(after) == {
        "import contextlib",
        "@contextlib.contextmanager",
    }


def test_async_leaves_take_a_word_each() -> None:
    """`async def`, and `await` with `.aio`: nothing else."""
    before, after = (source(step, "partner") for step in (DUAL, ASYNC))
    plain = (
        after.replace("async def", "def").replace("await ", "").replace(".aio(", "(")
    )
    assert plain == before


def shown_diffs() -> dict[tuple[str, str], str]:
    shown = [b.text for b in blocks(DOCS / "migration.md") if b.language == "diff"]
    return {(text.split()[1], text.split()[3]): text for text in shown}


def test_guide_shows_each_difference() -> None:
    """What docs/migration.md shows is what there is, all of it, line by line."""
    expected = {}
    for before, after in zip(STEPS, STEPS[1:]):
        for module in CHANGED[after.name]:
            was, now = (f"{step.name}/{module}.py" for step in (before, after))
            old, new = (source(step, module).splitlines() for step in (before, after))
            diff = difflib.unified_diff(old, new, was, now, n=1, lineterm="")
            expected[was, now] = "\n".join(diff)
    assert shown_diffs() == expected
