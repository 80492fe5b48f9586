"""The handler itself is native async: every leaf is awaited, all three at once."""

import asyncio
import logging
from typing import Any

import tornado.web

from examples.order_service.common import ATTEMPTS, RETRY_PAUSE, PingHandler, as_order
from tornado_unblock.shim import files, requests
from tornado_unblock.shim.cache import cached
from tornado_unblock.shim.logging import unblock_logging
from tornado_unblock.shim.retry import retry

FRESH = 30  # seconds

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


@cached(ttl=FRESH, maxsize=10_000)
async def load_order(database: Any, order_id: int) -> dict[str, Any]:
    pool = database.pool
    row = await pool.execute.aio(database.pooled_order_query, (order_id,), 1)
    if row is None:
        raise tornado.web.HTTPError(404, "no order %d", order_id)
    items = await pool.execute.aio(database.pooled_items_query, (order_id,))
    return as_order(row, items)


@cached(ttl=FRESH, maxsize=10_000)
@retry(
    on=requests.HTTPError, attempts=ATTEMPTS, wait_initial=RETRY_PAUSE, wait_jitter=0
)
async def track_parcel(logistics: str, order_id: int) -> Any:
    response = await requests.get.aio(logistics, params={"order": order_id}, timeout=30)
    response.raise_for_status()
    return response.json()


@cached(ttl=FRESH)
async def footer_text(path: str) -> str:
    return (await files.read_text.aio(path)).strip()


ROUTES = [(r"/api/v1/order/detail", OrderDetailHandler), (r"/ping", PingHandler)]


def set_up() -> None:
    """Move the log file behind a queue."""
    unblock_logging()
