"""The leaves on their own, callable from both colours; two of them at once."""

import asyncio
import contextlib
import logging
from typing import Any

import tornado.web

from examples.order_service.common import ATTEMPTS, RETRY_PAUSE, PingHandler, as_order
from tornado_unblock import shim, unblock
from tornado_unblock.shim import requests, time

log = logging.getLogger("orders")


class OrderDetailHandler(tornado.web.RequestHandler):
    """What the customer bought, and where the parcel is."""

    @unblock
    def get(self) -> None:
        order_id = int(self.get_argument("id"))
        order, parcel = order_and_parcel(self.settings, order_id)
        with open(self.settings["footer"], encoding="utf-8") as footer:
            text = footer.read().strip()
        log.info("order %d shown to %s", order_id, self.request.remote_ip)
        self.write({**order, "parcel": parcel, "footer": text})


@shim.dual
async def order_and_parcel(settings: dict[str, Any], order_id: int) -> Any:
    return await asyncio.gather(
        load_order.aio(settings["database"], order_id),
        track_parcel.aio(settings["logistics"], order_id),
    )


@shim.dual
def load_order(database: Any, order_id: int) -> dict[str, Any]:
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(database.order_query, (order_id,))
        row = cursor.fetchone()
        if row is None:
            raise tornado.web.HTTPError(404, "no order %d", order_id)
        cursor.execute(database.items_query, (order_id,))
        items = cursor.fetchall()
    return as_order(row, items)


@shim.dual
async def track_parcel(logistics: str, order_id: int) -> Any:
    for _ in range(ATTEMPTS):
        response = await requests.get.aio(
            logistics, params={"order": order_id}, timeout=30
        )
        if response.status_code != 503:
            break
        await time.sleep.aio(RETRY_PAUSE)
    response.raise_for_status()
    return response.json()


ROUTES = [(r"/api/v1/order/detail", OrderDetailHandler), (r"/ping", PingHandler)]
