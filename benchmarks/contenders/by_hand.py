"""`await loop.run_in_executor(...)`, written into each handler."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from tornado.web import Application, RequestHandler

from benchmarks.contenders import DONE, imported, pages


def work(seconds: float = 0.0) -> str:
    """Block, if asked to."""
    if seconds:
        time.sleep(seconds)
    return DONE


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    async def get(self) -> None:
        """Answer."""
        loop = asyncio.get_running_loop()
        self.write(await loop.run_in_executor(self.settings["pool"], work))


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    async def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        loop, pool = asyncio.get_running_loop(), self.settings["pool"]
        self.write(await loop.run_in_executor(pool, work, float(seconds)))


class Body(RequestHandler):
    """A body as users have it."""

    async def get(self, name: str) -> None:
        """Answer."""
        loop, pool = asyncio.get_running_loop(), self.settings["pool"]
        self.write(await loop.run_in_executor(pool, imported("bodies").answer, name))


def application(workers: int) -> Application:
    """Return the application, with a pool of its own."""
    return Application(pages(Trivial, Wait, Body), pool=ThreadPoolExecutor(workers))
