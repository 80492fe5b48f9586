"""What the tests of the stores share."""

from __future__ import annotations

import pytest

from tornado_unblock.jobs.records import NewJob


def job(id="a", **options):
    return NewJob(id, "f", "{}", **{"max_attempts": 3, **options})


on_sqlite = pytest.mark.parametrize("make", ["sqlite"], indirect=True)


def state_of(store, id="a"):
    return store.row(id)[2]
