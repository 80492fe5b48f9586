"""`unblock_application` around the application of `inline`: one line."""

from __future__ import annotations

from tornado.web import Application

from benchmarks.contenders import inline
from tornado_unblock import configure, unblock_application


def application(workers: int) -> Application:
    """Return the application; limits, fairness and statistics are on."""
    configure(max_workers=workers)
    return unblock_application(inline.application(workers))
