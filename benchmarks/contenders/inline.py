"""Handlers as they were written: they block the loop."""

from __future__ import annotations

import time
from pathlib import Path

from tornado.web import Application, RequestHandler

from benchmarks.contenders import DONE, imported, pages

FOLDER = Path(__file__).parent
ORDERS = [{"number": n, "title": f"Order <{n}>", "cents": 199 * n} for n in range(10)]


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    def get(self) -> None:
        """Answer."""
        self.write(DONE)


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        time.sleep(float(seconds))
        self.write(DONE)


class Body(RequestHandler):
    """A body as users have it."""

    def get(self, name: str) -> None:
        """Answer."""
        self.write(imported("bodies").answer(name))


class Hooks(RequestHandler):
    """A handler with the hooks that most legacy ones have."""

    def prepare(self) -> None:
        """Open what `on_finish` closes."""
        self.session = [DONE]

    def get(self) -> None:
        """Answer from it."""
        self.write(self.session[0])

    def on_finish(self) -> None:
        """Close it."""
        self.session.clear()


class Legacy(RequestHandler):
    """A page in the style of ten years ago."""

    def get(self) -> None:
        """Write, set headers and render, which finishes."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Orders", str(len(ORDERS)))
        self.write("<!doctype html>\n")
        self.render("legacy.html", orders=ORDERS)


def application(workers: int) -> Application:
    """Return the application; it has no workers."""
    handlers = pages(Trivial, Wait, Body, Hooks, Legacy)
    return Application(handlers, template_path=str(FOLDER))
