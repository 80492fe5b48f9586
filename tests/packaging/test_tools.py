"""The scripts behind the Makefile."""

from __future__ import annotations

import datetime
import importlib
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CELLS = ["3.9-lowest", "3.9-latest", "3.13-lowest", "3.13-latest"]


def tool(name: str) -> ModuleType:
    """Import one of the scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    return tool("matrix")


@pytest.fixture(scope="module")
def environments() -> ModuleType:
    return tool("environments")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ([], CELLS),
        (["3.13-latest", "3.9-latest"], ["3.9-latest", "3.13-latest"]),
        (["*-lowest", "3.9-lowest"], ["3.9-lowest", "3.13-lowest"]),
        (["corners"], ["3.9-lowest", "3.13-latest"]),
    ],
)
def test_choose(matrix: ModuleType, wanted: list[str], chosen: list[str]) -> None:
    """Names, patterns and `corners` stand for cells; each runs once, oldest first."""
    assert matrix.choose(CELLS, wanted) == chosen


def test_cells(matrix: ModuleType) -> None:
    """Lowest and latest; what is younger than the lowest has the latest only."""
    assert matrix.cells_of(["3.9", "3.13"]) == CELLS
    assert matrix.cells_of(["3.14", "3.14t"]) == ["3.14-latest", "3.14t-latest"]


def test_free_threaded_pythons(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are told apart, whatever their file is called, and come last."""
    said = {"python3.9": "3 9", "python3.14": "3 14 ", "python3.14t": "3 14 t"}
    for name, line in said.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(matrix, "DEBIAN_PYTHONS", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.9"))
    assert list(matrix.interpreters()) == ["3.9", "3.14", "3.14t"]


def test_choose_refuses_unknown_cells(matrix: ModuleType) -> None:
    """A cell that cannot run here is an error, not a run of nothing."""
    with pytest.raises(ValueError, match=r"No cell '3\.8-lowest' here; there are: 3"):
        matrix.choose(CELLS, ["3.9-lowest", "3.8-lowest"])


def test_lowest_is_what_setup_cfg_promises(matrix: ModuleType) -> None:
    """The pins of the lowest cells are the lower bounds of the requirements."""
    text = (ROOT / "setup.cfg").read_text()
    for pin in matrix.LOWEST:
        name, _, version = pin.partition("==")
        (bound,) = (
            line.strip() for line in text.splitlines() if f" {name}>=" in f" {line}"
        )
        assert version.startswith(bound.partition(">=")[2])


@pytest.mark.timeout(300)  # it starts all there are, one by one
def test_interpreters(matrix: ModuleType) -> None:
    """This Python is among those found; none is too old; the oldest comes first."""
    found = matrix.interpreters()
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in found
    versions = [tuple(map(int, version.rstrip("t").split("."))) for version in found]
    assert versions == sorted(versions)
    assert versions[0] >= (3, 9)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [(["passed", "passed"], 0), (["FAILED", "passed"], 1)],
)
def test_one_failure_fails_the_run(
    matrix: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcomes: list[str],
    status: int,
) -> None:
    """Every cell runs, the table names each, and the exit status tells."""
    left = iter(outcomes)
    monkeypatch.setattr(matrix, "interpreters", lambda: {"3.9": "python3.9"})
    monkeypatch.setattr(
        matrix,
        "run",
        lambda cell, python, arguments: matrix.Result(cell, "-", next(left), 1.0),
    )
    assert matrix.main([]) == status
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines()[-2:]] == CELLS[:2]


def test_find_python() -> None:
    """It prints an interpreter that is new enough."""
    script = ROOT / "tools" / "find-python"
    python = subprocess.check_output([str(script)], text=True).strip()
    code = "import sys; assert sys.version_info >= (3, 9)"
    subprocess.run([python, "-c", code], check=True)


def test_find_python_fails_without_any(tmp_path: Path) -> None:
    """Where there is none it says what to do."""
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "tools" / "find-python")],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "make PYTHON=" in done.stderr


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    "TORNADO_UNBLOCK_DIST" not in os.environ, reason="builds: run the tests with make"
)
def test_builds_are_reproducible(
    environments: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same files make the same bytes, on another day and for another user."""
    built = []
    for mask, zone in ((0o022, "UTC"), (0o077, "Pacific/Auckland")):
        monkeypatch.setenv("TZ", zone)
        before = os.umask(mask)
        try:
            environments.build_into(tmp_path / zone.lower().replace("/", "-"))
        finally:
            os.umask(before)
    for directory in sorted(tmp_path.iterdir()):
        paths = sorted(directory.iterdir())
        built.append({p.name: sha256(p.read_bytes()).hexdigest() for p in paths})
    assert len(built[0]) == 2
    assert built[0] == built[1]


def test_time_of_a_build(
    environments: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the day of the latest release, if nothing else is given."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    day = datetime.datetime.fromtimestamp(environments._epoch(), datetime.timezone.utc)
    assert f"- {day:%Y-%m-%d}\n" in (ROOT / "CHANGELOG.md").read_text()
    assert (day.hour, day.minute) == (0, 0)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert environments._epoch() == 1_000_000_000
