"""What a job knows of itself."""

from __future__ import annotations

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobCancelledError
from tornado_unblock.jobs import Jobs, current, running


@pytest.fixture
def seen():
    return []


@pytest.fixture
def run(app, seen):
    """Run a function as a job; it gets what `current` returns."""

    def run(fn, **options):
        job = app.job(name="it", **options)(lambda: fn(current()))
        ticket = job.later()
        app.engine.run_next()
        return app.state(ticket.id)

    return run


def test_elsewhere_there_is_none():
    """Only a job has a current job."""
    assert current() is None


def test_who_it_is(run):
    """Its id, its name, its attempt."""
    state = run(lambda now: [now.id, now.name, now.attempt, now.cancelled()])
    assert state.result == [state.id, "it", 1, False]
    assert current() is None


def test_progress(run, app, seen):
    """What it says is there at once, or soon, and the last is never left out."""

    def work(now):
        for done in range(5):
            now.progress(done, 4)
            state = app.state(now.id)
            seen.append((state.done, state.of))
        now.progress(5)

    state = run(work)
    assert seen == [(0, 4), (0, 4), (0, 4), (0, 4), (4, 4)]
    assert (state.done, state.of) == (4, 4)


INF = float("inf")


@pytest.mark.parametrize(
    "arguments",
    [("1",), (True,), (1, "2"), (INF,), (float("nan"),), (1, -INF), (10**400,)],
    ids=range(7),
)
def test_progress_is_in_numbers(run, arguments):
    """Else it says so."""

    def work(now):
        with pytest.raises(ConfigurationError, match="takes numbers"):
            now.progress(*arguments)

    assert run(work).state == "done"


def test_cancelled(run, app, monkeypatch):
    """It asks the store now and then, and check ends it: no retry, no dead list."""
    asked = []
    is_cancelled = app.engine.store.is_cancelled

    def ask(id):
        asked.append(id)
        return is_cancelled(id)

    monkeypatch.setattr(app.engine.store, "is_cancelled", ask)

    def work(now):
        now.check()
        app.cancel(now.id)
        now.check()  # asked just now
        assert len(asked) == 1
        monkeypatch.setattr(running, "_ASK", 0.0)
        assert now.cancelled()
        assert now.cancelled()
        assert len(asked) == 2
        now.check()

    state = run(work, retries=5)
    assert (state.state, state.attempts) == ("cancelled", 1)
    assert "is not wanted any more" in state.error


def test_timeout(run, expect_log):
    """After its timeout it is to end; that is a failure, and may be tried again."""

    def work(now):
        assert now.timed_out()
        now.check()

    expect_log("tornado.application", "attempt 1 failed with JobCancelledError")
    state = run(work, timeout=1e-9, retries=1)
    assert state.state == "failed"
    assert "longer than its timeout of 1e-09 s" in state.error
    assert JobCancelledError.__name__ in state.error


def test_at_its_end_a_server_is_asked(run, monkeypatch):
    """A shutdown that waits no longer is seen, too."""
    monkeypatch.setattr(running, "offload_is_cancelled", lambda: True)
    assert run(lambda now: now.cancelled()).result is True


def test_apps_do_not_mix(url):
    """A job that runs another one at once is itself again afterwards."""
    app = Jobs()
    inner = app.job(name="inner")(lambda: current().name)

    def work():
        inner.later()
        return current().name

    outer = app.job(name="outer")(work)
    with app.testing(at_once=True):
        assert app.state(outer.later().id).result == "outer"
