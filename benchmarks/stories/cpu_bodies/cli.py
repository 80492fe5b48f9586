"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import command
from benchmarks.harness.command import between
from benchmarks.harness.variant import named
from benchmarks.stories.cpu_bodies.runner import measured
from benchmarks.stories.cpu_bodies.settings import VARIANTS, Settings
from benchmarks.stories.cpu_bodies.telling import tell

PROGRAM = "python -m examples.cpu_bodies"
QUICK_SECONDS = 3.0
DESCRIPTION = """Serve a body that computes for 0.2 s: on the loop thread, on worker
threads, in processes; and time the route beside it."""
SECONDS_HELP = "how long each variant is measured (20, or with --quick 3)"
CLIENTS_HELP = "how many ask for the body at once (%(default)s)"
BODY_HELP = "seconds that the body computes (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    return command.run(parse, measured, tell, arguments)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    usual, names = Settings(), [variant.name for variant in VARIANTS]
    parser = command.parser(PROGRAM, DESCRIPTION)
    option, seconds = parser.add_argument, between(float, 0, 600, least=False)
    option("--seconds", type=seconds, help=SECONDS_HELP)
    option(
        "--connections",
        type=between(int, 1, 50),
        default=usual.connections,
        help=CLIENTS_HELP,
    )
    option("--body", type=seconds, default=usual.body, help=BODY_HELP)
    option("--variants", nargs="+", choices=names, default=names, help="which (all)")
    given = parser.parse_args(list(arguments))
    return Settings(
        **command.common(PROGRAM, given, arguments),
        seconds=given.seconds or (QUICK_SECONDS if given.quick else usual.seconds),
        connections=given.connections,
        body=given.body,
        variants=tuple(named(VARIANTS, name) for name in given.variants),
    )
