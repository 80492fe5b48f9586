"""The command line: options in, a page out, and an exit code."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.harness import machine
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.page import page
from benchmarks.harness.story import typed_again
from benchmarks.harness.story_process import STORIES, Outcome, run
from examples.bench_app import display

PROGRAM = "python -m examples.bench_app"
DESCRIPTION = """Run all stories, one after the other, and write one page about them."""
OUTPUT_HELP = "folder for the page and the results (%(default)s)"
STORIES_HELP = """which to run (all); a name with a dot is a module of your own"""
CHECK_HELP = "fail if the machine was too slow for what is expected"
LIMIT_HELP = "seconds after which a story is stopped (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stories and return the exit code: 0 if all of them are well."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(typed)
    console = Console()
    try:
        given.output.mkdir(parents=True, exist_ok=True)
        outcomes = _run_all(given, console)
        file = _write(outcomes, given.output, typed_again(PROGRAM, typed))
    except OSError as error:
        print(f"bench_app: Cannot write to {given.output}: {error}", file=sys.stderr)
        return 2
    console.print(display.summary(outcomes))
    display.failures(console, outcomes)
    # soft_wrap: the terminal breaks the line, so that the path can still be copied.
    console.print(f"Page: {file.resolve()}", soft_wrap=True, highlight=False)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _run_all(given: argparse.Namespace, console: Console) -> list[Outcome]:
    outcomes = []
    with Interrupts() as interrupts:
        for number, name in enumerate(given.stories, 1):
            results = given.output / f"{name}.json"
            total = len(given.stories)
            with display.progress(console, name, number, total) as show:
                outcomes.append(
                    run(name, results, _options(given), given.limit, interrupts, show)
                )
    return outcomes


def _options(given: argparse.Namespace) -> list[str]:
    return [f"--{name}" for name in ("quick", "check") if getattr(given, name)]


def _write(outcomes: Sequence[Outcome], folder: Path, again: str) -> Path:
    now = datetime.datetime.now(datetime.timezone.utc)
    file = folder / "index.html"
    text = page(outcomes, machine.description(), again, now)
    file.write_text(text, encoding="utf-8")
    return file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    option = parser.add_argument
    option("--quick", action="store_true", help="shorter measurements")
    option("--check", action="store_true", help=CHECK_HELP)
    option("--output", type=Path, default=Path("build/bench_app"), help=OUTPUT_HELP)
    option("--stories", nargs="+", default=STORIES, metavar="NAME", help=STORIES_HELP)
    option("--limit", type=float, default=600, help=LIMIT_HELP)
    return parser
