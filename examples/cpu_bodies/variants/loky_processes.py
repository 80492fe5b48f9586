"""The computing in two processes of loky, which also takes closures."""

import functools

import loky  # type: ignore[import-untyped]
import tornado.web

from examples.cpu_bodies.work import add_up
from tornado_unblock import configure, run_in_executor

PROCESSES = 2
pool = functools.partial(loky.get_reusable_executor, max_workers=PROCESSES)
# One route is all there is: it may have both, and none has to be left free.
configure("cpu", factory=pool, max_workers=PROCESSES)


class TotalHandler(tornado.web.RequestHandler):
    """Computes."""

    async def get(self) -> None:
        steps = self.settings["steps"]
        total = await run_in_executor(lambda: add_up(steps), executor="cpu")
        self.write({"total": total})


class PingHandler(tornado.web.RequestHandler):
    """The neighbour: it only has to answer."""

    def get(self) -> None:
        self.write("pong")


ROUTES = [(r"/total", TotalHandler), (r"/ping", PingHandler)]
