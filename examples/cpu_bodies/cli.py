"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.bench_app.story import command
from examples.cpu_bodies.runner import measured
from examples.cpu_bodies.settings import QUICK_SECONDS, Settings
from examples.cpu_bodies.telling import tell
from examples.cpu_bodies.variants import VARIANTS, variant_named
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts
from examples.sql_review.display import printer, show, write

PROGRAM = "python -m examples.cpu_bodies"
DESCRIPTION = """Serve a body that computes for 0.2 s: on the loop thread, on worker
threads, in processes; and time the route beside it. The exit code is 1 if a check
fails."""
SECONDS_HELP = "how long each variant is measured (20, or with --quick 3)"
CLIENTS_HELP = "how many ask for the body at once (%(default)s)"
BODY_HELP = "seconds that the body computes (%(default)s)"
VARIANTS_HELP = "what is measured, in this order (all)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    console = Console()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        settings = parse(given)
        with Interrupts() as interrupts:
            run = measured(settings, interrupts, printer(console))
            told = tell(run, settings)
            show(told, console)
            if settings.json:
                write(told, settings.json)
    except DemoError as error:
        print(f"cpu_bodies: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if told.ok else 1


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    given = _parser().parse_args(arguments)
    usual = QUICK_SECONDS if given.quick else Settings().seconds
    return Settings(
        seconds=usual if given.seconds is None else given.seconds,
        connections=given.connections,
        body=given.body,
        variants=tuple(variant_named(name) for name in given.variants),
        json=given.json,
        command=command(PROGRAM, arguments),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    names = [variant.name for variant in VARIANTS]
    usual = Settings()
    option = parser.add_argument
    option("--quick", action="store_true", help="seconds instead of minutes")
    option("--seconds", type=_positive, help=SECONDS_HELP)
    option("--connections", type=_count, default=usual.connections, help=CLIENTS_HELP)
    option("--body", type=_positive, default=usual.body, help=BODY_HELP)
    option("--variants", nargs="+", choices=names, default=names, help=VARIANTS_HELP)
    option("--json", type=Path, metavar="FILE", help="file for the whole story")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 50:
        raise argparse.ArgumentTypeError("must be from 1 to 50")
    return number


def _positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError("must be more than 0, and at most 600")
    return seconds
