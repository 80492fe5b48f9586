"""Jobs in tests of users."""

from __future__ import annotations

import asyncio

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock.jobs import Jobs
from tornado_unblock.jobs import box as box_module

app = Jobs()


@app.job(retries=1)
def double(n):
    if n == 13:
        raise ValueError(n)
    return 2 * n


@app.job
def chain(n):
    if n:
        chain.later(n - 1)


@app.job
def endless():
    endless.later()


def test_on_demand():
    """Nothing runs before the test says so, and then it can be looked at."""
    with app.testing() as box:
        double.later(1)
        double.later(2)
        assert [state.state for state in box.jobs] == ["queued", "queued"]
        assert [state.result for state in box.run()] == [2, 4]
        assert box.run() == []


def test_what_they_ask_for_is_run_too():
    """Until nothing is left."""
    with app.testing() as box:
        chain.later(3)
        assert len(box.run()) == 4


def test_scheduled(expect_log):
    """Delays and retries are not waited for."""
    with app.testing() as box:
        double.later.options(delay=1000)(1)
        assert box.run() == []
        assert [state.result for state in box.run(scheduled=True)] == [2]
        double.later(13)
        expect_log("tornado.application", "attempt 1 failed")
        expect_log("huey", "Unhandled exception")
        (state,) = box.run(scheduled=True)
        assert (state.state, state.attempts) == ("dead", 2)


def test_no_end(monkeypatch):
    """Jobs that ask for each other for ever are found out."""
    monkeypatch.setattr(box_module, "_TOO_MANY", 100)
    with app.testing() as box:
        endless.later()
        with pytest.raises(ConfigurationError, match="ask for each other"):
            box.run()


def test_at_once():
    """The thread that asks runs it; what is already there is not run again."""
    with app.testing(at_once=True):
        assert app.state(double.later(4).id).result == 8
        keyed = double.later.options(key="k", once=True, delay=100)
        first = keyed(1)
        assert keyed(1) == (first.id, False)
        assert app.state(first.id).state == "queued"

        async def main():
            return await double.later.aio(5)

        assert app.state(asyncio.run(main()).id).result == 10


def test_what_was_before_is_back(url):
    """Also when testing was begun while testing."""
    with pytest.raises(ConfigurationError):
        app.counts()
    with app.testing() as outer:
        double.later(1)
        with app.testing() as inner:
            assert inner.jobs == []
        assert len(outer.jobs) == 1
    with pytest.raises(ConfigurationError):
        app.counts()
