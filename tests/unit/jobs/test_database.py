"""The database that jobs are in: its tables, its transactions, its connections."""

from __future__ import annotations

import os

import pytest

from tests.unit.jobs.stores import job, on_sqlite, state_of
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import database
from tornado_unblock.jobs.records import Outcome


@on_sqlite
def test_nothing_is_opened_before_use(path, make):
    """A store that nobody used has made no file."""
    make()
    assert not os.path.exists(path)


@on_sqlite
def test_durable(store):
    """A commit is on the disk when it returns."""
    with store.db():
        (journal,) = store.conn.execute("pragma journal_mode").fetchone()
        (synchronous,) = store.conn.execute("pragma synchronous").fetchone()
    assert (journal, synchronous) == ("wal", 2)


def test_a_newer_schema_is_refused(make, path):
    """Older code does not touch what it does not know, and says what to do."""
    store = make()
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}meta set value = '99'")
    with pytest.raises(JobStoreError, match=r"version 99, .* Upgrade"):
        make().take()


def test_a_transaction_is_whole_or_not_there(store):
    """What is interrupted, by whatever, is undone, and the file is free again."""

    def interrupted():
        with store.db(commit=True) as cursor:
            store.put_with(cursor, job())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.row("a") is None
    store.put_job(job())


def test_schema_and_rollback(make, monkeypatch):
    """What fails while the tables are made leaves no table."""
    monkeypatch.setattr(database, "TABLES", (*database.TABLES[:1], "create nonsense"))
    store = make()
    with pytest.raises(JobStoreError, match="syntax"):
        store.take()
    monkeypatch.undo()
    assert store.take() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_opens_its_own(store):
    """The parent's connection is left alone, and the child is another owner."""
    store.put_job(job())
    store.put_job(job("b"))
    parent = store.take()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        try:
            taken = store.take()
            store.finish(taken, Outcome("done"))
            os.write(write, store.owner.encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as pipe:
        owner = pipe.read()
    os.waitpid(pid, 0)
    assert owner.split(":")[2] == str(pid)
    store.finish(parent, Outcome("done"))
    assert state_of(store) == state_of(store, "b") == "done"
    store.tick()
