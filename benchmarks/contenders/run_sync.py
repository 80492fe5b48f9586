"""anyio's `to_thread.run_sync`, written into each handler."""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from tornado.web import Application, RequestHandler

from benchmarks.contenders import pages
from benchmarks.contenders.by_hand import work


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    async def get(self) -> None:
        """Answer."""
        self.write(await to_thread.run_sync(work, limiter=self.settings["limiter"]))


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    async def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        limiter = self.settings["limiter"]
        self.write(await to_thread.run_sync(work, float(seconds), limiter=limiter))


def application(workers: int) -> Application:
    """Return the application, with a limiter of its own."""
    return Application(pages(Trivial, Wait), limiter=CapacityLimiter(workers))
