"""The consumer as its users run it, small: what comes out, and what is left behind."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.harness import story
from benchmarks.harness.story import NOT_HELD
from benchmarks.stories.consumer.runner import Found
from benchmarks.stories.consumer.settings import Settings
from benchmarks.stories.consumer.telling import tell
from tests.examples.test_load_client_run import Program
from tornado_unblock.jobs import Counts

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def program(child_env: dict[str, str], tmp_path: Path) -> Program:
    """Return the consumer, with folders of its own."""
    return Program("examples.consumer", tmp_path, child_env)


def test_nothing_is_lost(program: Program) -> None:
    """Everything is killed in the middle, and every job is done."""
    results = program.folder / "results.json"
    options = ["--requests", "60", "--workers", "4"]
    code, out, err = program.run(*options, "--json", str(results))
    assert (code, err) == (0, "")
    told = story.read(results)
    [table] = told.tables
    rows = dict(map(tuple, table.rows))
    assert rows["done in the end"] == "60"
    assert int(rows["done when all was killed"]) < 60
    assert int(rows["done twice"]) <= 4
    assert len(told.charts) == 2
    assert told.findings[0] in out
    program.assert_nothing_left()


def test_what_is_lost_is_said() -> None:
    """A job that is missing, or is done too often, fails the run."""
    lost = Found([0.1], 1.0, Counts(done=1), Counter({"0": 2}), 10.0)
    told = tell(lost, Settings(requests=2))
    assert not told.ok
    assert [text.startswith(NOT_HELD) for text in told.findings] == [True, True, False]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted(program: Program, number: signal.Signals) -> None:
    """Neither files nor processes stay, and there is no traceback."""
    with program.start("--requests", "100000") as process:
        assert process.stdout is not None
        assert "100000 requests" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    program.assert_nothing_left()


def test_a_run_that_cannot_begin(program: Program) -> None:
    """A message on stderr, an exit code, no traceback."""
    code, out, err = program.run("--workers", "0")
    assert (code, out) == (2, "")
    assert "--workers: must be from 1" in err
