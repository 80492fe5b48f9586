"""The routes of the ticket desk."""

from tornado.web import RequestHandler

from . import models
from .context import request_id


class DeskHandler(RequestHandler):
    def prepare(self) -> None:
        request_id.set(self.request.headers.get("X-Request-Id", "-"))


class BookHandler(DeskHandler):
    def post(self) -> None:
        show, seats = self.get_argument("show"), int(self.get_argument("seats"))
        self.write(models.book(show, seats))


class TakingsHandler(DeskHandler):
    def get(self) -> None:
        self.write({"takings": models.takings()})


class PingHandler(RequestHandler):
    def get(self) -> None:
        self.write("pong")


ROUTES = [
    (r"/book", BookHandler),
    (r"/takings", TakingsHandler),
    (r"/ping", PingHandler),
]
