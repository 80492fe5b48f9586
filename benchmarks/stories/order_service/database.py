"""The orders, in tables that belong to one run."""

from __future__ import annotations

import contextlib
import functools
import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import drivers
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.stories.order_service import schema

# DB-API 2.0 gives connections no common base class.
Connection = Any

BATCH = 200  # rows an INSERT carries; SQLite may limit the parameters to 999


@dataclass(frozen=True)
class Database:
    """Where the orders are.

    Attributes:
        url: The database.
        prefix: What the names of this run's tables begin with.
    """

    url: str
    prefix: str

    @property
    def driver(self) -> drivers.Driver:
        """The driver that the URL asks for."""
        return drivers.DRIVERS[drivers.parse_url(self.url).scheme]

    @property
    def order_query(self) -> str:
        """The query that reads an order and what its customer ever bought."""
        return self._sql(schema.ORDER_QUERY)

    @property
    def items_query(self) -> str:
        """The query that reads an order's items."""
        return self._sql(schema.ITEMS_QUERY)

    @property
    def pooled_order_query(self) -> str:
        """The same for `pool`, which has one placeholder for all drivers."""
        return schema.ORDER_QUERY.format(p=self.prefix, value="%s")

    @property
    def pooled_items_query(self) -> str:
        """The same for `pool`."""
        return schema.ITEMS_QUERY.format(p=self.prefix, value="%s")

    @functools.cached_property
    def pool(self) -> Any:
        """Pooled connections for both colours; for the later stages only."""
        from tornado_unblock.shim.db import Database as Pool

        return Pool(**self.driver.pool(drivers.parse_url(self.url)))

    def connect(self) -> Connection:
        """Open a new connection."""
        driver = self.driver
        return driver.load().connect(**driver.arguments(drivers.parse_url(self.url)))

    def version(self) -> str:
        """Ask the database what it is."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(self.driver.version)
            number = cursor.fetchone()[0].split()[0]  # some add where they come from
            return f"{self.driver.server} {number}"

    def create(self) -> None:
        """Create and fill the tables."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            for statement in schema.CREATE:
                cursor.execute(self._sql(statement))
            for table, rows in schema.rows().items():
                self._insert(cursor, table, rows)
            connection.commit()
            for table in schema.TABLES if self.driver.analyze else ():
                cursor.execute(self.driver.analyze.format(self.prefix + table))
            connection.commit()

    def drop(self) -> None:
        """Drop the tables, those of them that exist."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            for table in schema.TABLES:
                cursor.execute(f"DROP TABLE IF EXISTS {self.prefix}{table}")
            connection.commit()

    def _insert(self, cursor: Any, table: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = iter(rows)
        while batch := list(itertools.islice(rows, BATCH)):
            row = "(" + ", ".join([self.driver.placeholder] * len(batch[0])) + ")"
            values = ", ".join([row] * len(batch))
            cursor.execute(
                f"INSERT INTO {self.prefix}{table} VALUES {values}",
                list(itertools.chain.from_iterable(batch)),
            )

    def _sql(self, template: str) -> str:
        return template.format(p=self.prefix, value=self.driver.placeholder)


@contextlib.contextmanager
def prepared(
    url: str, interrupts: Interrupts, prefix: str | None = None
) -> Iterator[Database]:
    """Provide a database with orders in it; its tables are gone after the block.

    Args:
        url: The database.
        interrupts: What lets Ctrl-C through while it is set up.
        prefix: What the tables' names begin with; None for one that nobody has.

    Raises:
        SetupError: It cannot be reached or refuses the tables.
    """
    database = Database(url, prefix or f"order_demo_{secrets.token_hex(4)}_")
    driver = database.driver
    errors = driver.load().Error
    try:
        with interrupts.allowed():
            database.connect().close()
    except errors as error:
        raise SetupError(
            f"Cannot connect to {driver.server} at {_place(url)}: {_brief(error)}"
        ) from error
    try:
        with interrupts.allowed():
            _create(database)
        yield database
    finally:
        _drop(database)


def _create(database: Database) -> None:
    try:
        database.create()
    except database.driver.load().Error as error:
        raise SetupError(
            f"{database.driver.server} refuses the tables: {_brief(error)}"
        ) from error


def _drop(database: Database) -> None:
    try:
        database.drop()
    except database.driver.load().Error as error:
        raise DemoError(
            f"The tables {database.prefix}* could not be dropped: {_brief(error)}"
        ) from error


def _place(text: str) -> str:
    url = drivers.parse_url(text)
    if url.scheme == "sqlite":
        return url.path
    return f"{url.hostname}:{url.port or drivers.DRIVERS[url.scheme].port}"


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())
