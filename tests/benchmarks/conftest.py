"""What the tests of the benchmark suite share."""

from __future__ import annotations

import os
import shutil

import pytest

from benchmarks.harness.results import Cell, Results


@pytest.fixture(scope="session")
def bench_env(child_env: dict[str, str]) -> dict[str, str]:
    """Return an environment in which a child process finds the suite."""
    return child_env


@pytest.fixture(scope="session")
def wrk() -> None:
    """Skip the test where wrk is missing; fail it in continuous integration."""
    if not shutil.which("wrk"):
        reason = "wrk is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def made_up(**rates: list[float]) -> Results:
    """Return results of one scenario, with the rates of some contenders."""
    results = Results()
    for contender, values in rates.items():
        rounds = [
            {"rate": rate, "cpu": 1 / rate, "mean": 50 / rate, "p99": 100 / rate}
            for rate in values
        ]
        results.cells.setdefault("trivial-50", {})[contender] = Cell(rounds)
    return results


@pytest.fixture
def results() -> Results:
    """Return results in which the library is as fast as native."""
    return made_up(
        native=[1000, 2000, 1500, 1000, 1200],
        by_hand=[800, 1600, 1200, 800, 960],
        unblock=[1010, 2000, 1500, 990, 1200],
    )
