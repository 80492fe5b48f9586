"""The records beside a broker: what a message is to do."""

from __future__ import annotations

import contextlib
import time
import uuid

import pytest

from tests.unit.jobs.stores import job
from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock.jobs import owners
from tornado_unblock.jobs.records import CANCELLED, DONE, FAILED, Counts, Outcome, Taken

redis_records = pytest.importorskip("tornado_unblock.jobs.redis_records")
BUSY, Records = redis_records.BUSY, redis_records.Records
new_record = redis_records.new_record

ME = owners.own_name()
BOOT, NAMESPACE, *_ = ME.split(":")
#: A process of this machine that is no more, and one of another machine.
DEAD = f"{BOOT}:{NAMESPACE}:{2**22 + 1}:1"
FAR = "elsewhere:-:7:7"


@pytest.fixture
def records(redis_url):
    with contextlib.closing(Records(redis_url, uuid.uuid4().hex, 60.0)) as records:
        yield records
        for key in records.client.scan_iter(f"{records._prefix}*"):
            records.client.delete(key)


def asked(records, **options):
    record = new_record(job(**options))
    records.asked_for(record)
    return record


def state(records, id="a"):
    return records.row(id)[2]


def test_a_job_from_its_message_to_its_end(records):
    """It waits, runs, is done, and its message is of no use any more."""
    record = asked(records)
    assert (state(records), records.counts().queued) == ("queued", 1)
    assert records.counts().oldest_waiting > 0
    taken = records.begin(record, ME)
    assert taken == Taken(0, "a", "f", "{}", 1, 0, 3)
    assert (state(records), records.counts().running) == ("running", 1)
    assert records.finish(taken, ME, Outcome(DONE, result="7"))
    assert (state(records), records.row("a")[11]) == ("done", "7")
    assert records.counts() == Counts(done=1)
    assert records.begin(record, ME) is None
    assert not records.finish(taken, ME, Outcome(DONE))


def test_a_message_whose_record_is_not_written(records):
    """It brings all that is needed; writing the record later changes nothing."""
    record = new_record(job())
    records.begin(record, ME)
    records.asked_for(record)
    assert state(records) == "running"


@pytest.mark.parametrize("owner", [ME, FAR], ids=["here", "elsewhere"])
def test_a_job_that_runs(records, owner):
    """Its message comes again later, as long as its process lives."""
    record = asked(records)
    records.begin(record, owner)
    records.tick(owner)
    assert records.begin(record, "me") == BUSY


@pytest.mark.parametrize("owner", [DEAD, FAR], ids=["here", "elsewhere"])
def test_a_job_of_a_dead_process(records, owner):
    """It is begun again, and that is counted."""
    record = asked(records)
    records.begin(record, owner)
    taken = records.begin(record, ME)
    assert (taken.attempt, records.row("a")[4]) == (2, 1)
    assert not records.finish(taken, owner, Outcome(DONE))


def test_a_job_that_kills_its_workers(records):
    """It is dead after its last attempt."""
    record = asked(records, max_attempts=2)
    for pid in (1, 2):
        records.begin(record, f"{BOOT}:{NAMESPACE}:{2**22 + pid}:1")
    assert records.begin(record, ME) is None
    assert state(records) == "dead"
    assert records.row("a")[3:5] == (2, 2)
    assert "may kill" in records.row("a")[12]


def test_what_is_forgiven(records):
    """An attempt that a shutdown has cut off does not count; others' do."""
    records.begin(asked(records), DEAD)
    records.begin(asked(records, id="b"), FAR)
    records.forgive(DEAD)
    taken = records.begin(new_record(job()), ME)
    assert (taken.attempt, records.row("a")[4]) == (1, 0)
    assert records.begin(new_record(job("b")), ME).attempt == 2


def test_a_retry(records):
    """Its time is waited for, also by a message that comes too early."""
    record = asked(records)
    taken = records.begin(record, ME)
    later = time.time() + 100
    outcome = Outcome(FAILED, error="no", traceback="here", run_at=later)
    records.finish(taken, ME, outcome)
    assert 50 < records.begin(record, ME) <= 100
    assert records.counts().failures == records.counts().scheduled == 1
    outcome.run_at = 1.0
    assert state(records) == "failed"


def test_a_retry_whose_time_has_come(records):
    """It is begun, and knows how often it has failed."""
    record = asked(records)
    outcome = Outcome(FAILED, traceback="here", run_at=1.0)
    records.finish(records.begin(record, ME), ME, outcome)
    taken = records.begin(record, ME)
    assert (taken.attempt, taken.failures) == (2, 1)


def test_a_key(records):
    """One at a time; the next one when that has ended."""
    first, second = (asked(records, id=name, key="k") for name in "ab")
    assert records.waiting("k") == "b"
    taken = records.begin(first, ME)
    assert records.begin(second, ME) == BUSY
    records.finish(taken, ME, Outcome(DONE))
    assert records.begin(second, ME).attempt == 1
    assert records.waiting("k") is None


