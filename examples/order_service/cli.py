"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.order_service import load, report
from examples.order_service.display import Progress
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts
from examples.order_service.runner import measured
from examples.order_service.settings import Settings
from examples.order_service.stages import STAGES, stage_named

DESCRIPTION = """Serve orders with handlers that block, first as they were written, then
with one @unblock line, and show what that changes."""
DATABASE_HELP = """sqlite:///path/to/file, mysql://user@host/database or
postgresql://user@host/database; also read from the environment variable DATABASE;
without, an SQLite file that is deleted afterwards"""
SECONDS_HELP = "how long each stage is measured (%(default)s)"
CLIENTS_HELP = "how many ask at once (%(default)s)"
DELAY_HELP = "seconds that the logistics API takes to answer (%(default)s)"
LOAD_HELP = "what makes the requests (%(default)s: wrk if it is installed)"
STAGES_HELP = "what is measured, in this order (all)"
CHART_HELP = "SVG file to write (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    console = Console()
    try:
        settings = parse(arguments)
        with Interrupts() as interrupts:
            run = measured(settings, interrupts, Progress(console))
            report.write(run, settings, console)
    except DemoError as error:
        print(f"order_service: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read the options.

    Raises:
        SetupError: The load generator that is wanted is not there.
    """
    options = vars(_parser().parse_args(arguments))
    options["database"] = options["database"] or os.environ.get("DATABASE") or None
    options["load"] = load.choose(options["load"])
    options["stages"] = tuple(stage_named(name) for name in options["stages"])
    return Settings(**options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m examples.order_service", description=DESCRIPTION
    )
    names = [stage.name for stage in STAGES]
    tools = ["auto", "wrk", "aiohttp"]
    usual = Settings()
    option = parser.add_argument
    option("--database", metavar="URL", help=DATABASE_HELP)
    option("--seconds", type=_positive, default=usual.seconds, help=SECONDS_HELP)
    option(
        "--connections", type=_positive, default=usual.connections, help=CLIENTS_HELP
    )
    option("--delay", type=_delay, default=usual.delay, help=DELAY_HELP)
    option("--load", choices=tools, default=tools[0], help=LOAD_HELP)
    option("--stages", nargs="+", choices=names, default=names, help=STAGES_HELP)
    option("--chart", type=Path, default=usual.chart, help=CHART_HELP)
    option("--json", type=Path, help="file for the results and all versions")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _delay(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 60:
        raise argparse.ArgumentTypeError("must be from 0 to 60 seconds")
    return seconds
