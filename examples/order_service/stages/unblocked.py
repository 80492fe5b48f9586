"""Order detail: SQL, an HTTP call with retries, a file, a log line, JSON."""

import contextlib
import logging
import time
from typing import Any

import requests
import tornado.web

from examples.order_service.common import ATTEMPTS, RETRY_PAUSE, PingHandler, as_order
from tornado_unblock import unblock

log = logging.getLogger("orders")


class OrderDetailHandler(tornado.web.RequestHandler):
    """What the customer bought, and where the parcel is."""

    @unblock
    def get(self) -> None:
        order_id = int(self.get_argument("id"))
        order = self.load_order(order_id)
        order["parcel"] = self.track_parcel(order_id)
        with open(self.settings["footer"], encoding="utf-8") as footer:
            order["footer"] = footer.read().strip()
        log.info("order %d shown to %s", order_id, self.request.remote_ip)
        self.write(order)

    def load_order(self, order_id: int) -> dict[str, Any]:
        database = self.settings["database"]
        with contextlib.closing(database.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(database.order_query, (order_id,))
            row = cursor.fetchone()
            if row is None:
                raise tornado.web.HTTPError(404, "no order %d", order_id)
            cursor.execute(database.items_query, (order_id,))
            items = cursor.fetchall()
        return as_order(row, items)

    def track_parcel(self, order_id: int) -> Any:
        for _ in range(ATTEMPTS):
            response = requests.get(
                self.settings["logistics"], params={"order": order_id}, timeout=30
            )
            if response.status_code != 503:
                break
            time.sleep(RETRY_PAUSE)
        response.raise_for_status()
        return response.json()


ROUTES = [(r"/api/v1/order/detail", OrderDetailHandler), (r"/ping", PingHandler)]
