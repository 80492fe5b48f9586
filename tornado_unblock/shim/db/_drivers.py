"""Which driver serves which colour."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, Optional, Union

from sqlalchemy import make_url
from sqlalchemy.engine import URL

from tornado_unblock._errors import ConfigurationError

WORKER = "worker"

# SQLAlchemy's name of a driver, and the module to import. The first that is
# installed is taken.
_SYNC = {
    "mysql": {"mysqldb": "MySQLdb", "pymysql": "pymysql"},
    "postgresql": {"psycopg2": "psycopg2", "psycopg": "psycopg"},
    "sqlite": {"pysqlite": "sqlite3"},
}
# None for SQLite by choice: its async drivers are a thread and several hops a
# statement, a worker is one hop.
_ASYNC = {
    "mysql": {"asyncmy": "asyncmy", "aiomysql": "aiomysql"},
    "postgresql": {"psycopg": "psycopg", "asyncpg": "asyncpg"},
    "sqlite": {},
}
_SAME = {"mariadb": "mysql", "postgres": "postgresql"}
# What is written for one driver, or for threads, and may mean nothing to another.
_SYNC_ONLY = ("connect_args", "creator", "module", "pool", "poolclass")


def sync_url(url: Union[str, URL]) -> URL:
    """Return the URL with its sync driver.

    Raises:
        ImportError: The driver is not installed, or none is.
    """
    parsed = make_url(url)
    backend, _, driver = parsed.drivername.partition("+")
    backend = _SAME.get(backend, backend)
    if backend not in _SYNC:
        return parsed
    known = _SYNC[backend]
    if driver == "aiosqlite" or (driver in _ASYNC[backend] and driver not in known):
        driver = ""
    wanted = {driver: known.get(driver, driver)} if driver else known
    found = _first(wanted)
    if found is None:
        raise _missing(backend, wanted)
    return _with_driver(parsed, backend, found)


def async_url(
    url: Union[str, URL], driver: Optional[str], options: Mapping[str, Any]
) -> Optional[URL]:
    """Return the URL with its async driver; None to use a worker.

    Args:
        url: What the user wrote.
        driver: An async driver, `WORKER`, or None for the first that is installed
            and that the options suit.
        options: What the engine is made with.

    Raises:
        ImportError: The driver is not installed.
        ConfigurationError: The database has no such driver.
    """
    parsed = make_url(url)
    backend, _, written = parsed.drivername.partition("+")
    backend = _SAME.get(backend, backend)
    known = _ASYNC.get(backend, {})
    if driver is None and written in known and written not in _SYNC[backend]:
        driver = written
    if driver is None:
        found = _first(_suitable(parsed, backend, options))
        return _with_driver(parsed, backend, found) if found else None
    if driver == WORKER:
        return None
    if driver not in known:
        raise ConfigurationError(
            f"{backend} has no async driver {driver!r} here; there are "
            f"{', '.join((*known, WORKER))}"
        )
    if _first({driver: known[driver]}) is None:
        raise _missing(backend, {driver: known[driver]})
    return _with_driver(parsed, backend, driver)


def async_options(
    options: Mapping[str, Any], connect_args: Optional[dict[str, Any]]
) -> dict[str, Any]:
    """Return what an async engine is made with, given all options."""
    chosen = {key: options[key] for key in options if key not in _SYNC_ONLY}
    return {**chosen, "connect_args": connect_args or {}}


def _suitable(url: URL, backend: str, options: Mapping[str, Any]) -> Mapping[str, str]:
    if any(name in options for name in _SYNC_ONLY):
        return {}
    known = dict(_ASYNC.get(backend, {}))
    if url.query:
        known.pop("asyncpg", None)  # the others take libpq's options, it does not
    return known


def _with_driver(url: URL, backend: str, driver: str) -> URL:
    url = url.set(drivername=f"{backend}+{driver}")
    if backend == "mysql" and "charset" not in url.query:
        # The drivers' own defaults differ.
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url


def _first(drivers: Mapping[str, str]) -> Optional[str]:
    return next((name for name in drivers if _installed(drivers[name])), None)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _missing(backend: str, wanted: Mapping[str, str]) -> ImportError:
    return ImportError(
        f"shim.db needs a driver for {backend} ({' or '.join(wanted)}) and found "
        f"none: pip install 'tornado-unblock[{backend}]'"
    )
