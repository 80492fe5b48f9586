"""shim.session: legacy code with one global connection."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import sys
import threading
import types
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.patience import WAIT
from tests.unit.shim.conftest import in_foreign_thread, in_worker
from tornado_unblock import testing
from tornado_unblock.shim.session import guard, per_thread


class Connection:
    """Counts, and can be made to stay in a call."""

    opened: list[Any]

    def __init__(self):
        self.closed = 0
        self.inside, self.gate = threading.Event(), threading.Event()
        self.thread = threading.current_thread()

    def block(self):
        self.inside.set()
        assert self.gate.wait(WAIT)

    def close(self):
        self.closed += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return "left"


# --- per_thread -------------------------------------------------------------------


def test_one_connection_for_each_thread(tmp_path):
    """Each thread has its own; one that may not change its thread works as well."""
    path = tmp_path / "database"
    db = per_thread(lambda: sqlite3.connect(path))
    db.execute("CREATE TABLE t (a)")
    with db:
        db.execute("INSERT INTO t VALUES (1)")
    assert db.__wrapped__ is db.__wrapped__
    assert isinstance(db, sqlite3.Connection)
    select = "SELECT a FROM t"
    assert in_foreign_thread(lambda: db.execute(select).fetchall()) == [(1,)]
    assert in_worker(lambda: db.execute(select).fetchall()) == [(1,)]
    assert in_worker(lambda: db.__wrapped__) is not db.__wrapped__
    db.close()
    assert db.execute(select).fetchall() == [(1,)]
    db.close()
    db.close()
    # SQLite closes a connection in its own thread only: the worker's ends with it.
    testing.reset()


def test_as_if_it_were_the_connection():
    """Attributes are read, set and deleted on the thread's own connection."""
    db: Any = per_thread(Connection)
    db.flag = 1
    assert (db.flag, db.__wrapped__.flag) == (1, 1)
    del db.flag
    assert not hasattr(db, "flag")
    with db as entered:
        assert entered is db.__wrapped__
    assert db.__exit__(None, None, None) == "left"
    assert "Connection" in repr(db)


def test_closed_with_its_thread():
    """A thread that ends leaves no open connection behind."""
    db: Any = per_thread(Connection)
    found = in_foreign_thread(lambda: db.__wrapped__)
    assert found.closed == 1
    assert db.closed == 0
    assert in_worker(lambda: db.__wrapped__).thread is not found.thread


def test_a_connection_that_cannot_be_closed():
    """An error while a thread's connection is closed has nobody to tell."""

    class Stubborn(Connection):
        def close(self):
            super().close()
            raise OSError

    db: Any = per_thread(Stubborn)
    assert in_foreign_thread(lambda: db.__wrapped__).closed == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("driver", ["pymysql", "MySQLdb"])
def test_forked_child_has_its_own(driver, mysql_url):
    """A forked child opens its own, and its parent's lives on."""
    if importlib.util.find_spec(driver) is None:
        pytest.skip(f"{driver} is not installed")
    module = importlib.import_module(driver)
    url = urlsplit(mysql_url)
    db = per_thread(
        lambda: module.connect(
            host=url.hostname,
            port=url.port or 3306,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
        )
    )

    def number():
        with db.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            return cursor.fetchone()[0]

    before = number()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - seen by coverage's own means
        code = 1
        try:
            code = int(number() == before)
            db.close()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert number() == before
    db.close()


# --- guard ------------------------------------------------------------------------


def use_at_once(connection, second=lambda c: c.close()):
    """Have one thread stay in a call, and this one make another."""
    thread = threading.Thread(target=connection.block, name="the first")
    thread.start()
    assert connection.inside.wait(WAIT)
    second(connection)
    connection.gate.set()
    thread.join(WAIT)


def test_shared_at_once(expect_log):
    """Two threads at once: one warning, with the name, both threads and advice."""
    module = types.ModuleType("legacy_models")
    module.db = guard(Connection())
    sys.modules["legacy_models"] = module
    warned = expect_log("tornado.application", "at once")
    try:
        use_at_once(module.db, lambda c: (c.close(), c.close()))
        use_at_once(module.db)
    finally:
        del sys.modules["legacy_models"]
    (message,) = warned.messages
    assert message.startswith("legacy_models.db, a ")
    assert "test_session_connections.Connection made at " in message
    assert f"{__file__}:" in message
    assert "threads 'the first' and 'MainThread'" in message
    assert "per_thread" in message
    assert "shim.db.Database" in message


def test_named_by_the_user(expect_log):
    """A connection that no module holds goes by the name it was given, or none."""
    warned = expect_log("tornado.application", "at once")
    use_at_once(guard(Connection(), name="orders"))
    use_at_once(guard(Connection()))
    assert [m.partition(",")[0] for m in warned.messages] == [
        "orders",
        "a shared connection",
    ]


def test_with_blocks_count(expect_log):
    """Entering and leaving the connection is a use of it, too."""

    def enter(connection):
        with connection as entered:
            assert entered is connection

    expect_log("tornado.application", "at once")
    use_at_once(guard(Connection()), enter)


def test_one_after_the_other(tmp_path):
    """Threads that take turns are no reason to warn; nothing else changes."""
    path = tmp_path / "database"
    db = guard(sqlite3.connect(path, check_same_thread=False))
    db.execute("CREATE TABLE t (a)")
    with db:
        db.execute("INSERT INTO t VALUES (1)")
    cursor = db.cursor()
    assert isinstance(cursor, sqlite3.Cursor)
    assert cursor.execute("SELECT a FROM t") is cursor
    assert list(cursor) == [(1,)]
    assert in_foreign_thread(lambda: db.execute("SELECT 2").fetchone()) == (2,)
    db.row_factory = sqlite3.Row
    assert db.total_changes == 1
    assert db.IntegrityError is sqlite3.IntegrityError
    assert db.execute("SELECT 3 AS c").fetchone()["c"] == 3
    db.close()


def test_calls_inside_calls():
    """A thread that is in a call already may make another."""

    class Nested(Connection):
        def outer(self):
            return guarded.inner()

        def inner(self):
            return 5

    guarded: Any = guard(Nested())
    assert guarded.outer() == 5
    assert in_foreign_thread(guarded.inner) == 5
