"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import command
from benchmarks.harness.command import between
from benchmarks.harness.variant import named
from benchmarks.stories.order_service import load
from benchmarks.stories.order_service.runner import measured
from benchmarks.stories.order_service.settings import STAGES, Settings
from benchmarks.stories.order_service.telling import details, tell

PROGRAM = "python -m examples.order_service"
QUICK = 3  # seconds
DESCRIPTION = """Serve orders with handlers that block, first as they were written, then
with one @unblock line, then with more, and show what that changes."""
DATABASE_HELP = """sqlite:///path/to/file, mysql://user@host/database or
postgresql://user@host/database; also read from the environment variable DATABASE;
without, an SQLite file that is deleted afterwards"""
LOAD_HELP = "what makes the requests (%(default)s: wrk if it is installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    return command.run(parse, measured, tell, arguments, details)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options.

    Raises:
        SetupError: The load generator that is wanted is not there.
    """
    usual, names = Settings(), [stage.name for stage in STAGES]
    parser = command.parser(PROGRAM, DESCRIPTION)
    option = parser.add_argument
    option("--database", metavar="URL", help=DATABASE_HELP)
    option("--seconds", type=between(int, 1, 3600), help="for each stage (10)")
    option("--connections", type=between(int, 1, 1000), default=usual.connections)
    option("--delay", type=between(float, 0, 60), default=usual.delay)
    option("--load", choices=["auto", "wrk", "aiohttp"], default="auto", help=LOAD_HELP)
    option("--stages", nargs="+", choices=names, default=names, help="which (all)")
    option("--chart", type=Path, default=usual.chart, help="SVG file (%(default)s)")
    given = parser.parse_args(list(arguments))
    return Settings(
        **command.common(PROGRAM, given, arguments),
        database=given.database or os.environ.get("DATABASE") or None,
        seconds=given.seconds or (QUICK if given.quick else usual.seconds),
        connections=given.connections,
        delay=given.delay,
        load=load.choose(given.load),
        stages=tuple(named(STAGES, name) for name in given.stages),
        chart=given.chart,
    )


if __name__ == "__main__":
    sys.exit(main())
