"""What must not run, and what must not stay: brokers, and those who write to them."""

from __future__ import annotations

import json
import threading
import time

import pytest
from sqlalchemy.orm import Session

from tests.patience import WAIT
from tornado_unblock import ConfigurationError
from tornado_unblock.jobs import Jobs

broker = pytest.importorskip("tornado_unblock.jobs.broker")


@pytest.fixture
def app(broker_app):
    return broker_app


@pytest.fixture(params=["secret", None])
def signed(request, app, broker_place):
    """The same queue, with a secret and without one."""
    signed = Jobs(app.name)
    signed.configure(broker_place[0], secret=request.param, state=broker_place[1])
    yield signed
    signed.engine.store.close()


def record_of(app, ticket):
    return app.engine.store.records.record(ticket.id)


# -- what is signed, and what is not -------------------------------------------------


def forge(app, ticket, **changes):
    """Change what Redis and the message have of a job; return the message."""
    records = app.engine.store.records
    forged = {**record_of(app, ticket), **changes}
    records.client.hset(f"{records._prefix}jobs", forged["id"], json.dumps(forged))
    return forged


def test_another_name(signed, expect_log):
    """A name that was put to other arguments is not run."""
    expect_log("tornado.application", "is on the dead list")
    ran = []
    harmless = signed.job(name="harmless")(ran.append)
    signed.job(name="harmful")(ran.append)
    ticket = harmless.later(7)
    signed.engine.perform(forge(signed, ticket, name="harmful"))
    state = signed.state(ticket.id)
    assert (state.state, ran) == ("dead", [])
    assert f"asked for as the job {ticket.id} (harmless)" in state.error


def test_arguments_of_another_job(signed, expect_log):
    """They were signed for that one."""
    expect_log("tornado.application", "is on the dead list")
    ran = []
    job = signed.job(name="f")(ran.append)
    small, large = job.later(1), job.later(1000)
    data = record_of(signed, large)["data"]
    signed.engine.perform(forge(signed, small, data=data))
    assert (signed.state(small.id).state, ran) == ("dead", [])
    signed.engine.perform(record_of(signed, large))
    assert ran == [1000]


@pytest.mark.parametrize("value", [[], {}, "text"])
def test_no_message(signed, expect_log, value):
    """It is parked."""
    expect_log("tornado.application", "is on the dead list")
    ticket = signed.job(name="f")(lambda: 7).later()
    data = signed.engine.sealer.seal(value)
    signed.engine.perform(forge(signed, ticket, data=data))
    assert signed.state(ticket.id).state == "dead"


def test_periodic_jobs_are_signed(signed):
    """With the id that they are put in under."""
    ran = []
    signed.every(1, name="f")(lambda: ran.append(1))
    records = signed.engine.store.records
    signed.tick()
    text = json.dumps(["every 1 s", time.time() - 1])
    records.client.hset(f"{records._prefix}periodic", "f", text)
    signed.tick()
    (state,) = signed.engine.states("queued", -1)
    signed.engine.perform(record_of(signed, state))
    assert (signed.state(state.id).state, ran) == ("done", [1])


# -- what is raised beside the function ----------------------------------------------


class OddError(Exception):
    def __str__(self):
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("too many digits"), "ValueError: too many digits"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (OddError(), "OddError"),
    ],
)
def test_raised_beside_the_function(app, monkeypatch, allow_log, error, said):
    """Whatever it is, the attempt has an end."""
    allow_log("tornado.application", "is dead")

    def fail(*args):
        raise error

    monkeypatch.setattr(app.engine, "attempt", fail)
    ticket = app.job(name="f")(lambda: 7).later()
    app.engine.perform(record_of(app, ticket))
    state = app.state(ticket.id)
    assert state.state == "dead"
    assert said in state.error
    assert "in fail" in state.traceback


def test_a_log_that_raises(app, monkeypatch):
    """What has been said of the attempt before stays."""

    def fail(*args, **kwargs):
        raise SystemExit(3)

    @app.job(name="f", retries=1, backoff=1000)
    def f():
        raise ValueError("no")

    ticket = f.later()
    monkeypatch.setattr(broker.app_log, "error", fail)
    monkeypatch.setattr(broker.app_log, "warning", fail)
    app.engine.perform(record_of(app, ticket))
    state = app.state(ticket.id)
    assert (state.state, state.error) == ("failed", "ValueError: no")


def test_the_worker_goes_on(app, allow_log):
    """The next job is run by the same thread."""
    allow_log("tornado.application", ".*")

    @app.job(name="odd")
    def odd():
        raise OddError

    ran = threading.Event()
    odd.later()
    app.job(name="f")(ran.set).later()
    workers = broker.Workers(app.engine, 1, app.engine.perform)
    try:
        assert ran.wait(WAIT)
    finally:
        workers.stop(WAIT)
    assert app.counts().running == 0


# -- what was cancelled, what waits, and until when ----------------------------------


def test_a_cancelled_job_without_a_record(app):
    """Its message is of no use when it comes."""
    ran = []
    ticket = app.job(name="f")(lambda: ran.append(1)).later.options(delay=1000)()
    record = record_of(app, ticket)
    assert app.cancel(ticket.id)
    assert app.discard(ticket.id)
    app.engine.perform(record)
    assert (ran, app.state(ticket.id)) == ([], None)


def test_once_looks_at_all_that_wait(app):
    """Not only at the one that was asked for last."""
    job = app.job(name="f")(lambda: 7)
    waits = job.later.options(key="k", delay=1000)()
    done = job.later.options(key="k")()
    app.engine.perform(record_of(app, done))
    assert app.state(done.id).state == "done"
    assert job.later.options(key="k", once=True)() == (waits.id, False)


def test_none_of_the_dead(app, expect_log):
    """A limit of none is none."""
    expect_log("tornado.application", "no job here")
    job = app.job(name="f")(lambda: 7)
    app.engine.remove(job)
    app.engine.perform(record_of(app, job.later()))
    assert (len(app.dead()), app.dead(limit=0)) == (1, [])


def test_a_time_that_never_comes(app):
    """It is refused where the job is asked for."""
    later = app.job(name="f")(lambda: 7).later
    with pytest.raises(ConfigurationError, match="no later one than 1e"):
        later.options(delay=1e308)()
    assert later.options(delay=1e11)().created


def test_many_that_are_not_due(app):
    """They do not hold up one that is due soon, though a worker holds them all."""
    never = app.job(name="never")(lambda: None).later.options(delay=1000)
    for _ in range(1001):
        never()
    ran = threading.Event()
    app.job(name="f")(ran.set).later.options(delay=0.01)()
    workers = broker.Workers(app.engine, 1, app.engine.perform)
    try:
        assert ran.wait(WAIT)
    finally:
        workers.stop(WAIT)


def test_as_many_as_the_environment_says(app, monkeypatch):
    """What dramatiq has been told goes first."""
    monkeypatch.setattr(broker.dramatiq.worker, "DELAY_QUEUE_PREFETCH", 5)
    workers = broker.Workers(app.engine, 1, app.engine.perform)
    assert workers._worker.delay_prefetch == 5
    workers.stop(WAIT)


def test_on_commit(app):
    """What the broker would refuse is refused before the commit, and not by it."""
    session = Session()
    later = app.job(name="f")(lambda: 7).later.options(on_commit=session)
    with pytest.raises(ConfigurationError, match="no later one than 1e"):
        later.options(delay=1e308)()
    ticket = later()
    session.commit()
    assert app.state(ticket.id).state == "queued"
