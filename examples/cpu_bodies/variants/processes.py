"""The computing in two processes; the body waits for it."""

import tornado.web

from examples.cpu_bodies.work import add_up
from tornado_unblock import configure, run_in_executor

# One route is all there is: it may have both, and none has to be left free.
configure("cpu", processes=2)


class TotalHandler(tornado.web.RequestHandler):
    """Computes."""

    async def get(self) -> None:
        total = await run_in_executor(add_up, self.settings["steps"], executor="cpu")
        self.write({"total": total})


class PingHandler(tornado.web.RequestHandler):
    """The neighbour: it only has to answer."""

    def get(self) -> None:
        self.write("pong")


ROUTES = [(r"/total", TotalHandler), (r"/ping", PingHandler)]