def test_cancel(records):
    """One that waits is out; one that runs is told, and then is not tried again."""
    waiting, running = asked(records), asked(records, id="b")
    taken = records.begin(running, ME)
    assert records.cancel("a")
    assert records.cancel("b")
    assert records.begin(waiting, ME) is None
    assert records.is_cancelled("b")
    assert not records.is_cancelled("a")
    records.finish(taken, ME, Outcome(FAILED, run_at=1.0))
    assert state(records) == state(records, "b") == CANCELLED
    assert not records.cancel("a")
    assert not records.cancel("none")
    assert not records.is_cancelled("none")


def test_cancel_what_has_lost_its_worker(records):
    """It is not begun again."""
    record = asked(records)
    records.begin(record, DEAD)
    records.cancel("a")
    assert records.begin(record, ME) is None
    assert state(records) == CANCELLED


def test_another_life(records):
    """A dead job begins anew by a message that says so, and only once."""
    record = asked(records, max_attempts=1)
    records.finish(
        records.begin(record, ME), ME, Outcome("dead", error="e", traceback="t")
    )
    again = {**record, "life": 1}
    assert records.begin(again, ME).attempt == 1
    assert records.counts().failures == 0
    records.revived(again)
    assert state(records) == "running"
    assert records.begin(record, ME) == BUSY


def test_another_life_that_is_written_down(records):
    """It waits, until its message comes."""
    record = asked(records)
    records.cancel("a")
    again = {**record, "life": 1}
    records.revived(again)
    records.revived({**again, "id": "none"})
    assert state(records) == "queued"
    assert records.begin(again, ME).attempt == 1


def test_progress(records):
    """It is there for who asks, and gone with the next attempt."""
    record = asked(records)
    records.begin(record, DEAD)
    records.set_progress("a", 1.0, 2.0)
    assert records.row("a")[9:11] == (1, 2)
    records.set_progress("a", 3.0, None)
    assert records.row("a")[9:11] == (3, None)
    records.begin(record, ME)
    assert records.row("a")[9:11] == (None, None)
    records.set_progress("none", 1.0, None)


def test_rows(records):
    """Those in one state, the last one first."""
    for name in "abc":
        asked(records, id=name)
    records.cancel("b")
    records.cancel("a")
    assert [row[0] for row in records.rows(CANCELLED, 100)] == ["a", "b"]
    assert len(records.rows(CANCELLED, 1)) == 1
    assert [row[0] for row in records.rows("queued", -1)] == ["c"]
    assert records.rows("failed", 100) == records.rows("done", 100) == []


def test_discard(records):
    """What has ended is forgotten; what has not is not."""
    record = asked(records, key="k")
    assert not records.discard("a")
    taken = records.begin(record, ME)
    assert not records.discard("a")
    records.finish(taken, ME, Outcome("dead", traceback="t"))
    assert records.discard("a")
    assert records.row("a") is None
    assert records.counts() == Counts()
    assert not records.discard("a")


def test_expiry(records):
    """What is done or cancelled is forgotten after a while; the dead are not."""
    records._keep = -1.0
    for name, ended in [("a", DONE), ("b", CANCELLED), ("c", "dead")]:
        taken = records.begin(asked(records, id=name), ME)
        records.finish(taken, ME, Outcome(ended))
    records.tick(ME)
    assert records.counts() == Counts(dead=1)


def test_periodic(records):
    """It is due from the second time on, once each, with an id of its time."""
    put = []

    def tick(now, skip=False, spec="s"):
        records.put_periodic("p", spec, lambda at: now, skip, put.append)

    tick(0.0)
    assert put == []
    tick(1.0)
    tick(1.0)
    assert len(put) == 2
    assert put[0] != put[1]
    tick(time.time() + 100)
    assert put[1] == put[2]
    tick(0.0)
    assert len(put) == 3
    tick(0.0, spec="other")
    tick(0.0, skip=True, spec="other")
    assert len(put) == 3


def test_periodic_in_two_processes(records, monkeypatch):
    """Who comes second finds it done."""
    records.put_periodic("p", "s", lambda now: 0.0, False, None)
    known = [(0.0, True), (time.time() + 9, True)]
    monkeypatch.setattr(records, "_is_known", lambda *_: known.pop(0))
    records.put_periodic("p", "s", None, False, None)


def test_a_lock(records, monkeypatch):
    """One at a time; who waits too long is told; what has expired is another's."""
    monkeypatch.setattr(redis_records, "_HELD", 0.05)
    with records.lock("l"):
        with records.lock("l"):  # the first one has expired
            pass
    with records.lock("l"):
        monkeypatch.setattr(redis_records, "_HELD", 0.002)
        records.client.persist(f"{records._prefix}lock:l")
        with pytest.raises(JobStoreError, match="stays locked"), records.lock("l"):
            pass


def test_redis_is_away():
    """It is an error that says where."""
    records = Records("redis://user:secret@127.0.0.1:1/4", "q", 60.0)
    with pytest.raises(JobStoreError, match=r"redis://127\.0\.0\.1:1/4") as caught:
        records.newer()
    assert "secret" not in str(caught.value)


def test_no_url():
    """It is an error where it is configured."""
    with pytest.raises(ConfigurationError, match="URL of Redis"):
        Records("http://x", "q", 60.0)
