"""The SQL review as its users run it: what comes out, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from benchmarks.harness import story
from benchmarks.harness.story import NOT_HELD
from benchmarks.stories.sql_review.settings import VARIANTS
from tests.examples.test_load_client_run import Program

SMALL = ["--scale", "0.01", "--checker", "stand-in"]


@pytest.fixture
def program(child_env: dict[str, str], tmp_path: Path) -> Program:
    """Return the SQL review, with folders of its own."""
    return Program("examples.sql_review", tmp_path, child_env)


def test_run(program: Program) -> None:
    """It ends in a table and a document; the exit code says whether all held."""
    results = program.folder / "deep" / "results.json"
    code, out, err = program.run(*SMALL, "--check", "--json", str(results))
    assert err == ""
    told = story.read(results)
    assert code == (0 if told.ok else 1)
    assert told.name == "sql_review"
    [table] = told.tables
    assert [row[0] for row in table.rows] == [variant.title for variant in VARIANTS]
    # Whatever the machine is busy with, this does not depend on it.
    assert "no request was answered with an error or a wrong verdict" in told.findings
    for finding in told.findings:
        assert f"- {finding}" in out
    assert told.ok == (NOT_HELD not in out)
    assert (
        told.commands[0] == f"python -m examples.sql_review {' '.join(SMALL)} --check"
    )
    assert told.versions["checker"].endswith("stand-in")
    assert json.loads(results.read_text(encoding="utf-8"))["ok"] is told.ok
    program.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted(program: Program, number: signal.Signals) -> None:
    """Neither files nor processes stay, and there is no traceback."""
    with program.start("--checker", "stand-in") as process:
        assert process.stdout is not None
        assert "A check takes 2 s" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    program.assert_nothing_left()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--checker=mysql://root@127.0.0.1:1/test", "No checker answers at 127.0.0.1"),
        ("--checker=sqlite:///tmp/x", "must speak the MySQL protocol"),
        ("--checker=nonsense", "No database is known by"),
        ("--scale=0", "--scale: must be from 0.001 to 10"),
        ("--quickly", "unrecognized arguments: --quickly"),
    ],
)
def test_run_that_cannot_begin(program: Program, option: str, message: str) -> None:
    """A message on stderr, an exit code, no traceback."""
    code, out, err = program.run(option)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    program.assert_nothing_left()


def test_results_that_cannot_be_written(program: Program) -> None:
    """The table is shown before that fails."""
    code, out, err = program.run(*SMALL, "--json", f"{os.devnull}/results.json")
    assert code == 1
    assert "12" in out
    assert err.startswith("sql_review: Cannot write")
    program.assert_nothing_left()


def test_package_that_is_missing(program: Program) -> None:
    """Without the `examples` extra, the message says to install it."""
    (program.folder / "rich.py").write_text(
        "raise ModuleNotFoundError('No module named rich', name='rich')"
    )
    code, _, err = program.run()
    assert code == 2
    assert "rich is not installed: pip install 'tornado-unblock[examples]'" in err
