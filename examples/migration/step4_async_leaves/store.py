"""The database: a connection for each thread, and with it the thread's transaction."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any, Optional

import tornado.web

from tornado_unblock import shim

from .context import request_id

_local = threading.local()


def connection() -> sqlite3.Connection:
    if not hasattr(_local, "connection"):
        path = os.environ["TICKETS_DATABASE"]
        _local.connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connected: sqlite3.Connection = _local.connection
    return connected


@shim.contextmanager
def transaction() -> Iterator[None]:
    with connection():  # commits in the end, or rolls back
        connection().execute("BEGIN IMMEDIATE")
        yield


@shim.dual
def price(show: str) -> int:
    query = "SELECT cents FROM shows WHERE name = ?"
    row = connection().execute(query, (show,)).fetchone()
    if row is None:
        raise tornado.web.HTTPError(404, reason="No Such Show")
    return int(row[0])


@shim.dual
def add_booking(show: str, seats: int, code: str) -> Optional[int]:
    query = "INSERT INTO bookings (show, seats, code, asked_by) VALUES (?, ?, ?, ?)"
    row = (show, seats, code, request_id.get())
    return connection().execute(query, row).lastrowid


@shim.dual
def take_seats(show: str, seats: int) -> None:
    query = "UPDATE shows SET free = free - ? WHERE name = ? AND free >= ?"
    if not connection().execute(query, (seats, show, seats)).rowcount:
        raise tornado.web.HTTPError(409, reason="Sold Out")


@shim.dual
def sales() -> list[Any]:
    return (
        connection()
        .execute(
            "SELECT title, COALESCE(SUM(seats), 0), COALESCE(SUM(seats * cents), 0)"
            " FROM shows LEFT JOIN bookings ON show = name GROUP BY name ORDER BY name"
        )
        .fetchall()
    )
