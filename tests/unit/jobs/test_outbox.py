"""Jobs whose store is away."""

from __future__ import annotations

import pytest

from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock.jobs import Jobs, outbox
from tornado_unblock.jobs.outbox import Outbox


@pytest.fixture
def app(url, tmp_path):
    app = Jobs()
    app.configure(url, outbox=f"sqlite:///{tmp_path}/outbox.db")
    yield app
    app.engine.store.close()


@pytest.fixture
def away(app, monkeypatch):
    """A store that is away until the test calls it back."""

    def refuse(new):
        raise JobStoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(app.engine.store, "put_job", refuse)
        yield patch.undo


@pytest.fixture
def job(app):
    return app.job(name="it")(lambda n: n)


def test_kept_and_sent_with_the_next(app, job, away):
    """What was asked for meanwhile is there when another one gets through, in order."""
    tickets = [job.later(n) for n in range(3)]
    assert app.state(tickets[0].id) is None
    away()
    tickets.append(job.later(3))
    assert [app.engine.run_next() for _ in range(5)] == [*[t.id for t in tickets], None]


def test_sent_by_the_clock(app, job, away, expect_log):
    """A server with workers sends it by itself."""
    expect_log("tornado.application", "The outbox is not sent for now: away")
    ticket = job.later(1)
    app.tick()
    away()
    app.tick()
    assert app.state(ticket.id).state == "queued"


def test_sent_by_another_process(app, job, away, url, tmp_path):
    """Who starts next finds what was left, once."""
    ticket = job.later(1)
    other = Jobs()
    other.configure(url, outbox=f"sqlite:///{tmp_path}/outbox.db")
    other.tick()
    assert other.state(ticket.id).state == "queued"
    other.engine.store.close()
    away()
    app.tick()
    assert app.counts().queued == 1


def test_sent_twice(app, job, away, tmp_path):
    """What the store has already is not put in again."""
    ticket = job.later(1)
    away()
    kept = tmp_path / "outbox.db"
    before = kept.read_bytes()
    app.tick()
    kept.write_bytes(before)
    app._outbox._may_have = True
    app.tick()
    assert app.engine.run_next() == ticket.id
    assert app.engine.run_next() is None


def test_more_than_are_sent_at_a_time(app, job, away, monkeypatch):
    """All of them are sent."""
    monkeypatch.setattr(outbox, "_CHUNK", 2)
    for n in range(4):
        job.later(n)
    away()
    monkeypatch.setattr(outbox, "_CHUNK", 2)
    app.tick()
    assert app.counts().queued == 4


def test_no_outbox_either(app, job, away):
    """Then it is an error."""
    app._outbox = Outbox("/nowhere/outbox.db", "default")
    with pytest.raises(JobStoreError, match=r"the outbox /nowhere/outbox\.db"):
        job.later(1)


def test_it_is_a_file(url):
    """Anything else is refused."""
    with pytest.raises(ConfigurationError, match="names no file"):
        Jobs().configure(url, outbox="outbox.db")
