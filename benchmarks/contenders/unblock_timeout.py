"""`@unblock` with a timeout for each body."""

from __future__ import annotations

from tornado.web import Application

from benchmarks.contenders import unblock
from tornado_unblock import configure


def application(workers: int) -> Application:
    """Return the application; every body has a timeout."""
    configure(timeout=30.0)
    return unblock.application(workers)
