"""The tables of a small shop, its rows, and the two queries of the order page."""

from __future__ import annotations

import datetime
import random
from typing import Any

CUSTOMERS = 500
ORDERS = 4000
FIRST_ORDER = 1001
POPULAR = 50  # orders that nine requests in ten are about
MOST_ITEMS = 6

TABLES = ("items", "orders", "customers")

# {p} is the prefix of this run's tables, {value} the driver's placeholder.
CREATE = (
    "CREATE TABLE {p}customers (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL)",
    "CREATE TABLE {p}orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL,"
    " status VARCHAR(10) NOT NULL, placed_on VARCHAR(10) NOT NULL)",
    "CREATE TABLE {p}items (order_id INTEGER NOT NULL, line INTEGER NOT NULL,"
    " sku VARCHAR(10) NOT NULL, quantity INTEGER NOT NULL, cents INTEGER NOT NULL,"
    " PRIMARY KEY (order_id, line))",
    "CREATE INDEX {p}by_customer ON {p}orders (customer_id)",
)

ORDER_QUERY = """
SELECT o.id, o.status, o.placed_on, c.name,
       COUNT(DISTINCT bought.id), SUM(i.quantity * i.cents)
FROM {p}orders o
JOIN {p}customers c ON c.id = o.customer_id
JOIN {p}orders bought ON bought.customer_id = c.id
JOIN {p}items i ON i.order_id = bought.id
WHERE o.id = {value}
GROUP BY o.id, o.status, o.placed_on, c.name
"""

ITEMS_QUERY = (
    "SELECT sku, quantity, cents FROM {p}items WHERE order_id = {value} ORDER BY line"
)

Rows = list[tuple[Any, ...]]


def rows() -> dict[str, Rows]:
    """Make up the shop's rows: the same ones every time."""
    chance = random.Random(1001)
    first_day = datetime.date(2024, 1, 1)
    orders: Rows = []
    items: Rows = []
    for order in range(FIRST_ORDER, FIRST_ORDER + ORDERS):
        day = first_day + datetime.timedelta(days=chance.randrange(700))
        status = chance.choice(("paid", "packed", "sent", "delivered"))
        orders.append((order, chance.randint(1, CUSTOMERS), status, day.isoformat()))
        for line in range(1, chance.randint(1, MOST_ITEMS) + 1):
            sku = f"SKU-{chance.randint(1, 9999):04}"
            items.append(
                (order, line, sku, chance.randint(1, 5), chance.randint(99, 9999))
            )
    customers: Rows = [
        (number, f"Customer {number}") for number in range(1, CUSTOMERS + 1)
    ]
    return {"customers": customers, "orders": orders, "items": items}
