"""What is of SQLite alone: files, their errors, other people's transactions."""

from __future__ import annotations

import contextlib
import os
import sqlite3

import pytest

from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import sqlite
from tornado_unblock.jobs.records import NewJob
from tornado_unblock.jobs.sqlite import SqliteStore, _close

JOB = NewJob("a", "f", "{}", 3)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "jobs.db")


@pytest.fixture
def store(path):
    store = SqliteStore(path, "default", 60.0)
    yield store
    store.close()


def connected(path, **options):
    return contextlib.closing(sqlite3.connect(path, **options))


def test_no_directory():
    """A file that cannot be made is an error at once, with its path."""
    store = SqliteStore("/nowhere/jobs.db", "default", 60.0)
    with pytest.raises(JobStoreError, match=r"/nowhere/jobs.db: unable .* check"):
        store.take()


def test_no_database(path, store):
    """A file that is none of SQLite's is left as it is."""
    with open(path, "w") as file:
        file.write("some text of somebody's " * 100)
    with pytest.raises(JobStoreError, match="damaged, or no SQLite file"):
        store.take()


def test_a_full_disk(store):
    """It is reported, and nothing is half-written."""
    store.put_job(JOB)
    with store.db():
        store.conn.execute("pragma max_page_count = 1")
    with pytest.raises(JobStoreError, match="make room"):
        store.put_job(NewJob("b", "f", "x" * 1_000_000, 3))
    assert store.row("b") is None
    assert store.take().id == "a"


def test_a_file_that_somebody_holds(path, monkeypatch):
    """After a while it says so."""
    monkeypatch.setattr(sqlite, "_BUSY", 0.01)
    store = SqliteStore(path, "default", 60.0)
    store.owner  # noqa: B018 - opens it
    with connected(path, isolation_level=None) as other:
        other.execute("begin immediate")
        with pytest.raises(JobStoreError, match="another process has been writing"):
            store.put_job(JOB)
    store.close()


def test_with_the_callers_transaction(path, store):
    """The job is there when the caller commits, and only then."""
    with connected(path) as mine:
        mine.execute("create table orders (id)")
        mine.execute("insert into orders values (1)")
        assert store.put_into(mine, JOB) == ("a", True)
        mine.rollback()
        assert store.row("a") is None
        store.put_into(mine, JOB)
        assert store.row("a") is None
        mine.commit()
    assert store.take().id == "a"


def test_other_databases_are_refused(path, store, tmp_path):
    """Two files do not commit at once, and one may not commit each statement."""
    with connected(tmp_path / "other.db") as other:
        with pytest.raises(JobStoreError, match="on_commit="):
            store.put_into(other, JOB)
    with pytest.raises(JobStoreError, match="within= takes a connection"):
        store.put_into("no connection", JOB)
    with connected(path, isolation_level=None) as mine:
        with pytest.raises(JobStoreError, match="begin"):
            store.put_into(mine, JOB)
        mine.execute("begin")
        store.put_into(mine, JOB)
        mine.execute("commit")
    assert store.take().id == "a"


def test_in_memory():
    """Without a file it is nobody else's."""
    store = SqliteStore(":memory:", "default", 60.0)
    with connected(":memory:") as other:
        with pytest.raises(JobStoreError, match="within="):
            store.put_into(other, JOB)
    store.close()


def test_connection_of_a_parent_stays_open():
    """A forked child leaves open what it has from its parent."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _close(connection, os.getpid() + 1)
        connection.execute("select 1")
        _close(connection, os.getpid())
        with pytest.raises(sqlite3.ProgrammingError):
            connection.execute("select 1")
