"""One of the servers, in a process of its own."""

from __future__ import annotations

import argparse
import functools
import logging
import time
from typing import Callable

import tornado.web

from benchmarks.harness.serving import serve
from benchmarks.stories.load_client.settings import FEW, FORKED, INLINE, UNBLOCK, WAYS
from examples.load_client import server
from examples.load_client.server import Report, UnblockedReport

# All servers queue more connections than there are clients: what is compared is the
# handlers, not who was turned away by the system. Tornado's default is 128.
BACKLOG = 1024
HANDLERS = {
    INLINE.name: Report,
    FORKED.name: Report,
    UNBLOCK.name: UnblockedReport,
    FEW.name: UnblockedReport,
}
LIMITS = {UNBLOCK.name: server.enough, FEW.name: server.few}


def application(way: str, wait: Callable[[], object]) -> tornado.web.Application:
    """Return the application; `wait` is what takes the body its time."""
    return tornado.web.Application(
        [(r"/", HANDLERS[way], {"wait": wait})],
        log_function=lambda handler: None,  # thousands of 503s are part of the plan
    )


def main() -> None:
    """Serve until the standard input ends; print the port first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=[way.name for way in WAYS], required=True)
    parser.add_argument("--body", type=float, required=True, help="seconds")
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    if given.way in LIMITS:
        LIMITS[given.way](given.workers)
    wait = functools.partial(time.sleep, given.body)
    processes = given.processes if given.way == FORKED.name else 1
    serve(application(given.way, wait), processes=processes, backlog=BACKLOG)


if __name__ == "__main__":
    main()
