"""The three SQL drivers: how a URL becomes their arguments, and where they differ."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Callable
from urllib.parse import SplitResult, unquote, urlsplit

from benchmarks.harness.errors import SetupError

CONNECT_TIMEOUT = 10  # seconds
LOOPBACK = ("127.0.0.1", "::1", "localhost")

ADVICE = (
    "Use sqlite:///path/to/file, mysql://user:password@host:port/database "
    "or postgresql://user:password@host:port/database."
)

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Driver:
    """A blocking DB-API 2.0 driver.

    Attributes:
        server: What it talks to, for messages.
        module: The module to import.
        package: What to install for it; "" if Python brings it.
        port: Where its server usually listens.
        placeholder: How a parameter is written in a query.
        version: The query that asks the server for its version.
        analyze: The statement that refreshes a table's statistics, which the server
            might otherwise do while it is measured; "" if it never does.
        arguments: What `connect` takes, from a URL.
        dialect: What SQLAlchemy calls it.
    """

    server: str
    module: str
    package: str
    port: int
    placeholder: str
    version: str
    analyze: str
    arguments: Callable[[SplitResult], Arguments]
    dialect: str

    def pool(self, url: SplitResult) -> dict[str, Any]:
        """Return what `tornado_unblock.shim.db.Database` takes."""
        import sqlalchemy

        arguments = self.arguments(url)
        place: Arguments = {
            k: arguments.pop(k) for k in ("host", "port", "database") if k in arguments
        }
        place["username"] = arguments.pop("user", None)
        place["password"] = arguments.pop("password", None)
        return {
            "url": sqlalchemy.URL.create(self.dialect, **place),
            "connect_args": arguments,
            "async_connect_args": {},
        }

    def load(self) -> ModuleType:
        """Import the driver.

        Raises:
            SetupError: It is not installed.
        """
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            raise SetupError(
                f"{self.server} needs the driver {self.package}, which is not "
                "installed: pip install 'tornado-unblock[examples]'"
            ) from error


def sqlite_arguments(url: SplitResult) -> Arguments:
    """Return what `sqlite3.connect` takes."""
    return {"database": unquote(url.path)}


def _server_arguments(url: SplitResult) -> Arguments:
    given = {
        "host": url.hostname,
        "port": url.port,
        "user": url.username and unquote(url.username),
        "password": url.password and unquote(url.password),
        "database": unquote(url.path.lstrip("/")),
    }
    return {name: value for name, value in given.items() if value}


def mysql_arguments(url: SplitResult) -> Arguments:
    """Return what `pymysql.connect` takes."""
    arguments = {**_server_arguments(url), "connect_timeout": CONNECT_TIMEOUT}
    # PyMySQL 1.2 prepares for TLS on every connect, even if the server offers none.
    # That is tens of milliseconds of computing, which no thread can take away.
    arguments["ssl_disabled"] = url.hostname in LOOPBACK
    return arguments


def postgresql_arguments(url: SplitResult) -> Arguments:
    """Return what `psycopg2.connect` takes."""
    return {**_server_arguments(url), "connect_timeout": CONNECT_TIMEOUT}


SQLITE = Driver(
    server="SQLite",
    module="sqlite3",
    package="",
    port=0,
    placeholder="?",
    version="SELECT sqlite_version()",
    analyze="",  # it would leave a table of SQLite's own behind
    arguments=sqlite_arguments,
    dialect="sqlite",
)
MYSQL = Driver(
    server="MySQL/MariaDB",
    module="pymysql",
    package="PyMySQL",
    port=3306,
    placeholder="%s",
    version="SELECT version()",
    analyze="ANALYZE TABLE {}",
    arguments=mysql_arguments,
    dialect="mysql+pymysql",
)
POSTGRESQL = Driver(
    server="PostgreSQL",
    module="psycopg2",
    package="psycopg2-binary",
    port=5432,
    placeholder="%s",
    version="SHOW server_version",
    analyze="ANALYZE {}",
    arguments=postgresql_arguments,
    dialect="postgresql+psycopg2",
)
DRIVERS = {
    "sqlite": SQLITE,
    "mysql": MYSQL,
    "mariadb": MYSQL,
    "postgresql": POSTGRESQL,
    "postgres": POSTGRESQL,
}


def parse_url(text: str) -> SplitResult:
    """Split a database URL.

    Raises:
        SetupError: It names no known database, or lacks a part.
    """
    # Messages do not repeat the URL: it may hold a password.
    try:
        url = urlsplit(text)
        _ = url.port  # it is parsed only now
    except ValueError as error:
        raise SetupError(f"That is no database URL: {error}. {ADVICE}") from error
    if url.scheme not in DRIVERS:
        raise SetupError(f"No database is known by {url.scheme!r}. {ADVICE}")
    if not url.path.strip("/") or not (url.hostname or url.scheme == "sqlite"):
        raise SetupError(f"The database URL lacks a part. {ADVICE}")
    return url
