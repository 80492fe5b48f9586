"""Native coroutines: nothing blocks. What the others are measured against."""

from __future__ import annotations

import asyncio

from tornado.web import Application, RequestHandler

from benchmarks.contenders import DONE, imported, pages


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    async def get(self) -> None:
        """Answer."""
        self.write(DONE)


class Wait(RequestHandler):
    """A body that waits without blocking."""

    async def get(self, seconds: str) -> None:
        """Answer after so many seconds."""
        await asyncio.sleep(float(seconds))
        self.write(DONE)


class Body(RequestHandler):
    """A body as users have it, rewritten with asynchronous drivers."""

    async def get(self, name: str) -> None:
        """Answer."""
        self.write(await imported("async_bodies").answer(name))


def application(workers: int) -> Application:
    """Return the application; it has no workers."""
    return Application(pages(Trivial, Wait, Body))
