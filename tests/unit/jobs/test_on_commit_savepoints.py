"""Asking for a job once a session has committed: with savepoints, and other ends."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

from tornado_unblock._errors import JobStoreError


@pytest.fixture
def session():
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def later(app, session):
    return app.job(name="it")(lambda: None).later.options(on_commit=session)


def use(session):
    session.execute(text("select 1"))


def roll_back_a_savepoint(session, inside=lambda: None):
    savepoint = session.begin_nested()
    inside()
    savepoint.rollback()


def test_in_a_savepoint(app, session, later):
    """It is asked for when all has committed, and not when that is released."""
    with session.begin_nested():
        with session.begin_nested():
            later()
        later()
    assert app.counts().queued == 0
    session.commit()
    assert app.counts().queued == 2


def test_a_savepoint_that_the_commit_releases(app, session, later):
    """Nobody has to release it before."""
    session.begin_nested()
    later()
    session.commit()
    assert app.counts().queued == 1


@pytest.mark.parametrize("end", ["rollback", "close", "reset", "invalidate"])
@pytest.mark.parametrize("where", ["before", "inside", "untouched"])
def test_what_does_not_commit(app, session, later, end, where):
    """Nothing is asked for, also when the session commits something else later."""
    if where == "untouched":
        later()
    else:
        use(session)
        if where == "before":
            later()
        with session.begin_nested():
            if where == "inside":
                later()
    getattr(session, end)()
    use(session)
    session.commit()
    assert app.counts().queued == 0


def test_an_end_in_a_savepoint(app, session, later):
    """The session may be closed in the middle of one."""
    later()
    session.begin_nested()
    later()
    session.close()
    session.commit()
    assert app.counts().queued == 0


def test_a_savepoint_that_is_rolled_back(app, session, later):
    """What was asked for in it is gone, and nothing else."""
    tickets = [later()]
    roll_back_a_savepoint(session, lambda: tickets.append(later()))
    tickets.append(later())
    session.commit()
    found = [app.state(ticket.id) is not None for ticket in tickets]
    assert found == [True, False, True]


def test_a_savepoint_around_that_is_rolled_back(app, session, later):
    """What an inner one has left to it is gone with it."""

    def inside():
        with session.begin_nested():
            later()

    roll_back_a_savepoint(session, inside)
    session.commit()
    assert app.counts().queued == 0


def test_in_a_flush(app, session, later):
    """A savepoint of a listener's stands in what the flush has begun."""

    def inside():
        with session.begin_nested():
            later()

    outer = session.begin_nested()
    subtransaction = session.get_nested_transaction()._begin()
    inside()
    subtransaction.commit()
    outer.commit()
    assert app.counts().queued == 0
    session.commit()
    assert app.counts().queued == 1


def test_by_who_hears_of_the_commit(app, session, later):
    """It has committed, so the job is asked for."""
    later()
    event.listen(session, "after_commit", lambda session: later(), once=True)
    session.commit()
    assert app.counts().queued == 2


@pytest.mark.parametrize("error", [JobStoreError, ValueError])
def test_an_error(app, session, later, monkeypatch, error):
    """The commit says so; the others are asked for, and the session is of use still."""
    put, errors = app.engine.store.put_job, [error("no")]

    def refuse_one(new):
        if errors:
            raise errors.pop()
        return put(new)

    monkeypatch.setattr(app.engine.store, "put_job", refuse_one)
    later()
    later()
    with pytest.raises(error, match="no"):
        session.commit()
    assert app.counts().queued == 1
    later()
    session.commit()
    assert app.counts().queued == 2
