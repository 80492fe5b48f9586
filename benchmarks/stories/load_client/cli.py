"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.harness import command
from benchmarks.harness.command import between
from benchmarks.harness.variant import named
from benchmarks.stories.load_client.runner import measured
from benchmarks.stories.load_client.settings import WAYS, Settings, cases
from benchmarks.stories.load_client.telling import details, tell

PROGRAM = "python -m examples.load_client"
DESCRIPTION = """Ask four servers with the same body, from many processes that do not
wait for ever, and print the share of requests that succeeded."""
BODY_HELP = """seconds that a body takes (1 with ten clients, as in the published
account, and 0.5 with a hundred)"""
TIMEOUT_HELP = "seconds that a client waits (three times as long as a body takes)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and return its exit code."""
    return command.run(parse, measured, tell, arguments, details)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the options."""
    parser = command.parser(PROGRAM, DESCRIPTION)
    names = [way.name for way in WAYS]
    option, seconds = parser.add_argument, between(float, 0, 60, least=False)
    count = between(int, 1, 1_000_000)
    option("--body", type=seconds, help=BODY_HELP)
    option("--timeout", type=seconds, help=TIMEOUT_HELP)
    option("--requests", type=count, help="instead of both cases one with so many")
    option("--clients", type=count, help="and so many processes that make them")
    option("--processes", type=count, default=4, help="of the forked server (4)")
    option("--servers", nargs="+", choices=names, default=names, help="to ask (all)")
    given = parser.parse_args(list(arguments))
    chosen = cases(given.quick, given.body, given.timeout)
    if given.requests or given.clients:
        first = chosen[-1]
        clients = given.clients or first.clients
        requests = given.requests or first.requests
        chosen = (dataclasses.replace(first, requests=requests, clients=clients),)
    return Settings(
        **command.common(PROGRAM, given, arguments),
        cases=chosen,
        ways=tuple(named(WAYS, name) for name in given.servers),
        processes=given.processes,
    )
