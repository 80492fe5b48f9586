"""The body on the loop thread."""

import tornado.web

from examples.cpu_bodies.work import add_up


class TotalHandler(tornado.web.RequestHandler):
    """Computes."""

    def get(self) -> None:
        total = add_up(self.settings["steps"])
        self.write({"total": total})


class PingHandler(tornado.web.RequestHandler):
    """The neighbour: it only has to answer."""

    def get(self) -> None:
        self.write("pong")


ROUTES = [(r"/total", TotalHandler), (r"/ping", PingHandler)]
