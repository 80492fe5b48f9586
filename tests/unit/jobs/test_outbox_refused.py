"""Jobs that a store refuses for what they are: they do not hold up the others."""

from __future__ import annotations

import contextlib
import sqlite3

import psycopg
import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import Jobs
from tornado_unblock.jobs.outbox import Outbox, is_refused

#: More than PostgreSQL has in an index; it says that it is an operational error.
LONG = "".join(f"{n:x}" for n in range(5000, 9000))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def app(schema_url, file):
    """Jobs in PostgreSQL, which is particular."""
    app = Jobs()
    app.configure(schema_url, outbox=f"sqlite:///{file}")
    yield app
    app.engine.store.close()


@pytest.fixture
def job(app):
    return app.job(name="it")(lambda n: n)


@contextlib.contextmanager
def away(app):
    """Within it the store is away."""

    def refuse(new):
        raise JobStoreError("away") from psycopg.OperationalError()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.engine.store, "put_job", refuse)
        yield


def test_while_the_store_is_there(app, job):
    """Whoever asks is told, and nothing is kept."""
    with pytest.raises(JobStoreError, match="index row"):
        job.later.options(key=LONG)(1)
    ticket = job.later(2)
    assert app.state(ticket.id).state == "queued"


def test_while_it_is_away(app, job, file, expect_log):
    """It is moved aside when it is refused, and that is said once; the others go on."""
    expect_log("tornado.application", r"is refused.*outbox\.db, where 1 are now.*index")
    with away(app):
        before, poison, after = job.later(1), job.later.options(key=LONG), job.later
        poison, after = poison(2), after(3)
    app.tick()
    app.tick()
    assert app.counts().queued == 2
    assert app.state(poison.id) is None
    assert app.state(before.id).state == app.state(after.id).state == "queued"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        found = connection.execute("select id, error from refused").fetchall()
    assert found[0][0] == poison.id
    assert "index row" in found[0][1]


def test_by_the_next_that_gets_through(app, job, expect_log):
    """It does not hold that up either."""
    expect_log("tornado.application", "is refused")
    with away(app):
        job.later.options(key=LONG)(1)
    assert app.state(job.later(2).id).state == "queued"


def test_in_two_processes_at_a_time(app, job, file, expect_log, monkeypatch):
    """Whoever is second has nothing to say."""
    expect_log("tornado.application", "is refused")
    with away(app):
        job.later.options(key=LONG)(1)
    put, other = app.engine.store.put_job, Outbox(str(file), app.name)

    def put_after_another(new):
        monkeypatch.setattr(app.engine.store, "put_job", put)
        other.send(app.engine.store)
        assert other.refused() == 1
        return put(new)

    monkeypatch.setattr(app.engine.store, "put_job", put_after_another)
    app.tick()
    assert other.refused() == 1


def test_what_no_store_ever_saw(app, job, file, expect_log):
    """A newer version's job, or one that no driver takes, is moved aside, too."""
    expect_log("tornado.application", "is refused.*TypeError")
    with away(app):
        job.later(1)
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update outbox set job = json_set(job, '$.unheard', 1)")
    app.tick()
    assert app._outbox.refused() == 1


def test_a_file_that_cannot_be_written(app, job, expect_log):
    """As long as the store is there, nobody needs it."""
    expect_log("tornado.application", "The outbox is not sent for now: the outbox /no")
    app._outbox = Outbox("/nowhere/outbox.db", "default")
    assert app.state(job.later(1).id).state == "queued"
    app.every(1, name="periodic")(lambda: None)
    app.tick()
    with app.engine.store.db(commit=True) as cursor:
        app.engine.store.run(cursor, "update {p}periodic set next_at = 1")
    app.tick()
    assert app.counts().queued == 2
    with away(app), pytest.raises(JobStoreError, match="the outbox /nowhere"):
        job.later(1)


def test_a_periodic_job(app, expect_log):
    """The others are put in."""
    expect_log("tornado.application", "The periodic job .* is refused")
    app.every(1, name=LONG)(lambda: None)
    app.every(1, name="short")(lambda: None)
    for _ in range(2):
        app.tick()
        with app.engine.store.db(commit=True) as cursor:
            app.engine.store.run(cursor, "update {p}periodic set next_at = 1")
    assert app.counts().queued == 1


def test_a_periodic_job_while_the_store_is_away(app, monkeypatch):
    """Then it is an error."""
    app.every(1, name="f")(lambda: None)

    def refuse(*args):
        raise JobStoreError("away") from psycopg.OperationalError()

    monkeypatch.setattr(app.engine.store, "put_periodic", refuse)
    with pytest.raises(JobStoreError, match="away"):
        app.tick()


def test_the_store_is_away_altogether(app, job, monkeypatch):
    """It is said once, by the store."""

    def refuse():
        raise JobStoreError("all of it") from psycopg.OperationalError()

    with away(app):
        job.later(1)
        monkeypatch.setattr(app.engine.store, "tick", refuse)
        with pytest.raises(JobStoreError, match="all of it"):
            app.tick()


class PikaError(Exception):
    reply_text = "PRECONDITION_FAILED - message size 9 is larger than max size 8"


@pytest.mark.parametrize(
    ("cause", "refused"),
    [
        (psycopg.errors.NumericValueOutOfRange(), True),
        (psycopg.errors.NotNullViolation(), True),
        (psycopg.errors.ProgramLimitExceeded(), True),
        (psycopg.errors.DiskFull(), False),
        (psycopg.errors.AdminShutdown(), False),
        (psycopg.errors.ReadOnlySqlTransaction(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.OperationalError("no route"), False),
        (sqlite3.DataError("string or blob too big"), True),
        (sqlite3.OperationalError("database or disk is full"), False),
        (OSError(PikaError()), True),
        (OSError("reset"), False),
        (None, False),
    ],
)
def test_why(cause, refused):
    """It is the job's own fault, or it is not."""
    error = JobStoreError("no")
    error.__cause__ = cause
    assert is_refused(error) is refused


def test_what_the_store_never_heard_of():
    """It would not be any better later."""
    assert is_refused(OverflowError())
    assert is_refused(ConfigurationError())
