"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.bench_app.story import command
from examples.migration.runner import measured
from examples.migration.settings import QUICK_CONNECTIONS, QUICK_SECONDS, Settings
from examples.migration.steps import STEPS, step_named
from examples.migration.telling import tell
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts
from examples.sql_review.display import printer, show, write

PROGRAM = "python -m examples.migration"
DESCRIPTION = """Book tickets at each of five steps from blocking handlers to async def,
and time the route beside it. The exit code is 1 if a check fails."""
SECONDS_HELP = "how long each step is measured (10, or with --quick 3)"
CLIENTS_HELP = "how many book at once (100, or with --quick 60)"
DELAY_HELP = "seconds that the partner takes to answer (%(default)s)"
STEPS_HELP = "what is measured, in this order (all)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    console = Console()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        settings = parse(given)
        with Interrupts() as interrupts:
            results = measured(settings, interrupts, printer(console))
            told = tell(results, settings)
            show(told, console)
            if settings.json:
                write(told, settings.json)
    except DemoError as error:
        print(f"migration: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if told.ok else 1


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    given = _parser().parse_args(arguments)
    usual = Settings()
    seconds = QUICK_SECONDS if given.quick else usual.seconds
    connections = QUICK_CONNECTIONS if given.quick else usual.connections
    return Settings(
        seconds=seconds if given.seconds is None else given.seconds,
        connections=given.connections or connections,
        delay=given.delay,
        steps=tuple(step_named(name) for name in given.steps),
        json=given.json,
        command=command(PROGRAM, arguments),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    names = [step.name for step in STEPS]
    option = parser.add_argument
    option("--quick", action="store_true", help="seconds instead of minutes")
    option("--seconds", type=_positive, help=SECONDS_HELP)
    option("--connections", type=_count, help=CLIENTS_HELP)
    option("--delay", type=_positive, default=Settings().delay, help=DELAY_HELP)
    option("--steps", nargs="+", choices=names, default=names, help=STEPS_HELP)
    option("--json", type=Path, metavar="FILE", help="file for the whole story")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 500:
        raise argparse.ArgumentTypeError("must be from 1 to 500")
    return number


def _positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 60:
        raise argparse.ArgumentTypeError("must be more than 0, and at most 60")
    return seconds
