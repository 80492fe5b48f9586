"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.bench_app.story import command
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts
from examples.sql_review.display import printer, show, write
from examples.sql_review.runner import measured
from examples.sql_review.settings import QUICK_SCALE, Settings
from examples.sql_review.telling import tell

PROGRAM = "python -m examples.sql_review"
DESCRIPTION = """Serve work orders whose checker takes seconds: inline, in forked
processes, and with one @unblock line. The exit code is 1 if a check fails."""
CHECKER_HELP = """mysql://user:password@host:port/database, or stand-in, a small server
of our own; auto takes mysql://root@127.0.0.1/test if it answers (%(default)s)"""
SCALE_HELP = "what the checker's seconds are multiplied by (1, or with --quick 0.1)"


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
        print(f"sql_review: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if told.ok else 1


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    given = _parser().parse_args(arguments)
    usual = QUICK_SCALE if given.quick else Settings().scale
    scale = usual if given.scale is None else given.scale
    return Settings(
        checker=given.checker,
        scale=scale,
        json=given.json,
        command=command(PROGRAM, arguments),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    option = parser.add_argument
    option("--quick", action="store_true", help="seconds instead of minutes")
    option("--scale", type=_scale, help=SCALE_HELP)
    option("--checker", metavar="URL", default=Settings().checker, help=CHECKER_HELP)
    option("--json", type=Path, metavar="FILE", help="file for the whole story")
    return parser


def _scale(text: str) -> float:
    scale = float(text)
    if not 0.001 <= scale <= 10:
        raise argparse.ArgumentTypeError("must be from 0.001 to 10")
    return scale
