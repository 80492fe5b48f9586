"""asgiref's `sync_to_async`, on a pool as Django's async views can have it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import sync_to_async
from tornado.web import Application, RequestHandler

from benchmarks.contenders import by_hand, pages


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    async def get(self) -> None:
        """Answer."""
        self.write(await self.settings["work"]())


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    async def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        self.write(await self.settings["work"](float(seconds)))


def application(workers: int) -> Application:
    """Return the application, with a pool of its own."""
    pool = ThreadPoolExecutor(workers)
    work = sync_to_async(by_hand.work, thread_sensitive=False, executor=pool)
    return Application(pages(Trivial, Wait), work=work)
