"""The desk's tables, in an SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

SHOWS = (("hamlet", "Hamlet", 3500, 1_000_000), ("macbeth", "Macbeth", 4200, 3))
BIG, SMALL = "hamlet", "macbeth"  # a show with seats for all, and one without

CREATE = """
PRAGMA journal_mode = WAL;
CREATE TABLE shows (
    name TEXT PRIMARY KEY, title TEXT NOT NULL, cents INT NOT NULL, free INT NOT NULL
);
CREATE TABLE bookings (
    number INTEGER PRIMARY KEY, show TEXT NOT NULL, seats INT NOT NULL,
    code TEXT NOT NULL, asked_by TEXT NOT NULL
);
"""


def create(path: Path) -> None:
    """Write a database with two shows and no bookings."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(CREATE)
        connection.executemany("INSERT INTO shows VALUES (?, ?, ?, ?)", SHOWS)
        connection.commit()
