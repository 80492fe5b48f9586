"""Tornado's `@run_on_executor`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tornado.concurrent import run_on_executor
from tornado.web import Application, RequestHandler

from benchmarks.contenders import pages
from benchmarks.contenders.by_hand import work


class Worker(RequestHandler):
    """What both handlers share."""

    @property
    def executor(self) -> Any:
        """The name under which the decorator looks for it."""
        return self.settings["pool"]

    @run_on_executor
    def work(self, *args: float) -> str:
        """Block, if asked to."""
        return work(*args)


class Trivial(Worker):
    """A body that does nothing: what is left is the way there and back."""

    async def get(self) -> None:
        """Answer."""
        self.write(await self.work())


class Wait(Worker):
    """A body that waits, as for a database."""

    async def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        self.write(await self.work(float(seconds)))


def application(workers: int) -> Application:
    """Return the application, with a pool of its own."""
    return Application(pages(Trivial, Wait), pool=ThreadPoolExecutor(workers))
