"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import command
from benchmarks.harness.command import between
from benchmarks.stories.migration.runner import measured
from benchmarks.stories.migration.settings import Settings
from benchmarks.stories.migration.steps import STEPS, step_named
from benchmarks.stories.migration.telling import tell

PROGRAM = "python -m examples.migration"
QUICK_SECONDS, QUICK_CONNECTIONS = 3.0, 60
DESCRIPTION = """Book tickets at each of five steps from blocking handlers to async def,
and time the route beside it."""
SECONDS_HELP = "how long each step is measured (10, or with --quick 3)"
CLIENTS_HELP = "how many book at once (100, or with --quick 60)"
DELAY_HELP = "seconds that the partner takes to answer (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    return command.run(parse, measured, tell, arguments)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    usual, names = Settings(), [step.name for step in STEPS]
    parser = command.parser(PROGRAM, DESCRIPTION)
    option, seconds = parser.add_argument, between(float, 0, 60, least=False)
    option("--seconds", type=seconds, help=SECONDS_HELP)
    option("--connections", type=between(int, 1, 500), help=CLIENTS_HELP)
    option("--delay", type=seconds, default=usual.delay, help=DELAY_HELP)
    option("--steps", nargs="+", choices=names, default=names, help="which (all)")
    given = parser.parse_args(list(arguments))
    connections = QUICK_CONNECTIONS if given.quick else usual.connections
    return Settings(
        **command.common(PROGRAM, given, arguments),
        seconds=given.seconds or (QUICK_SECONDS if given.quick else usual.seconds),
        connections=given.connections or connections,
        delay=given.delay,
        steps=tuple(step_named(name) for name in given.steps),
    )
