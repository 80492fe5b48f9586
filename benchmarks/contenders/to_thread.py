"""`await asyncio.to_thread(...)`, written into each handler."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from tornado.web import Application, RequestHandler

from benchmarks.contenders import pages
from benchmarks.contenders.by_hand import work


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    async def get(self) -> None:
        """Answer."""
        self.write(await asyncio.to_thread(work))


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    async def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        self.write(await asyncio.to_thread(work, float(seconds)))


def application(workers: int) -> Application:
    """Return the application; its workers are the loop's."""
    pool = ThreadPoolExecutor(workers)
    asyncio.get_running_loop().set_default_executor(pool)
    return Application(pages(Trivial, Wait))
