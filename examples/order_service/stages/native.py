"""The handler itself is native async: all three leaves at once, which stay the same."""

import asyncio
import logging

import tornado.web

from examples.order_service.common import PingHandler
from examples.order_service.stages.no_hidden_blocking import (
    footer_text,
    load_order,
    set_up,
    track_parcel,
)

__all__ = ["ROUTES", "set_up"]

log = logging.getLogger("orders")


class OrderDetailHandler(tornado.web.RequestHandler):
    """What the customer bought, and where the parcel is."""

    async def get(self) -> None:
        order_id = int(self.get_argument("id"))
        order, parcel, text = await asyncio.gather(
            load_order.aio(self.settings["database"], order_id),
            track_parcel.aio(self.settings["logistics"], order_id),
            footer_text.aio(self.settings["footer"]),
        )
        log.info("order %d shown to %s", order_id, self.request.remote_ip)
        self.write({**order, "parcel": parcel, "footer": text})


ROUTES = [(r"/api/v1/order/detail", OrderDetailHandler), (r"/ping", PingHandler)]
