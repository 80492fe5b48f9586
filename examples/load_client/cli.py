"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.bench_app.story import command
from examples.load_client.display import Progress, terminal_table
from examples.load_client.report import story
from examples.load_client.results import Tally
from examples.load_client.runner import measured
from examples.load_client.settings import WAYS, Settings, cases, way_named
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts

PROGRAM = "python -m examples.load_client"
DESCRIPTION = """Ask four servers with the same body, from many processes that do not
wait for ever, and print the share of requests that succeeded."""
BODY_HELP = """seconds that a body takes (1 with ten clients, as in the published
account, and 0.5 with a hundred)"""
TIMEOUT_HELP = "seconds that a client waits (three times as long as a body takes)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and return the exit code: 0 if every check held."""
    console = Console()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        settings = parse(given)
        with Interrupts() as interrupts:
            tallies = measured(settings, interrupts, Progress(console))
            return report(settings, tallies, console)
    except DemoError as error:
        print(f"load_client: {error}", file=sys.stderr)
        return error.exit_code


def report(settings: Settings, tallies: Sequence[Tally], console: Console) -> int:
    """Print the outcome, write the file, and return the exit code.

    Raises:
        DemoError: The file cannot be written.
    """
    told = story(settings, tallies)
    for table in told.tables:
        console.print(terminal_table(table))
    for finding in told.findings:
        console.print(f"- {finding}", highlight=False, markup=False)
    for tally in tallies:
        for error in tally.errors():
            console.print(f"  {tally.way.title}: {error}", markup=False)
    if settings.json:
        try:
            told.write(settings.json, measured=[tally.as_dict() for tally in tallies])
        except OSError as error:
            raise DemoError(
                f"Cannot write {settings.json}: {error.strerror}"
            ) from error
    return 0 if told.ok else 1


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    given = _parser().parse_args(arguments)
    chosen = cases(given.quick, given.body, given.timeout)
    if given.requests or given.clients:
        first = chosen[-1]
        clients = given.clients or first.clients
        requests = given.requests or first.requests
        chosen = (dataclasses.replace(first, requests=requests, clients=clients),)
    return Settings(
        cases=chosen,
        ways=tuple(way_named(name) for name in given.servers),
        processes=given.processes,
        json=given.json,
        command=command(PROGRAM, arguments),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION)
    names = [way.name for way in WAYS]
    option = parser.add_argument
    option("--quick", action="store_true", help="fewer requests, shorter bodies")
    option("--body", type=_seconds, help=BODY_HELP)
    option("--timeout", type=_seconds, help=TIMEOUT_HELP)
    option("--requests", type=_count, help="instead of both cases one with so many")
    option("--clients", type=_count, help="and so many processes that make them")
    option("--processes", type=_count, default=4, help="of the forked server (4)")
    option("--servers", nargs="+", choices=names, default=names, help="to ask (all)")
    option("--json", type=Path, help="file for the results and all versions")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 60:
        raise argparse.ArgumentTypeError("must be above 0 and at most 60 seconds")
    return seconds
