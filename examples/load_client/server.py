"""One body, inline and unblocked, and the limits for a crowd of clients.

The body waits, as for a query; what differs is where it runs.
"""

from __future__ import annotations

from typing import Callable

import tornado.web

from tornado_unblock import configure, unblock


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


def enough(workers: int) -> None:
    """Let in whoever comes; four fifths of the workers may serve one endpoint."""
    configure(max_workers=workers)


def few(workers: int) -> None:
    """Let as many wait as are served: who is let in is answered within two bodies.

    There is one endpoint only: no share has to be kept for others.
    """
    configure(max_workers=workers, max_waiting=workers, max_endpoint_share=1)
