"""What all engines have in common."""

from __future__ import annotations

import pytest

from tornado_unblock.jobs.attempt import BaseEngine
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.options import JobOptions
from tornado_unblock.jobs.records import DEAD, DONE, Outcome, Taken

TAKEN = Taken(1, "a", "f", "{}", 1, 0, 5)


@pytest.fixture
def attempt(app, monkeypatch):
    """Return what runs a function as an attempt, without an engine."""

    def attempt(fn, **options):
        outcome = Outcome()
        job = Job(app, fn, "f", JobOptions(**options))
        failure = BaseEngine(None, None).attempt(job, TAKEN, outcome, fn)
        return outcome, failure

    return attempt


def test_the_message():
    """It is the same for all, so jobs can be moved from one engine to another."""
    assert BaseEngine(None, None).message("f", "a", (1,), {"b": 2}) == (
        '{"id":"a","name":"f","args":[[1],{"b":2}],"kwargs":{}}'
    )


def test_how_it_ends(attempt):
    """Well, with a result; or with what it raised."""
    error = ValueError("no")

    def fail():
        raise error

    assert attempt(lambda: 7) == (Outcome(DONE, "7"), None)
    outcome, failure = attempt(fail)
    assert (outcome.state, failure) == (DEAD, error)


def test_an_error_that_cannot_be_judged(attempt, monkeypatch, expect_log):
    """It is dead, and not run for ever."""
    expect_log("tornado.application", r"Job a \(f\) is dead")

    def refuse(*args):
        raise RuntimeError("cannot say")

    monkeypatch.setattr(JobOptions, "pause", refuse)
    outcome, failure = attempt(lambda: 1 / 0)
    assert (outcome.state, type(failure)) == (DEAD, ZeroDivisionError)
