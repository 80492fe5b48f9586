"""The body on worker threads that give up the interpreter lock more often."""

import sys

import tornado.web

from examples.cpu_bodies.work import add_up
from tornado_unblock import unblock

sys.setswitchinterval(0.0005)  # seconds; 0.005 unless set


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
