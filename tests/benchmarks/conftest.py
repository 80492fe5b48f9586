"""What the tests of the benchmark suite share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.harness.results import Cell, Results

SVG = "{http://www.w3.org/2000/svg}"


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


def texts(path: Path) -> list[str]:
    """Return what a reader sees written in an SVG image, from the first to the last."""
    root = ElementTree.parse(path).getroot()
    shown = ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]
    return [text for text in shown if text]


def latencies(rate: float) -> dict[str, float]:
    return {"mean": 50 / rate, "p50": 40 / rate, "p99": 100 / rate}


def made_up(**rates: list[float]) -> Results:
    """Return results of one scenario, with the rates of some contenders."""
    results = Results()
    for contender, values in rates.items():
        rounds = [{"rate": rate, "cpu": 1 / rate, **latencies(rate)} for rate in values]
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
