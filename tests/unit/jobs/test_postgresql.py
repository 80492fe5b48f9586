"""What is of PostgreSQL alone: sessions, errors, other people's transactions."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

import psycopg
import psycopg2
import psycopg2.extras
import pytest
from psycopg.rows import dict_row

from tests.patience import WAIT
from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import Jobs, postgresql
from tornado_unblock.jobs.postgresql import PostgresStore, _session_of
from tornado_unblock.jobs.records import NewJob, Outcome

JOB = NewJob("a", "f", "{}", 3)


@pytest.fixture
def store(schema_url):
    store = PostgresStore(schema_url, "default", 60.0)
    yield store
    store.close()


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_nobody_there():
    """It is a clear error at once, and without the password."""
    port = closed_port()
    store = PostgresStore(f"postgresql://me:secret@127.0.0.1:{port}/x", "q", 1.0)
    with pytest.raises(JobStoreError, match="is it running") as caught:
        store.put_job(JOB)
    assert f"postgresql://me@127.0.0.1:{port}/x" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer(store, monkeypatch):
    """It is given up; what comes after that is another connection's."""
    assert store.take() is None
    monkeypatch.setattr(postgresql, "SILENCE", 0.0)

    def ask():
        with store.db(commit=True) as cursor:
            cursor.execute("select pg_sleep(60)")

    with pytest.raises(JobStoreError, match="no answer in 0 s"):
        ask()
    monkeypatch.undo()
    store.put_job(JOB)
    assert store.take().id == "a"


def test_who_may_take_how_long(schema_url):
    """The URL may say it; else a machine that is gone is noticed."""
    store = PostgresStore(f"{schema_url}&keepalives_idle=77", "q", 1.0)
    with store.db():
        said = store.conn.info.get_parameters()
    assert (said["keepalives_idle"], said["keepalives_count"]) == ("77", "3")
    assert (said["connect_timeout"], said["tcp_user_timeout"]) == ("1", "10000")
    store.close()


def test_urls():
    """What is no URL is refused when it is said."""
    with pytest.raises(ConfigurationError, match="the URL of the jobs"):
        PostgresStore("postgresql://x/y?nonsense=1", "q", 1.0)
    assert PostgresStore("postgresql:///y", "q", 1.0).place == "postgresql:///y"


def test_without_psycopg(monkeypatch):
    """It says which extra is missing."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "tornado_unblock.jobs.postgresql", False)
    with pytest.raises(ConfigurationError, match=r"tornado-unblock\[jobs-postgresql\]"):
        Jobs().configure("postgresql://x/y")


def test_two_workers_at_once(schema_url):
    """Each gets another job, also while neither has committed."""
    one, two = (PostgresStore(schema_url, "q", 60.0) for _ in range(2))
    for id in "ab":
        one.put_job(NewJob(id, "f", "{}", 3))
    assert two.take().id == "a"
    with one.db(commit=True) as cursor:
        assert one._take(cursor).id == "b"
        assert two.take() is None
    one.close()
    two.close()


def test_one_key_and_two_workers(schema_url):
    """Of two that begin at once, one gets the job and the other nothing."""
    one, two = (PostgresStore(schema_url, "q", 60.0) for _ in range(2))
    for id in "ab":
        one.put_job(NewJob(id, "f", "{}", 3, key="k"))
    took = []
    thread = threading.Thread(target=lambda: took.append(two.take()))
    with one.db(commit=True) as cursor:
        assert one._take(cursor).id == "a"
        thread.start()
        # Its insert waits for ours: it is seen to wait for a lock.
        with psycopg.connect(schema_url, autocommit=True) as other:
            while not other.execute(
                "select 1 from pg_stat_activity where wait_event_type = 'Lock' "
                "and application_name like 'unblock-jobs%'"
            ).fetchone():
                pass
    thread.join(WAIT)
    assert took == [None]
    assert two.row("b")[2] == "queued"
    one.close()
    two.close()


def test_sessions_of_other_machines(store, schema_url):
    """Who cannot be seen from here lives while its session does."""
    store.put_job(JOB)
    store.take()
    far = "machine:1:1:1"
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}inflight set owner = ?", far)
    with psycopg.connect(schema_url, application_name=_session_of(far)):
        store.tick()
        assert store.row("a")[2] == "running"
    while True:  # the server ends the session in its own time
        store.tick()
        if store.row("a")[2] == "queued":
            break


def test_a_connection_that_is_cut(store):
    """What was asked for fails, and the next time there is a new connection."""
    store.put_job(JOB)
    taken = store.take()
    with store.db() as cursor:
        (pid,) = store.run(cursor, "select pg_backend_pid()")[0]
    with psycopg.connect(store._url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [pid])
    with pytest.raises(JobStoreError, match="is it running"):
        store.finish(taken, Outcome("done"))
    store.finish(taken, Outcome("done"))
    assert store.row("a")[2] == "done"


def test_errors_that_are_ours(store):
    """Not every error is one of the connection."""
    with pytest.raises(JobStoreError, match="see its log"):
        with store.db() as cursor:
            store.run(cursor, "nonsense")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "dictionaries"])
def test_with_the_callers_transaction(store, schema_url, driver):
    """The job is there when the caller commits, and only then."""
    if driver == "psycopg2":
        mine = psycopg2.connect(
            schema_url, cursor_factory=psycopg2.extras.RealDictCursor
        )
    elif driver == "psycopg":
        mine = psycopg.connect(schema_url)
    else:
        mine = psycopg.connect(schema_url, row_factory=dict_row)
    keyed = NewJob("a", "f", "{}", 3, key="k", once=True)
    with contextlib.closing(mine):
        assert store.put_into(mine, keyed) == ("a", True)
        assert store.put_into(mine, keyed) == ("a", False)
        assert store.row("a") is None
        mine.commit()
    assert store.take().id == "a"


def test_other_connections_are_refused(store, schema_url, postgresql_url):
    """Another database, one that commits by itself, and what is no connection."""
    with psycopg.connect(postgresql_url) as other:
        with pytest.raises(JobStoreError, match="on_commit="):
            store.put_into(other, JOB)
    with psycopg.connect(schema_url, autocommit=True) as mine:
        with pytest.raises(JobStoreError, match="autocommit"):
            store.put_into(mine, JOB)
    with pytest.raises(JobStoreError, match="no connection"):
        store.put_into("no connection", JOB)


def test_the_whole_way(schema_url):
    """An application on PostgreSQL: asked for, run, and its result there."""
    app = Jobs()
    app.configure(schema_url)
    ticket = app.job(name="it")(lambda n: n + 1).later(1)
    assert app.engine.run_next() == ticket.id
    assert app.state(ticket.id).result == 2
    app.engine.store.close()
