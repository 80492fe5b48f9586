"""What a store makes of an end, or a job, that it cannot take."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time

import psycopg
import pytest

from tests.patience import WAIT
from tests.unit.jobs.stores import job, on_sqlite, state_of
from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import storage
from tornado_unblock.jobs.options import JobOptions
from tornado_unblock.jobs.records import Outcome


def test_a_job_that_cannot_be_put_in(store):
    """It hits who asks for it, and none of the others that wait meanwhile."""
    ended: dict[str, object] = {}

    def put(new):
        try:
            ended[new.id] = store.put_job(new)
        except Exception as error:
            ended[new.id] = error

    asked = [job("a"), job("b", max_attempts=2**70), job("c")]
    threads = [threading.Thread(target=put, args=(new,)) for new in asked]
    with store.lock:
        for number, thread in enumerate(threads, 1):
            thread.start()
            while len(store.asked) < number:
                pass
    for thread in threads:
        thread.join(WAIT)
    assert (ended["a"], ended["c"]) == (("a", True), ("c", True))
    assert isinstance(ended["b"], Exception)


@pytest.mark.parametrize("name", ["retries", "max_attempts"])
@pytest.mark.parametrize("count", [2**31, sys.maxsize, 10**5000], ids=range(3))
def test_more_attempts_than_can_be_counted(name, count):
    """They are refused where the job is defined."""
    with pytest.raises(ConfigurationError, match=f"{name} must be 2000000000 at most"):
        JobOptions(**{name: count})
    assert JobOptions(**{name: 2_000_000_000}).attempts < 2**31


@pytest.fixture
def refuse(monkeypatch, store):
    """Have the store fail with an error where a result is written."""

    def refuse(error):
        record = store._record

        def refused(cursor, seq, outcome):
            if outcome.result is not None:
                raise error
            record(cursor, seq, outcome)

        monkeypatch.setattr(store, "_record", refused)

    return refuse


TOO_BIG = [
    sqlite3.DataError("string or blob too big"),
    psycopg.DataError("string or blob too big"),
    OverflowError("string or blob too big"),
]


@pytest.mark.parametrize("error", TOO_BIG, ids=repr)
def test_an_end_that_is_too_large(store, refuse, error, expect_log):
    """It is dead with the reason, and the others are taken."""
    for id in "ab":
        store.put_job(job(id))
    store.unwritten.append((store.take(), Outcome("done", "1")))
    refuse(error)
    expect_log("tornado.application", "is dead: its end cannot be written: .* too big")
    assert store.take().id == "b"
    assert state_of(store) == "dead"
    assert "too big" in store.row("a")[12]
    assert store.unwritten == []


def test_an_end_that_ends_the_connection(store, refuse, expect_log, monkeypatch):
    """What is far too large counts as too large; what is small waits for the store."""
    store.put_job(job())
    end = (store.take(), Outcome("done", "1"))
    store.unwritten.append(end)
    refuse(store.away_errors[0]("gone"))
    with pytest.raises(JobStoreError, match="gone"):
        store.take()
    assert store.unwritten == [end]
    monkeypatch.setattr(storage, "_TOO_LARGE", 0)
    expect_log("tornado.application", "is dead: its end cannot be written: .* gone")
    assert store.take() is None
    assert state_of(store) == "dead"


def test_an_end_for_a_store_that_is_too_new(store, monkeypatch):
    """It is not the end's fault."""
    store.put_job(job())
    store.unwritten.append((store.take(), Outcome("done", "1")))

    def refuse(*args):
        raise JobStoreError("too new")

    monkeypatch.setattr(store, "finish", refuse)
    with pytest.raises(JobStoreError, match="too new"):
        store.take()


def past(store):
    """Have all jobs been asked for long ago."""
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}job set run_at = 1")


@pytest.mark.parametrize("again", ["retry", "put_back", "take_back"])
def test_how_long_the_oldest_waits(store, make, again):
    """What comes again has waited since then."""
    store.put_job(job())
    taken = store.take()
    past(store)
    if again == "retry":
        store.finish(taken, Outcome("dead"))
        store.retry("a")
    elif again == "put_back":
        store.put_back(taken)
    else:
        make().take_back(store.owner)
    counts = store.counts()
    assert counts.queued == 1
    assert counts.oldest_waiting < time.time() / 2


@on_sqlite
def test_a_first_use_beside_a_transaction(make, path, monkeypatch):
    """Where the tables are there, nothing is written, and nobody waits."""
    first = make()
    first.put_job(job())
    other = make()
    with sqlite3.connect(path) as connection:
        connection.execute("begin immediate")
        monkeypatch.setattr(other, "begin_sql", "it would wait")
        assert other.row("a")[2] == "queued"
        connection.rollback()
    connection.close()


@on_sqlite
def test_a_first_use_within_a_transaction(make, path, monkeypatch):
    """The store is opened before the transaction has begun to write."""
    make().put_job(job())
    other = make()
    connection = sqlite3.connect(path)
    assert other.put_into(connection, job("b")) == ("b", True)
    assert connection.in_transaction
    assert other.row("b") is None
    connection.commit()
    assert other.row("b")[2] == "queued"
    connection.close()


def test_what_given_jobs_count(store, make):
    """What other processes run for this one is excused with its own."""
    child = make()
    store.put_job(job())
    taken = store.take()
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}inflight set owner = ?", "child")
    store.forgive(taken)
    child.take_back("child")
    assert child.row("a")[2:5] == ("queued", 0, 0)
