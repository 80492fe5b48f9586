"""`@unblock` on the classes of `inline`: the whole request in one hop."""

from __future__ import annotations

from tornado.web import Application

from benchmarks.contenders import inline, pages
from tornado_unblock import configure, unblock


@unblock
class Trivial(inline.Trivial):
    """As it was written."""


@unblock
class Wait(inline.Wait):
    """As it was written."""


@unblock
class Body(inline.Body):
    """As it was written."""


@unblock
class Hooks(inline.Hooks):
    """As it was written."""


@unblock
class Legacy(inline.Legacy):
    """As it was written."""


def application(workers: int) -> Application:
    """Return the application; limits, fairness and statistics are on."""
    configure(max_workers=workers)
    handlers = pages(Trivial, Wait, Body, Hooks, Legacy)
    return Application(handlers, template_path=str(inline.FOLDER))
