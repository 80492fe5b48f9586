"""What no stage changes: the shape of an order, and the route beside it."""

from typing import Any

import tornado.web

ATTEMPTS = 3
RETRY_PAUSE = 0.05  # seconds
ORDER = ["id", "status", "placed_on", "customer", "customer_orders", "customer_cents"]
ITEM = ("sku", "quantity", "cents")


def as_order(row: Any, items: Any) -> dict[str, Any]:
    order: dict[str, Any] = dict(zip(ORDER, row))
    order["customer_cents"] = int(order["customer_cents"])
    order["items"] = [dict(zip(ITEM, item)) for item in items]
    return order


class PingHandler(tornado.web.RequestHandler):
    """The route that a load balancer asks: it only has to answer."""

    def get(self) -> None:
        self.write("pong")
