"""One body behind different servers, each in a process of its own.

The body waits, as for a query; what differs is where it runs. Inline and in forked
processes it is the same handler; `@unblock` is one line more.
"""

from __future__ import annotations

import argparse
import functools
import logging
import time
from typing import Callable

import tornado.web

from examples.load_client.settings import FEW, FORKED, INLINE, UNBLOCK, WAYS
from examples.order_service.serve import serve
from tornado_unblock import configure, unblock

# All servers queue more connections than there are clients: what is compared is the
# handlers, not who was turned away by the system. Tornado's default is 128.
BACKLOG = 1024


class Report(tornado.web.RequestHandler):
    """As it was written."""

    def initialize(self, wait: Callable[[], object]) -> None:
        self.wait = wait

    def get(self) -> None:
        self.wait()
        self.write("done")


class UnblockedReport(tornado.web.RequestHandler):
    """The same, unblocked."""

    def initialize(self, wait: Callable[[], object]) -> None:
        self.wait = wait

    @unblock
    def get(self) -> None:
        self.wait()
        self.write("done")


HANDLERS = {
    INLINE.name: Report,
    FORKED.name: Report,
    UNBLOCK.name: UnblockedReport,
    FEW.name: UnblockedReport,
}


def application(way: str, wait: Callable[[], object]) -> tornado.web.Application:
    """Return the application; `wait` is what takes the body its time."""
    return tornado.web.Application(
        [(r"/", HANDLERS[way], {"wait": wait})],
        log_function=lambda handler: None,  # thousands of 503s are part of the plan
    )


def limit(way: str, workers: int) -> None:
    """Set the executor's limits.

    With too few workers, as many may wait as are served: whoever is let in is
    answered within two bodies, so within the clients' patience.
    """
    if way == UNBLOCK.name:
        configure(max_workers=workers)
    elif way == FEW.name:
        # There is one route only: no share has to be kept for others.
        configure(max_workers=workers, max_waiting=workers, max_endpoint_share=1)


def main() -> None:
    """Serve until the standard input ends; print the port first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=[way.name for way in WAYS], required=True)
    parser.add_argument("--body", type=float, required=True, help="seconds")
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    limit(given.way, given.workers)
    wait = functools.partial(time.sleep, given.body)
    processes = given.processes if given.way == FORKED.name else 1
    serve(application(given.way, wait), processes=processes, backlog=BACKLOG)


if __name__ == "__main__":
    main()
