"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import command
from benchmarks.harness.command import between
from benchmarks.stories.sql_review.runner import measured
from benchmarks.stories.sql_review.settings import Settings
from benchmarks.stories.sql_review.telling import tell

PROGRAM = "python -m examples.sql_review"
QUICK_SCALE = 0.1
DESCRIPTION = """Serve work orders whose checker takes seconds: inline, in forked
processes, and with one @unblock line."""
CHECKER_HELP = """mysql://user:password@host:port/database, or stand-in, a small server
of our own; auto takes mysql://root@127.0.0.1/test if it answers (%(default)s)"""
SCALE_HELP = "what the checker's seconds are multiplied by (1, or with --quick 0.1)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    return command.run(parse, measured, tell, arguments)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    usual = Settings()
    parser = command.parser(PROGRAM, DESCRIPTION)
    option = parser.add_argument
    option("--scale", type=between(float, 0.001, 10), help=SCALE_HELP)
    option("--checker", metavar="URL", default=usual.checker, help=CHECKER_HELP)
    given = parser.parse_args(list(arguments))
    return Settings(
        **command.common(PROGRAM, given, arguments),
        checker=given.checker,
        scale=given.scale or (QUICK_SCALE if given.quick else usual.scale),
    )
