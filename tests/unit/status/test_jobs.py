"""Counts of jobs on the page, whatever their store does."""

from __future__ import annotations

import sys
import types

import pytest

from tests.patience import WAIT
from tornado_unblock import ConfigurationError, JobStoreError
from tornado_unblock.jobs.records import Counts
from tornado_unblock.status import jobs
from tornado_unblock.status.jobs import JobCounts


class Store:
    """A store that answers what it is told to."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def counts(self):
        self.asked += 1
        return self.answer()


@pytest.fixture
def keep(monkeypatch):
    """Have `tornado_unblock.jobs` keep its jobs in a store."""

    def keep(answer):
        store = Store(answer)
        default = types.SimpleNamespace(engine=types.SimpleNamespace(store=store))
        module = types.SimpleNamespace(default=default)
        monkeypatch.setitem(sys.modules, "tornado_unblock.jobs", module)
        return store

    return keep


def test_without_jobs(monkeypatch):
    """Where jobs are not imported, or not configured, there is no section."""
    monkeypatch.delitem(sys.modules, "tornado_unblock.jobs", raising=False)
    assert JobCounts().get() is None

    class NotConfigured:
        @property
        def engine(self):
            raise ConfigurationError("call configure")

    module = types.SimpleNamespace(default=NotConfigured())
    monkeypatch.setitem(sys.modules, "tornado_unblock.jobs", module)
    assert JobCounts().get() is None
    JobCounts().join()


def test_counts_of_a_real_store(tmp_path, monkeypatch):
    """What is queued in a file is told."""
    from tornado_unblock.jobs import Jobs

    app = Jobs("status")
    app.configure(f"sqlite:///{tmp_path}/jobs.db")
    module = types.SimpleNamespace(default=app)
    monkeypatch.setitem(sys.modules, "tornado_unblock.jobs", module)
    counts = JobCounts()
    assert counts.get() == {}
    counts.join()
    assert counts.get()["queued"] == 0


def test_nobody_waits_for_the_store(keep, gate):
    """While the store is asked nobody waits, and nobody else asks it."""
    store = keep(lambda: gate.hold() and Counts(queued=7))
    counts = JobCounts()
    assert counts.get() == {}
    assert gate.wait()
    assert counts.get() == {}
    gate.open.set()
    counts.join()
    assert counts.get()["queued"] == 7
    assert store.asked == 1


def test_it_is_asked_again(keep, monkeypatch):
    """An old answer is renewed; a store that is away leaves nothing known."""
    answers = [Counts(queued=1), JobStoreError("postgresql://secret@host")]

    def answer():
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    keep(answer)
    counts = JobCounts()
    counts.get()
    counts.join()
    assert counts.get()["queued"] == 1
    monkeypatch.setattr(jobs, "_FRESH", 0.0)
    counts.get()
    counts.join()
    monkeypatch.setattr(jobs, "_FRESH", WAIT)
    assert counts.get() == {}
    assert answers == []


@pytest.mark.expect_log("tornado.application", "The jobs could not be counted")
def test_a_store_that_fails(keep):
    """Any other error is logged, and the page goes on."""
    keep(lambda: 1 / 0)
    counts = JobCounts()
    counts.get()
    counts.join()
    assert counts.get() == {}
