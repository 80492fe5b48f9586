"""Orders behind a view that takes as long as it is told."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from benchmarks.harness import drivers
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.interrupts import Interrupts

ORDERS = 50
SECONDS = 0.02  # a good day
_SLEEP = {"postgresql": "pg_sleep(seconds) IS NULL", "": "sleep(seconds) = 1"}


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
    def orders(self) -> str:
        """The view."""
        return f"{self.prefix}orders"

    def engine(self, connections: int = 1) -> sqlalchemy.Engine:
        """Return an engine with so many connections at most."""
        url = drivers.parse_url(self.url)
        pool = drivers.DRIVERS[url.scheme].pool(url)
        engine = sqlalchemy.create_engine(
            pool["url"],
            connect_args=pool["connect_args"],
            pool_size=connections,
            max_overflow=0,
        )
        if engine.dialect.name == "sqlite":
            sqlalchemy.event.listen(engine, "connect", _teach)
        return engine

    def create(self) -> None:
        """Create the tables and the view."""
        p, engine = self.prefix, self.engine()
        sleeps = _SLEEP.get(engine.dialect.name, _SLEEP[""])
        wal = ["PRAGMA journal_mode=WAL"] if engine.dialect.name == "sqlite" else []
        rows = ", ".join(f"({n}, 'item {n}')" for n in range(ORDERS))
        self._run(
            engine,
            *wal,
            f"CREATE TABLE {p}trouble (seconds FLOAT)",
            f"INSERT INTO {p}trouble VALUES ({SECONDS})",
            f"CREATE TABLE {p}items (id INTEGER PRIMARY KEY, item VARCHAR(20))",
            f"INSERT INTO {p}items VALUES {rows}",
            f"CREATE VIEW {self.orders} AS SELECT id, item, "
            f"CASE WHEN {sleeps} THEN 0 ELSE 7 END AS stock "
            f"FROM {p}items CROSS JOIN {p}trouble",
        )

    def take(self, seconds: float) -> None:
        """Have each order take so long from now on."""
        self._run(
            self.engine(), f"UPDATE {self.prefix}trouble SET seconds = {seconds:g}"
        )

    def drop(self) -> None:
        """Drop what `create` has created, as far as it is there."""
        tables = (
            f"DROP TABLE IF EXISTS {self.prefix}{t}" for t in ("trouble", "items")
        )
        self._run(self.engine(), f"DROP VIEW IF EXISTS {self.orders}", *tables)

    def _run(self, engine: sqlalchemy.Engine, *statements: str) -> None:
        try:
            with engine.begin() as connection:
                for statement in statements:
                    connection.execute(sqlalchemy.text(statement))
        finally:
            engine.dispose()


def _teach(connection: Any, record: Any) -> None:
    """Teach SQLite to sleep, as the others can."""
    connection.create_function("sleep", 1, time.sleep)


@contextlib.contextmanager
def prepared(url: str, interrupts: Interrupts) -> Iterator[Database]:
    """Provide a database with orders; its tables are gone after the block.

    Raises:
        SetupError: It cannot be reached, or refuses the tables.
    """
    drivers.DRIVERS[drivers.parse_url(url).scheme].load()
    database = Database(url, f"incident_{secrets.token_hex(4)}_")
    with contextlib.ExitStack() as stack:
        stack.callback(_drop, database)
        try:
            with interrupts.allowed():
                database.create()
        except sqlalchemy.exc.SQLAlchemyError as error:
            stack.pop_all()
            with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                database.drop()
            raise SetupError(f"The database cannot be used: {_brief(error)}") from error
        yield database


def _drop(database: Database) -> None:
    try:
        database.drop()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise DemoError(
            f"{database.prefix}* could not be dropped: {_brief(error)}"
        ) from error


def _brief(error: sqlalchemy.exc.SQLAlchemyError) -> str:
    return " ".join(str(getattr(error, "orig", error)).split())
