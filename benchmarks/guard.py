"""Guard the cost of a hop, in instructions: `python -m benchmarks.guard [--update]`.

callgrind counts what `benchmarks.guard_scenario` executes: the same requests native and
through a hop. The difference, as a share of the native request, is compared with the
one stored for this version of Python. Exit status: 0, 1 if the hop has become more
than 10 % dearer, 2 if it cannot be told (1 where CI is set).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.about import versions
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.results import write

STORED = Path(__file__).with_name("guard.json")
ROOT = Path(__file__).resolve().parents[1]
ALLOWED = 1.10
DEPENDENCIES = ("tornado", "wrapt")
PATIENCE = 600  # seconds
MARKER = "getppid"
ADVICE = (
    "valgrind is not installed; it counts the instructions. Debian and Ubuntu: "
    "apt-get install valgrind; Fedora: dnf install valgrind."
)
_TOTALS = re.compile(r"^totals:\s+(\d+)", re.MULTILINE)


class Cost(NamedTuple):
    """Instructions for each request.

    Attributes:
        native: Of a native coroutine.
        hop: What a hop adds to that.
    """

    native: float
    hop: float

    @property
    def share(self) -> float:
        """The hop in native requests: another compiler changes both."""
        return self.hop / self.native


def count() -> Cost:
    """Run the scenario under callgrind.

    Raises:
        SetupError: valgrind is not there.
        DemoError: It failed.
    """
    if not shutil.which("valgrind"):
        raise SetupError(ADVICE)
    with tempfile.TemporaryDirectory(prefix="guard_") as folder:
        out = Path(folder) / "counts"
        ended = subprocess.run(
            command(out),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if ended.returncode:
            raise DemoError(f"The scenario failed.\n{ended.stderr.strip()}")
        # One file for each mark: what was executed since the one before.
        texts = [path.read_text() for path in sorted(Path(folder).glob("counts.*"))]
    return cost(texts, int(ended.stdout))


def command(out: Path) -> list[str]:
    """Return what runs the scenario and writes the counts."""
    options = ["--tool=callgrind", "--quiet", f"--dump-before={MARKER}"]
    scenario = [sys.executable, "-m", "benchmarks.guard_scenario"]
    return ["valgrind", *options, f"--callgrind-out-file={out}", *scenario]


def environment() -> dict[str, str]:
    """Return the environment in which each run does the same."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    own = {"PYTHONHASHSEED": "0", "PYTHONPATH": path}
    limits = {
        k: v for k, v in os.environ.items() if not k.startswith("TORNADO_UNBLOCK")
    }
    return {**limits, **own}


def cost(texts: Sequence[str], requests: int) -> Cost:
    """Read the counts of the warm-up, of native requests and of those that hop.

    Raises:
        DemoError: They are not there.
    """
    totals = [int(found[1]) for found in map(_TOTALS.search, texts) if found]
    if len(totals) != 3:
        raise DemoError(
            f"callgrind wrote {len(totals)} counts instead of 3: does {MARKER} have "
            "a symbol in this C library?"
        )
    _, native, hopping = totals
    return Cost(native / requests, (hopping - native) / requests)


def verdict(found: Cost, stored: Mapping[str, Any] | None, version: str) -> int:
    """Say how it compares, and return the exit code."""
    print(
        f"Python {version}: a hop takes {found.hop:,.0f} instructions, "
        f"{found.share:.3f} of a native request ({found.native:,.0f})."
    )
    if stored is None:
        print(f"Nothing is stored for Python {version}; --update stores this.")
        return _cannot_tell()
    ratio = found.share / stored["share"]
    print(f"Stored: {stored['share']:.3f}; that is {ratio - 1:+.1%}.")
    now = versions()
    others = [f"{name} {stored[name]}" for name in DEPENDENCIES]
    if any(stored[name] != now[name] for name in DEPENDENCIES):
        print(f"It was counted with {', '.join(others)}.")
    if ratio > ALLOWED:
        print(
            f"FAILED: the hop has become more than {ALLOWED - 1:.0%} dearer. Find out "
            "what does it, or store the new figure with --update and say why."
        )
        return 1
    if ratio < 2 - ALLOWED:
        print("It has become cheaper: store that with --update, to keep it so.")
    return 0


def _cannot_tell() -> int:
    return 1 if os.environ.get("CI") else 2


def load(path: Path) -> dict[str, Any]:
    """Return what is stored, by version of Python."""
    if not path.exists():
        return {}
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def update(path: Path, found: Cost, version: str) -> None:
    """Store this cost for this version of Python."""
    about = versions()
    new = {
        "share": round(found.share, 4),
        "hop": round(found.hop),
        "native": round(found.native),
        **{name: about[name] for name in ("Python", *DEPENDENCIES)},
    }
    stored = {**load(path), version: new}
    text = json.dumps(dict(sorted(stored.items())), indent=2)
    write(path, text + "\n")
    print(f"Stored in {path}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and compare, or store; return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--update", action="store_true", help="store what is counted")
    parser.add_argument("--file", type=Path, default=STORED, help="%(default)s")
    given = parser.parse_args(arguments)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        found = count()
    except DemoError as error:
        print(f"guard: {error}", file=sys.stderr)
        return _cannot_tell() if isinstance(error, SetupError) else 1
    if given.update:
        update(given.file, found, version)
    return verdict(found, load(given.file).get(version), version)


if __name__ == "__main__":
    sys.exit(main())
