"""Jobs in tests with transactions; ids that no job can have."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import Jobs


@pytest.fixture
def session():
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_within_a_transaction_while_testing(app, path):
    """The job is in the box, and not in the database."""
    job = app.job(name="f")(lambda: 7)
    connection = sqlite3.connect(path)
    with app.testing() as box:
        job.later.options(within=connection)()
        assert box.run()[0].result == 7
    with app.testing(at_once=True):
        ticket = job.later.options(within=connection)()
        assert app.state(ticket.id).result == 7
    connection.close()
    assert app.counts().queued == 0


def test_on_commit_while_testing(app, session):
    """With at_once it runs when the session has committed."""
    job = app.job(name="f")(lambda: 7)
    with app.testing(at_once=True) as box:
        ticket = job.later.options(on_commit=session)()
        assert box.jobs == []
        session.commit()
        assert app.state(ticket.id).result == 7


def test_a_commit_after_the_test(app, session):
    """It is not asked for anywhere else."""
    job = app.job(name="f")(lambda: 7)
    with app.testing():
        job.later.options(on_commit=session)()
    session.commit()
    assert app.counts().queued == 0


def test_the_very_job(app):
    """It runs at once, also if others are before it in the queue."""
    job = app.job(name="f")(lambda n: n)

    @app.job(name="around")
    def around():
        return job.later.options(key="k")(2).id

    with app.testing(at_once=True):
        ticket = around.later.options(key="k")()
        inner = app.state(app.state(ticket.id).result)
        assert (inner.state, inner.result) == ("done", 2)
        box, app._box = app._box, None
        waits = job.later.options(priority=9)(3)
        app._box = box
        ticket = job.later(4)
        assert app.state(ticket.id).result == 4
        assert app.state(waits.id).result == 3


def test_an_outbox_while_testing(url, tmp_path):
    """What was kept for the real store stays where it is."""
    app = Jobs()
    app.configure(url, outbox=f"sqlite:///{tmp_path}/outbox.db")
    job = app.job(name="f")(lambda: 7)

    def refuse(new):
        raise JobStoreError("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.engine.store, "put_job", refuse)
        ticket = job.later()
    with app.testing() as box:
        app.tick()
        job.later()
        assert len(box.run()) == 1
    app.tick()
    assert app.state(ticket.id).state == "queued"
    app.engine.store.close()


@pytest.mark.parametrize("id", ["\ud800", "x\0", "", "none"])
def test_ids_of_no_job(app, id):
    """They are unknown, like any other."""
    assert app.state(id) is None
    assert [app.cancel(id), app.retry(id), app.discard(id)] == [False] * 3


@pytest.mark.parametrize("name", ["state", "cancel", "retry", "discard"])
@pytest.mark.parametrize("id", [None, 5, b"x", ["a"]])
def test_no_ids(app, name, id):
    """Anything else is an error that says so."""
    with pytest.raises(ConfigurationError, match="the id of a job is a text"):
        getattr(app, name)(id)
