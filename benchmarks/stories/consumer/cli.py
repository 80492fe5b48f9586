"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import command
from benchmarks.harness.command import between
from benchmarks.stories.consumer.runner import measured
from benchmarks.stories.consumer.settings import Settings
from benchmarks.stories.consumer.telling import tell

PROGRAM = "python -m examples.consumer"
QUICK_REQUESTS = 300
DESCRIPTION = """Send requests that are answered with 202 at once, kill the server and
the workers with SIGKILL in the middle of the work, and count what was done."""
REQUESTS_HELP = "how many (1000, or with --quick 300)"
WORKERS_HELP = "how many jobs run at a time (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    return command.run(parse, measured, tell, arguments)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    usual = Settings()
    parser = command.parser(PROGRAM, DESCRIPTION)
    option, count = parser.add_argument, between(int, 1, 100_000)
    option("--requests", type=count, help=REQUESTS_HELP)
    option("--workers", type=count, default=usual.workers, help=WORKERS_HELP)
    given = parser.parse_args(list(arguments))
    return Settings(
        **command.common(PROGRAM, given, arguments),
        requests=given.requests or (QUICK_REQUESTS if given.quick else usual.requests),
        workers=given.workers,
    )
