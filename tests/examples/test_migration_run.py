"""The migration as its users run it: what comes out, and what is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.harness import story
from benchmarks.harness.figures import Load
from benchmarks.harness.neighbour import Measured, Pings
from benchmarks.harness.story import NOT_HELD
from benchmarks.stories.migration.settings import Settings
from benchmarks.stories.migration.steps import INLINE, NATIVE, STEPS, UNBLOCKED
from benchmarks.stories.migration.telling import tell
from tests.examples.test_load_client_run import Program

SMALL = ["--seconds", "0.5", "--connections", "3", "--delay", "0.01"]


@pytest.fixture
def program(child_env: dict[str, str], tmp_path: Path) -> Program:
    """Return the migration, with folders of its own."""
    return Program("examples.migration", tmp_path, child_env)


def test_run(program: Program) -> None:
    """It ends in a table and a document, and nothing of it stays."""
    results = program.folder / "deep" / "results.json"
    code, out, err = program.run(*SMALL, "--check", "--json", str(results))
    assert err == ""
    told = story.read(results)
    assert code == (0 if told.ok else 1)
    assert told.name == "migration"
    [table] = told.tables
    assert [row[0] for row in table.rows] == [step.title for step in STEPS]
    # Whatever the machine is busy with, this does not depend on it.
    assert told.findings[0] == (
        "all steps answer with the same bytes; 0 requests failed"
    )
    for finding in told.findings:
        assert f"- {finding}" in out
    assert told.ok == (NOT_HELD not in out)
    assert told.commands[0] == f"python -m examples.migration {' '.join(SMALL)} --check"
    program.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted(program: Program, number: signal.Signals) -> None:
    """Neither files nor processes stay, and there is no traceback."""
    with program.start("--seconds", "60", "--steps", "step5_native") as process:
        assert process.stdout is not None
        assert "clients book seats" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    program.assert_nothing_left()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "step6"], "invalid choice: 'step6'"),
        (["--seconds", "0"], "--seconds: must be more than 0"),
        (["--connections", "0"], "--connections: must be from 1 to 500"),
        (["--delay", "-1"], "--delay: must be more than 0"),
        (["--scale", "1"], "unrecognized arguments: --scale 1"),
    ],
)
def test_run_that_cannot_begin(
    program: Program, options: list[str], message: str
) -> None:
    """A message on stderr, an exit code, no traceback."""
    code, out, err = program.run(*options)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    program.assert_nothing_left()


def test_results_that_cannot_be_written(program: Program) -> None:
    """The table is shown before that fails."""
    options = [*SMALL, "--steps", "step2_unblocked"]
    code, out, err = program.run(*options, "--json", f"{os.devnull}/results.json")
    assert code == 1
    assert UNBLOCKED.title in out
    assert err.startswith("migration: Cannot write")


def test_package_that_is_missing(program: Program) -> None:
    """Without the `examples` extra, the message says to install it."""
    (program.folder / "rich.py").write_text(
        "raise ModuleNotFoundError('No module named rich', name='rich')"
    )
    code, _, err = program.run()
    assert code == 2
    assert "rich is not installed: pip install 'tornado-unblock[examples]'" in err


def result(bookings: int, ping: float, failed: int = 0) -> Measured:
    return Measured(Pings((ping,), 0), Load(bookings, failed, 1.0, 0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("unblocked", "native", "wrong"),
    [
        (result(80, 0.2), result(72, 0.2), []),
        (result(79, 0.2), result(80, 0.2), ["at least 8 times as many"]),
        (result(80, 0.3), result(80, 0.2), ["at least 5 times sooner"]),
        (result(80, 0.2), result(71, 0.2), ["not fewer, give or take a tenth"]),
        (result(80, 0.2), result(80, 0.2, failed=1), ["1 requests failed"]),
    ],
)
def test_what_is_promised(
    unblocked: Measured, native: Measured, wrong: list[str]
) -> None:
    """Each promise is checked, and a broken one is named."""
    results = {INLINE: result(10, 1.0), UNBLOCKED: unblocked, NATIVE: native}
    told = tell(results, Settings(check=True))
    broken = [text for text in told.findings if text.startswith(NOT_HELD)]
    assert [text[-len(end) :] for text, end in zip(broken, wrong)] == wrong
    assert len(broken) == len(wrong)
    assert told.ok == (not wrong)
    failed = any("requests failed" in text for text in wrong)
    assert tell(results, Settings()).ok == (not failed)  # the machine may be slow
