"""The command line: options in, minutes out, and an exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.command import between
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.stories.incident.runner import Look, Seen, run, told

PROGRAM = "python -m examples.incident"
DESCRIPTION = """Let the database of a shop get slow, and print what its status page
shows at each minute: what somebody reads who is called out of bed."""
DATABASE_HELP = """sqlite:///path/to/file, mysql://user@host/database or
postgresql://user@host/database; also read from the environment variable DATABASE;
without, an SQLite file that is deleted afterwards"""
PICTURES_HELP = "folder for a picture of the page at each minute; needs chromium"
MINUTE = 5.0
SIZE = "1280,1150"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and return the exit code: 0 if the page showed what it should."""
    given = _parse(sys.argv[1:] if arguments is None else arguments)
    print(f"A minute takes {given.minute:g} s here. What the page shows at each:")
    try:
        pictures = Pictures(given.pictures).take if given.pictures else None
        with Interrupts() as interrupts:
            run(given.database, interrupts, Look(given.minute, _tell, pictures))
    except DemoError as error:
        print(f"incident: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    usual = os.environ.get("DATABASE") or None
    parser.add_argument("--database", metavar="URL", default=usual, help=DATABASE_HELP)
    parser.add_argument(
        *("--minute", "--seconds-for-a-minute"),
        type=between(float, 0.1, 60),
        default=MINUTE,
        metavar="SECONDS",
        help="what a minute takes (%(default)s)",
    )
    parser.add_argument("--pictures", type=Path, metavar="DIR", help=PICTURES_HELP)
    return parser.parse_args(list(arguments))


def _tell(seen: Seen) -> None:
    print()
    for line in told(seen):
        print(line, flush=True)


class Pictures:
    """Takes a picture of the page at each minute.

    Raises:
        SetupError: There is no browser.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        found = shutil.which("chromium") or shutil.which("google-chrome")
        if found is None:
            raise SetupError("Pictures need chromium, which is not installed.")
        self._browser = found
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, number: int, page: str) -> None:
        """Take one; any thread."""
        subprocess.run(
            [
                *(self._browser, "--headless", "--no-sandbox", "--hide-scrollbars"),
                f"--screenshot={self._folder / f'03-{number:02}.png'}",
                *(f"--window-size={SIZE}", "--no-proxy-server", page),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
