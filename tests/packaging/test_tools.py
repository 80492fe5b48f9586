"""The scripts behind the Makefile."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CELLS = ["3.9-lowest", "3.9-latest", "3.13-lowest", "3.13-latest"]


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        spec = importlib.util.spec_from_file_location("m", ROOT / "tools/matrix.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


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
    versions = [tuple(map(int, version.split("."))) for version in found]
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
