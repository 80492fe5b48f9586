"""The CPU bodies as their users run them: what comes out, and what is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.harness import story
from benchmarks.harness.story import NOT_HELD
from benchmarks.stories.cpu_bodies.settings import INLINE, LOKY, PROCESSES
from tests.examples.test_load_client_run import Program

SMALL = ["--seconds", "0.5", "--connections", "2", "--body", "0.02"]


@pytest.fixture
def program(child_env: dict[str, str], tmp_path: Path) -> Program:
    """Return the CPU bodies, with folders of their own."""
    return Program("examples.cpu_bodies", tmp_path, child_env)


def test_run(program: Program) -> None:
    """It ends in a table and a document; processes of processes are gone as well."""
    results = program.folder / "deep" / "results.json"
    chosen = (INLINE, PROCESSES, LOKY)
    options = [*SMALL, "--check", "--variants", *(variant.name for variant in chosen)]
    code, out, err = program.run(*options, "--json", str(results))
    assert err == ""
    told = story.read(results)
    assert code == (0 if told.ok else 1)
    assert told.name == "cpu_bodies"
    [table] = told.tables
    titles = [variant.title for variant in chosen]
    assert [row[0] for row in table.rows] == ["nothing to compute", *titles]
    # Whatever the machine is busy with, this does not depend on it.
    assert told.findings[0].endswith("same total; 0 requests failed")
    assert not told.findings[0].startswith(NOT_HELD)
    for finding in told.findings:
        assert f"- {finding}" in out
    assert told.ok == (NOT_HELD not in out)
    assert told.commands == [f"python -m examples.cpu_bodies {' '.join(options)}"]
    program.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted(program: Program, number: signal.Signals) -> None:
    """Neither files nor processes stay, and there is no traceback."""
    options = ["--variants", "processes", "--seconds", "100", "--body", "0.02"]
    with program.start(*options) as process:
        assert process.stdout is not None
        assert "connections ask for" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    program.assert_nothing_left()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variants", "gevent"], "invalid choice: 'gevent'"),
        (["--seconds", "0"], "--seconds: must be more than 0"),
        (["--connections", "0"], "--connections: must be from 1 to 50"),
        (["--body", "-1"], "--body: must be more than 0"),
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
    options = [*SMALL, "--check", "--variants", "inline"]
    code, out, err = program.run(*options, "--json", f"{os.devnull}/results.json")
    assert code == 1
    assert INLINE.title in out
    assert err.startswith("cpu_bodies: Cannot write")


def test_package_that_is_missing(program: Program) -> None:
    """Without the `examples` extra, the message says to install it."""
    (program.folder / "rich.py").write_text(
        "raise ModuleNotFoundError('No module named rich', name='rich')"
    )
    code, _, err = program.run()
    assert code == 2
    assert "rich is not installed: pip install 'tornado-unblock[examples]'" in err
