"""shim.db: which driver is taken, and what is said when there is none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from sqlalchemy import make_url

from tornado_unblock import ConfigurationError
from tornado_unblock.shim.db import Database
from tornado_unblock.shim.db._drivers import async_options, async_url, sync_url

EVERYTHING = {"MySQLdb", "pymysql", "psycopg2", "psycopg", "sqlite3"}
EVERYTHING |= {"asyncmy", "aiomysql", "asyncpg"}


@pytest.fixture
def install(monkeypatch):
    """Return what says which modules there are."""

    def install(modules):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: name if name in modules else None
        )

    install(EVERYTHING)
    return install


@pytest.mark.parametrize(
    ("url", "missing", "chosen"),
    [
        ("mysql://h/d", "", "mysql+mysqldb"),
        ("mariadb://h/d", "MySQLdb", "mysql+pymysql"),
        ("mysql+pymysql://h/d", "", "mysql+pymysql"),
        ("mysql+asyncmy://h/d", "", "mysql+mysqldb"),
        ("postgres://h/d", "", "postgresql+psycopg2"),
        ("postgresql://h/d", "psycopg2", "postgresql+psycopg"),
        ("postgresql+psycopg://h/d", "", "postgresql+psycopg"),
        ("postgresql+asyncpg://h/d", "", "postgresql+psycopg2"),
        ("sqlite:///f", "", "sqlite+pysqlite"),
        ("sqlite+aiosqlite:///f", "", "sqlite+pysqlite"),
        ("oracle+oracledb://h/d", "", "oracle+oracledb"),
    ],
)
def test_sync_drivers(install, url, missing, chosen):
    """The driver that the URL names, else the first that is installed."""
    install(EVERYTHING - {missing})
    assert sync_url(url).drivername == chosen
    assert sync_url(make_url(url)).drivername == chosen


@pytest.mark.parametrize(
    ("url", "driver", "missing", "chosen"),
    [
        ("mysql://h/d", None, "", "mysql+asyncmy"),
        ("mysql://h/d?charset=latin1", None, "asyncmy", "mysql+aiomysql"),
        ("mysql+aiomysql://h/d", None, "", "mysql+aiomysql"),
        ("mysql://h/d", "aiomysql", "", "mysql+aiomysql"),
        ("mysql://h/d", "worker", "", None),
        ("postgresql://h/d", None, "", "postgresql+psycopg"),
        ("postgresql://h/d", None, "psycopg", "postgresql+asyncpg"),
        ("postgresql://h/d?sslmode=require", None, "psycopg", None),
        ("sqlite:///f", None, "", None),
        ("oracle://h/d", None, "", None),
    ],
)
def test_async_drivers(install, url, driver, missing, chosen):
    """The one asked for, else the first installed one that takes the same options."""
    install(EVERYTHING - {missing})
    found = async_url(url, driver, {})
    assert (found and found.drivername) == chosen


def test_options_of_one_driver(install):
    """Options that are the sync driver's alone mean a worker, unless it is said."""
    assert async_url("mysql://h/d", None, {"connect_args": {}}) is None
    assert async_url("mysql://h/d", "asyncmy", {"connect_args": {}}) is not None
    given = {"connect_args": {"a": 1}, "poolclass": None, "echo": True}
    assert async_options(given, None) == {"echo": True, "connect_args": {}}
    assert async_options(given, {"b": 2})["connect_args"] == {"b": 2}


def test_charset(install):
    """MySQL talks UTF-8 whichever driver it is, unless the URL says otherwise."""
    assert sync_url("mysql://h/d").query == {"charset": "utf8mb4"}
    assert sync_url("mysql://h/d?charset=latin1").query == {"charset": "latin1"}


def test_missing_drivers(install):
    """The extra to install is named, when the database is made."""
    install(())
    with pytest.raises(ImportError, match=r"\(mysqldb or pymysql\).*unblock\[mysql\]"):
        Database("mysql://h/d")
    with pytest.raises(ImportError, match=r"\(psycopg2\).*tornado-unblock\[postgres"):
        Database("postgresql+psycopg2://h/d")
    install(EVERYTHING - {"asyncpg"})
    with pytest.raises(ImportError, match=r"\(asyncpg\)"):
        Database("postgresql://h/d", async_driver="asyncpg")
    with pytest.raises(ConfigurationError, match="psycopg, asyncpg, worker"):
        Database("postgresql://h/d", async_driver="asyncmy")


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("sys.modules['sqlalchemy'] = None", "import of sqlalchemy halted"),
        ("import sqlalchemy; sqlalchemy.__version__ = '1.4.9'", "1.4.9 is too old"),
    ],
)
def test_missing_sqlalchemy(program, cause, child_env, tmp_path):
    """Without SQLAlchemy 2 the import says what to install."""
    program = f"import sys; {program}; import tornado_unblock.shim.db"
    child = subprocess.run(
        [sys.executable, "-c", program],
        env=child_env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 1
    assert cause in child.stderr
    assert "pip install 'tornado-unblock[db]'" in child.stderr
