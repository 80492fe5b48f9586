"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.bench_app.story import command
from examples.order_service import load, report
from examples.order_service.display import Progress
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts
from examples.order_service.runner import measured
from examples.order_service.settings import Settings
from examples.order_service.stages import STAGES, stage_named

PROGRAM = "python -m examples.order_service"
QUICK = 3  # seconds
DESCRIPTION = """Serve orders with handlers that block, first as they were written, then
with one @unblock line, then with more, and show what that changes."""
DATABASE_HELP = """sqlite:///path/to/file, mysql://user@host/database or
postgresql://user@host/database; also read from the environment variable DATABASE;
without, an SQLite file that is deleted afterwards"""
SECONDS_HELP = f"how long each stage is measured ({Settings.seconds})"
CLIENTS_HELP = "how many ask at once (%(default)s)"
DELAY_HELP = "seconds that the logistics API takes to answer (%(default)s)"
LOAD_HELP = "what makes the requests (%(default)s: wrk if it is installed)"
STAGES_HELP = "what is measured, in this order (all)"
CHART_HELP = "SVG file to write (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code: 0 if all went as expected."""
    console = Console()
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
        with Interrupts() as interrupts:
            run = measured(settings, interrupts, Progress(console))
            expected = report.write(run, settings, console)
    except DemoError as error:
        print(f"order_service: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if expected else 1


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options.

    Raises:
        SetupError: The load generator that is wanted is not there.
    """
    options = vars(_parser().parse_args(arguments))
    options["database"] = options["database"] or os.environ.get("DATABASE") or None
    options["load"] = load.choose(options["load"])
    options["stages"] = tuple(stage_named(name) for name in options["stages"])
    quick = options.pop("quick")
    options["seconds"] = options["seconds"] or (QUICK if quick else Settings.seconds)
    options["command"] = command(PROGRAM, arguments)
    return Settings(**options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    names = [stage.name for stage in STAGES]
    tools = ["auto", "wrk", "aiohttp"]
    usual = Settings()
    option = parser.add_argument
    option("--quick", action="store_true", help=f"{QUICK} seconds for each stage")
    option("--database", metavar="URL", help=DATABASE_HELP)
    option("--seconds", type=_positive, help=SECONDS_HELP)
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
