"""The body on worker threads, as many as there are requests."""

import tornado.web

from examples.cpu_bodies.work import add_up
from tornado_unblock import unblock


class TotalHandler(tornado.web.RequestHandler):
    """Computes."""

    @unblock
    def get(self) -> None:
        total = add_up(self.settings["steps"])
        self.write({"total": total})


class PingHandler(tornado.web.RequestHandler):
    """The neighbour: it only has to answer."""

    def get(self) -> None:
        self.write("pong")


ROUTES = [(r"/total", TotalHandler), (r"/ping", PingHandler)]
