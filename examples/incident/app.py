from typing import Any

import sqlalchemy
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from tornado.web import Application, RequestHandler

from tornado_unblock import configure, prometheus, unblock

ORDER = "SELECT item, stock FROM {orders} WHERE id = :id"


@unblock(executor="db")
class Orders(RequestHandler):
    def initialize(self, engine: sqlalchemy.Engine, orders: str) -> None:
        self.engine, self.query = engine, sqlalchemy.text(ORDER.format(orders=orders))

    def get(self, number: str) -> None:
        with self.engine.connect() as connection:
            item, stock = connection.execute(self.query, {"id": int(number)}).one()
        self.write({"item": item, "stock": stock})


class Catalog(RequestHandler):
    @unblock
    def get(self) -> None:
        with open(__file__, encoding="utf-8") as file:
            self.write(file.read())


class Health(RequestHandler):
    def get(self) -> None:
        self.write("ok")


class Metrics(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.write(generate_latest())


def make_app(engine: sqlalchemy.Engine, orders: str, workers: int) -> Application:
    # What asks the database has workers of its own: its trouble stays there.
    configure("db", max_workers=workers, max_waiting=16, queue_timeout=1.5, timeout=2)
    prometheus.register()
    where: dict[str, Any] = {"engine": engine, "orders": orders}
    return Application(
        [
            (r"/orders/(\d+)", Orders, where),
            (r"/catalog", Catalog),
            (r"/health", Health),
            (r"/metrics", Metrics),
        ]
    )
