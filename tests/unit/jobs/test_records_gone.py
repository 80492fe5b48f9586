"""Jobs beside a broker whose record is gone, and those of a key that wait."""

from __future__ import annotations

import json
import time

import pytest

from tests.unit.jobs.test_redis_records import DEAD, ME, asked, state
from tests.unit.jobs.test_redis_records import records as records
from tornado_unblock.jobs.records import DONE, FAILED, Outcome

redis_records = pytest.importorskip("tornado_unblock.jobs.redis_records")
DAY = 86400.0


def gone(records, id="a"):
    """Return for how many days a job's id is kept yet."""
    return (records.client.zscore(f"{records._prefix}gone", id) - time.time()) / DAY


@pytest.mark.parametrize("end", ["discard", "expire"])
@pytest.mark.parametrize("delay", [0, 1000])
def test_a_cancelled_job(records, end, delay):
    """It is not run, also when its message comes after its record is gone."""
    record = asked(records, run_at=time.time() + delay)
    records.cancel("a")
    if end == "discard":
        assert records.discard("a")
    else:
        records._keep = -1.0
        records.tick(ME)
    assert records.row("a") is None
    assert records.begin(record, ME) is None
    assert records.begin(record, ME) is None
    records.asked_for(record)
    assert records.row("a") is None


def test_how_long_it_is_remembered(records):
    """Until its message has come, and may come again; or a month after its time."""
    record = asked(records, run_at=time.time() + 100 * DAY)
    records.cancel("a")
    records.discard("a")
    assert 129 < gone(records) < 131
    records.begin(record, ME)
    assert 0 < gone(records) < 1
    records.tick(ME)
    assert gone(records)
    records.client.zadd(f"{records._prefix}gone", {"a": time.time() - 1})
    records.tick(ME)
    assert records.client.zscore(f"{records._prefix}gone", "a") is None


def test_a_job_that_was_done(records):
    """Its message has come, but may come again."""
    record = asked(records)
    records.finish(records.begin(record, ME), ME, Outcome(DONE))
    records.discard("a")
    assert records.begin(record, ME) is None
    assert 0 < gone(records) < 1


def test_a_retry_that_was_cancelled(records):
    """The message of the retry is waited for."""
    record = asked(records)
    taken = records.begin(record, ME)
    records.cancel("a")
    run_at = time.time() + 10 * DAY
    records.finish(taken, ME, Outcome(FAILED, traceback="t", run_at=run_at))
    records.discard("a")
    assert 39 < gone(records) < 41
    assert records.begin(record, ME) is None


def test_a_cancelled_job_that_was_retried(records):
    """The message of its first life may come after the end of its second."""
    record = asked(records, run_at=time.time() + 10 * DAY)
    records.cancel("a")
    again = {**record, "life": 1}
    records.finish(records.begin(again, ME), ME, Outcome(DONE))
    records.discard("a")
    assert 39 < gone(records) < 41
    assert records.begin(record, ME) is None


# -- those of a key that wait --------------------------------------------------------


def test_another_that_waits(records):
    """It is found, whatever became of the one that was asked for last."""
    asked(records, id="a", key="k", run_at=time.time() + 1000)
    record = asked(records, id="b", key="k")
    assert records.waiting("k") == "b"
    taken = records.begin(record, ME)
    assert records.waiting("k") == "a"
    records.finish(taken, ME, Outcome(DONE))
    assert records.waiting("k") == "a"
    records.discard("b")
    assert records.waiting("k") == "a"
    records.cancel("a")
    assert records.waiting("k") is None
    assert not records.client.exists(f"{records._prefix}waits:k")


@pytest.mark.parametrize("how", ["failed", "retried"])
def test_one_that_waits_again(records, how):
    """It is one of those that wait."""
    record = asked(records, key="k")
    taken = records.begin(record, DEAD)
    assert records.waiting("k") is None
    if how == "failed":
        outcome = Outcome(FAILED, traceback="t", run_at=time.time() + 9)
        records.finish(taken, DEAD, outcome)
    else:
        records.finish(taken, DEAD, Outcome("dead", traceback="t"))
        records.revived({**record, "life": 1})
    assert records.waiting("k") == "a"
    assert records.waiting("other") is None


def test_what_an_older_version_has_left(records):
    """It does not wait for ever."""
    asked(records, key="k")
    asked(records, id="b", key="k")
    records.client.hdel(f"{records._prefix}jobs", "b")
    done = json.dumps({**records.record("a"), "state": "done"})
    records.client.hset(f"{records._prefix}jobs", "a", done)
    assert records.waiting("k") is None


def test_none_at_all(records):
    """A limit of none is none."""
    asked(records)
    assert records.rows("queued", 0) == []
    assert state(records) == "queued"
