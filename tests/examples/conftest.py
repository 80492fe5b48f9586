"""What the tests of the order service share."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Callable

import pytest

from benchmarks.harness.interrupts import Interrupts
from benchmarks.stories.order_service.database import Database

INFORMATION_SCHEMA = "information_schema.tables WHERE table_name LIKE %s"
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name LIKE ?",
    "mysql": f"SELECT table_name FROM {INFORMATION_SCHEMA}",
    "postgresql": f"SELECT table_name FROM {INFORMATION_SCHEMA}",
}


@pytest.fixture(params=["sqlite", "mysql", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of each database in turn."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/orders.sqlite"
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def interrupts() -> Interrupts:
    """Return one that leaves pytest's signal handlers alone: it is not entered."""
    return Interrupts()


@pytest.fixture
def tables() -> Callable[[Database], list[str]]:
    """Return what lists the tables of one run; without a prefix, all tables."""

    def names(database: Database) -> list[str]:
        query = TABLES[database.url.partition(":")[0]]
        with contextlib.closing(database.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(query, (database.prefix + "%",))
            return sorted(name for (name,) in cursor.fetchall())

    return names
