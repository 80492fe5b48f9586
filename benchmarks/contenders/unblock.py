"""`@unblock` on each method that blocks: the handlers of `inline`, and that line."""

from __future__ import annotations

import time

from tornado.web import Application, RequestHandler

from benchmarks.contenders import DONE, imported, pages
from benchmarks.contenders.inline import FOLDER, ORDERS
from tornado_unblock import configure, unblock


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    @unblock
    def get(self) -> None:
        """Answer."""
        self.write(DONE)


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    @unblock
    def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        time.sleep(float(seconds))
        self.write(DONE)


class Body(RequestHandler):
    """A body as users have it."""

    @unblock
    def get(self, name: str) -> None:
        """Answer."""
        self.write(imported("bodies").answer(name))


class Hooks(RequestHandler):
    """A handler with the hooks that most legacy ones have: three hops."""

    @unblock
    def prepare(self) -> None:
        """Open what `on_finish` closes."""
        self.session = [DONE]

    @unblock
    def get(self) -> None:
        """Answer from it."""
        self.write(self.session[0])

    @unblock
    def on_finish(self) -> None:
        """Close it."""
        self.session.clear()


class Legacy(RequestHandler):
    """A page in the style of ten years ago."""

    @unblock
    def get(self) -> None:
        """Write, set headers and render, which finishes."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Orders", str(len(ORDERS)))
        self.write("<!doctype html>\n")
        self.render("legacy.html", orders=ORDERS)


def application(workers: int) -> Application:
    """Return the application; limits, fairness and statistics are on."""
    configure(max_workers=workers)
    handlers = pages(Trivial, Wait, Body, Hooks, Legacy)
    return Application(handlers, template_path=str(FOLDER))
