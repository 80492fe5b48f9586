"""The guard of the hop: what it reads from callgrind, and what it makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import guard
from benchmarks.guard import Cost
from benchmarks.guard_scenario import REQUESTS
from benchmarks.harness.errors import DemoError

# What callgrind wrote at the three marks of one run, without the costs by function.
RECORDED = Path(__file__).with_name("callgrind")
NOW = guard.versions()
STORED = {"share": 1.0, "tornado": NOW["tornado"], "wrapt": NOW["wrapt"]}


def recorded() -> list[str]:
    return [path.read_text() for path in sorted(RECORDED.glob("counts.*"))]


def test_recorded_counts() -> None:
    """The first count is the warm-up, the second native requests, the third hops."""
    cost = guard.cost(recorded(), 300)
    assert cost == Cost(102149043 / 300, (202319555 - 102149043) / 300)
    assert cost.share == pytest.approx(0.98063, abs=1e-5)


@pytest.mark.parametrize("texts", [[], ["totals: 1"], ["", "totals: 1", "totals: 2"]])
def test_counts_that_are_not_there(texts: list[str]) -> None:
    """A mark that callgrind did not notice is no cost of zero."""
    with pytest.raises(DemoError, match="counts instead of 3"):
        guard.cost(texts, REQUESTS)


@pytest.mark.parametrize(
    ("hop", "code", "said"),
    [
        (100.0, 0, "+0.0%"),
        (109.0, 0, "+9.0%"),
        (111.0, 1, "FAILED"),
        (85.0, 0, "cheaper"),
    ],
)
def test_verdict(
    hop: float, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """More than a tenth dearer fails; much cheaper asks to be kept."""
    assert guard.verdict(Cost(100.0, hop), STORED, "3.99") == code
    assert said in capsys.readouterr().out


def test_verdict_names_other_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure counted with another Tornado or wrapt says so."""
    guard.verdict(Cost(100.0, 100.0), {**STORED, "wrapt": "1.0"}, "3.99")
    assert f"tornado {NOW['tornado']}, wrapt 1.0" in capsys.readouterr().out
    guard.verdict(Cost(100.0, 100.0), STORED, "3.99")
    assert "wrapt" not in capsys.readouterr().out


@pytest.mark.parametrize(("ci", "code"), [("", 2), ("true", 1)])
def test_nothing_stored(ci: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without a figure cannot be judged, which fails in CI only."""
    monkeypatch.setenv("CI", ci)
    assert guard.verdict(Cost(100.0, 100.0), None, "3.99") == code


@pytest.mark.parametrize(("ci", "code"), [("", 2), ("true", 1)])
def test_valgrind_is_missing(
    ci: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """It says how to install it, and fails in CI."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert guard.main([]) == code
    assert "apt-get install valgrind" in capsys.readouterr().err


def test_update_keeps_the_other_versions(tmp_path: Path) -> None:
    """Storing for one Python leaves what is stored for another."""
    path = tmp_path / "guard.json"
    guard.update(path, Cost(100.0, 50.0), "3.9")
    guard.update(path, Cost(100.0, 60.0), "3.11")
    stored = json.loads(path.read_text())
    assert {version: one["share"] for version, one in stored.items()} == {
        "3.9": 0.5,
        "3.11": 0.6,
    }
    assert guard.load(tmp_path / "none.json") == {}


def test_environment_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither hashes nor limits from outside change what is counted."""
    monkeypatch.setenv("TORNADO_UNBLOCK_MAX_WORKERS", "3")
    found = guard.environment()
    assert found["PYTHONHASHSEED"] == "0"
    assert "TORNADO_UNBLOCK_MAX_WORKERS" not in found


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.timeout(300)
def test_scenario_under_callgrind(
    monkeypatch: pytest.MonkeyPatch, bench_env: dict[str, str]
) -> None:
    """A real count: a native request takes instructions, and a hop more of them."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    cost = guard.count()
    assert cost.native > 1_000
    assert cost.hop > 1_000
