"""The body on one worker thread at a time, which gives up the lock more often."""

import sys

import tornado.web

from examples.cpu_bodies.work import add_up
from tornado_unblock import configure, unblock

sys.setswitchinterval(0.0005)  # seconds; 0.005 unless set
configure("cpu", max_workers=1)


class TotalHandler(tornado.web.RequestHandler):
    """Computes."""

    @unblock(executor="cpu")
    def get(self) -> None:
        total = add_up(self.settings["steps"])
        self.write({"total": total})


class PingHandler(tornado.web.RequestHandler):
    """The neighbour: it only has to answer."""

    def get(self) -> None:
        self.write("pong")


ROUTES = [(r"/total", TotalHandler), (r"/ping", PingHandler)]
