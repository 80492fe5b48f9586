"""Run the tests in every cell: each Python found x {lowest, latest} dependencies.

    python tools/matrix.py [--list] [--cells "CELL ..."] [-- PYTEST ARGUMENTS]

A cell is named like `3.9-lowest`; patterns work (`*-latest`), and `corners` is the
oldest Python with the lowest versions and the newest Python with the latest. Each
cell keeps an environment of its own under .venvs/. Every chosen cell runs, whatever
the others did; the exit status is 1 if any of them failed.

Pythons are looked for on PATH, under pyenv, and where tools/debian-pythons puts those
that a system does not have yet. A free-threaded one is a Python of its own: `3.14t`.

"Lowest" is what setup.cfg promises, exactly. It holds on every Python up to 3.13; what
is newer than Tornado 6.1 by years has no such cell:

=======  ===========  ============  ==============================================
Python   tornado 6.1  wrapt 1.15.0  how they get there
=======  ===========  ============  ==============================================
3.9      wheel        wheel         both ready-made
3.10-11  source       wheel         Tornado's wheels stop at 3.9; its sdist builds,
                                    without its optional C module if need be
3.12-13  source       pure Python   wrapt's compiled wheels stop at 3.11, so these
                                    cells also cover its pure-Python proxies
=======  ===========  ============  ==============================================

"Latest" is what pip picks: Tornado 6.5 is the last series for Python 3.9.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import environments

LOWEST = ("tornado==6.1", "wrapt==1.15.0")
PINS = {"lowest": LOWEST, "latest": ()}
OLDEST_PYTHON = (3, 9)
#: The latest Python that Tornado 6.1 is tested on.
NEWEST_LOWEST = (3, 13)
DEBIAN_PYTHONS = os.environ.get("TORNADO_UNBLOCK_PYTHONS", "/opt/debian-pythons")
#: Of the settings a shell may carry, those that would change what a cell tests.
SCRUBBED = ("PYTHONPATH", "PYTHONHOME", "PYTHONASYNCIODEBUG", "PYTHONWARNINGS")


class Version(NamedTuple):
    """A Python's version; free-threaded ones come after the others."""

    major: int
    minor: int
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{self.suffix}"


class Result(NamedTuple):
    """One row of the summary."""

    cell: str
    versions: str
    outcome: str
    seconds: float


def interpreters() -> dict[str, str]:
    """Find Pythons, wherever they are: version to path, oldest first."""
    found: dict[Version, str] = {}
    for candidate in _candidates():
        version = _version(candidate)
        if version is not None and version >= OLDEST_PYTHON:
            found.setdefault(version, candidate)
    return {str(version): found[version] for version in sorted(found)}


def cells_of(versions: Iterable[str]) -> list[str]:
    """Return the names of all cells on these Pythons."""
    return [
        f"{version}-{kind}"
        for version in versions
        for kind in PINS
        if kind != "lowest" or _numbers(version) <= NEWEST_LOWEST
    ]


def _candidates() -> list[str]:
    """Return what may be a Python; newer patch releases come first under pyenv."""
    directories = os.environ.get("PATH", "").split(os.pathsep)
    named = [
        str(path)
        for directory in [*directories, f"{DEBIAN_PYTHONS}/usr/bin"]
        for path in sorted(Path(directory or ".").glob("python3.*"))
        if re.fullmatch(r"python3\.\d+t?", path.name)
    ]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    releases = [p for p in pyenv.glob("3.*") if re.fullmatch(r"[\d.]+t?", p.name)]
    releases.sort(key=lambda p: _numbers(p.name), reverse=True)
    return [*named, *(str(p / "bin" / "python") for p in releases), sys.executable]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.rstrip("t").split(".")))


def _version(python: str) -> Version | None:
    """Return the version if this runs and can make environments (a shim may not)."""
    code = (
        "import sys, sysconfig, venv, ensurepip; print(*sys.version_info[:2],"
        " 't' if sysconfig.get_config_var('Py_GIL_DISABLED') else '')"
    )
    try:
        output = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor, *suffix = output.split()
    return Version(int(major), int(minor), *suffix)


def choose(cells: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the cells the names and patterns stand for, each once, in order.

    Raises:
        ValueError: A name or pattern stands for no cell here.
    """
    aliases = {"corners": [f"{cells[0].split('-')[0]}-lowest", cells[-1]]}
    chosen: set[str] = set()
    for name in wanted or ["*"]:
        matches = aliases.get(name) or fnmatch.filter(cells, name)
        if not matches:
            raise ValueError(f"No cell {name!r} here; there are: {' '.join(cells)}")
        chosen.update(matches)
    return [cell for cell in cells if cell in chosen]


def run(cell: str, python: str, pytest_arguments: Sequence[str]) -> Result:
    """Run the tests in one cell."""
    print(f"\n=== {cell} ===", flush=True)
    started = time.monotonic()
    versions = "-"
    try:
        inside = environments.ensure(
            environments.ENVIRONMENTS / cell, python, ["test"], PINS[cell.split("-")[1]]
        )
        versions = _installed(inside)
        print(versions, flush=True)
        command = [str(inside.with_name("pytest")), *pytest_arguments]
        status = subprocess.run(command, cwd=environments.ROOT, check=False).returncode
        outcome = "passed" if status == 0 else f"FAILED (pytest exit status {status})"
    except subprocess.CalledProcessError as error:
        outcome = f"FAILED to install: {error}"
    return Result(cell, versions, outcome, time.monotonic() - started)


def _installed(python: Path) -> str:
    code = (
        "from importlib.metadata import version; from platform import python_version;"
        "print('Python', python_version(), 'tornado', version('tornado'),"
        "'wrapt', version('wrapt'))"
    )
    return subprocess.check_output([str(python), "-c", code], text=True).strip()


def summary(results: Sequence[Result]) -> str:
    """Return the table printed at the end."""
    lines = [f"{'cell':<12} {'versions':<42} {'seconds':>7}  outcome"]
    for row in results:
        lines.append(
            f"{row.cell:<12} {row.versions:<42} {row.seconds:>7.0f}  {row.outcome}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description="Run the tests in every cell.")
    parser.add_argument("--list", action="store_true", help="only list the cells")
    parser.add_argument("--cells", default="", help="names or patterns of cells")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args(arguments)
    pythons = interpreters()
    cells = cells_of(pythons)
    try:
        chosen = choose(cells, options.cells.split())
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        print("\n".join(f"{cell:<12} {pythons[cell.split('-')[0]]}" for cell in chosen))
        return 0
    for name in SCRUBBED:
        os.environ.pop(name, None)
    results = [
        run(cell, pythons[cell.split("-")[0]], options.pytest) for cell in chosen
    ]
    print(f"\n=== Summary ===\n{summary(results)}", flush=True)
    return 0 if all(row.outcome == "passed" for row in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
