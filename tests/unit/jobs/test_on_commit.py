"""Asking for a job once a session has committed."""

from __future__ import annotations

import builtins

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobStoreError


@pytest.fixture
def session():
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(text("select 1"))
        yield session
    engine.dispose()


@pytest.fixture
def job(app):
    return app.job(name="it")(lambda value=1: value)


def test_after_the_commit(app, job, session):
    """The job is there once the transaction has committed, and once."""
    later = job.later.options(on_commit=session)
    tickets = [later(1), later(2)]
    assert app.counts().queued == 0
    session.commit()
    assert [app.state(t.id).state for t in tickets] == ["queued", "queued"]
    session.execute(text("select 1"))
    session.commit()
    assert app.counts().queued == 2


def test_after_a_rollback(app, job, session):
    """It is never there, also when the session commits something else later."""
    ticket = job.later.options(on_commit=session)()
    session.rollback()
    session.execute(text("select 1"))
    session.commit()
    assert app.state(ticket.id) is None


def test_the_store_is_away(app, job, session, monkeypatch):
    """The commit says so, and the other jobs are asked for all the same."""
    put, calls = app.engine.store.put_job, []

    def refuse_two(new):
        calls.append(new.id)
        if len(calls) < 3:
            raise JobStoreError(f"away {len(calls)}")
        return put(new)

    monkeypatch.setattr(app.engine.store, "put_job", refuse_two)
    for _ in range(3):
        job.later.options(on_commit=session)()
    with pytest.raises(JobStoreError, match="away 1"):
        session.commit()
    assert app.counts().queued == 1


def test_only_sessions(job):
    """Anything else is refused."""
    with pytest.raises(ConfigurationError, match="takes a session of SQLAlchemy"):
        job.later.options(on_commit="session")()


def test_without_sqlalchemy(job, monkeypatch):
    """It says what is missing."""
    importing = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("sqlalchemy"):
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match="needs SQLAlchemy"):
        job.later.options(on_commit="session")()
