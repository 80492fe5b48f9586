"""The tables: what is where, and that nothing is lost between."""

from __future__ import annotations

import threading
import time

import pytest

from tests.patience import WAIT
from tests.unit.jobs.stores import job, state_of
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import owners, storage
from tornado_unblock.jobs.database import Asked
from tornado_unblock.jobs.records import Counts, Outcome

#: A process that is gone, by its name: of this boot, with an id that never was.
GONE = "{}:{}:4194999:1"


def in_flight_of(store, owner):
    """Have what is in flight belong to somebody else."""
    boot, namespace, *_ = store.owner.split(":")
    owner = owner.format(boot, namespace)
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}inflight set owner = ?", owner)
    return owner


_IN = "select j.id from {{p}}{} t join {{p}}job j on j.seq = t.seq"


def everywhere(store):
    """Return where the jobs stand."""
    with store.db() as cursor:
        return {
            table: [row[0] for row in store.run(cursor, _IN.format(table))]
            for table in ("queue", "schedule", "inflight")
        }


def test_a_job_goes_from_table_to_table(store):
    """It is queued, then in flight, then only a record."""
    assert store.put_job(job()) == ("a", True)
    assert everywhere(store) == {"queue": ["a"], "schedule": [], "inflight": []}
    taken = store.take()
    assert (taken.id, taken.name, taken.data, taken.attempt) == ("a", "f", "{}", 1)
    assert everywhere(store) == {"queue": [], "schedule": [], "inflight": ["a"]}
    assert store.take() is None
    store.finish(taken, Outcome("done", result="7"))
    assert everywhere(store) == {"queue": [], "schedule": [], "inflight": []}
    row = store.row("a")
    assert (row[2], row[11]) == ("done", "7")


def test_hueys_name_for_it(store):
    """Dequeue gives the data, or None."""
    store.put_job(job())
    assert store.dequeue() == "{}"
    assert store.dequeue() is None


def test_priorities(store):
    """Higher ones first, and in the order in which they came."""
    for id, priority in [("a", 0), ("b", 5), ("c", 5), ("d", -1)]:
        store.put_job(job(id, priority=priority))
    assert [store.take().id for _ in "abcd"] == ["b", "c", "a", "d"]


def test_one_at_a_time(store):
    """Of those with the same key one is in flight, whoever asks."""
    for id in "ab":
        store.put_job(job(id, key="k"))
    store.put_job(job("c"))
    first = store.take()
    assert (first.id, store.take().id, store.take()) == ("a", "c", None)
    store.finish(first, Outcome("done"))
    assert store.take().id == "b"


def test_once(store):
    """While one with the key waits, no other is added; one that runs does not count."""
    assert store.put_job(job("a", key="k", once=True)) == ("a", True)
    assert store.put_job(job("b", key="k", once=True)) == ("a", False)
    assert store.put_job(job("c", key="other", once=True)) == ("c", True)
    store.take()
    assert store.put_job(job("d", key="k", once=True)) == ("d", True)


def test_a_race_for_a_key(store, monkeypatch):
    """Who is second, where the store did not see it in time, gets nothing."""

    def lose(cursor):
        raise store.unique_error

    store.put_job(job())
    monkeypatch.setattr(store, "_take", lose)
    assert store.take() is None


def test_schedule(store):
    """What is not due yet waits apart, and moves when its time has come."""
    store.put_job(job(run_at=time.time() + 1000))
    assert everywhere(store)["schedule"] == ["a"]
    assert store.take() is None
    store.move_due()
    assert everywhere(store)["schedule"] == ["a"]
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}schedule set run_at = 1")
    assert store.take().id == "a"
    store.put_job(job("b", run_at=time.time() + 1000))
    store.move_due(everything=True)
    assert store.take().id == "b"


def test_a_retry_is_written_with_the_end(store):
    """A failed attempt leaves flight and enters the schedule at once."""
    store.put_job(job())
    at = time.time() + 1000
    store.finish(store.take(), Outcome("failed", error="E", traceback="T", run_at=at))
    assert everywhere(store) == {"queue": [], "schedule": ["a"], "inflight": []}
    row = store.row("a")
    assert (row[2], row[6], row[8], row[12], row[13]) == ("failed", at, None, "E", "T")
    store.move_due(everything=True)
    taken = store.take()
    assert (taken.attempt, taken.failures) == (2, 1)
    store.finish(taken, Outcome("done"))
    assert store.counts().failures == 1


def test_put_back(store):
    """What was not begun is as if it had not been taken."""
    store.put_job(job())
    taken = store.take()
    store.put_back(taken)
    assert (state_of(store), store.row("a")[3]) == ("queued", 0)
    store.put_back(taken)  # not twice
    assert everywhere(store)["queue"] == ["a"]


def test_the_dead_lose_what_they_had(store):
    """What a dead process had in flight is queued again, and counted as a crash."""
    store.put_job(job())
    store.take()
    in_flight_of(store, GONE)
    store.tick()
    row = store.row("a")
    assert (row[2], row[3], row[4]) == ("queued", 1, 1)
    assert store.take().attempt == 2


def test_the_living_keep_what_they_have(store):
    """However long it takes, what a living process has stays with it."""
    store.put_job(job())
    store.take()
    store.tick()
    in_flight_of(store, "{}:{}:1:" + owners._started(1))
    store.tick()
    assert everywhere(store)["inflight"] == ["a"]


def test_excused(store):
    """A process that was told to end is not blamed for what it left."""
    store.put_job(job())
    store.take()
    store.forgive()
    in_flight_of(store, GONE)
    store.tick()
    row = store.row("a")
    assert (row[2], row[3], row[4]) == ("queued", 0, 0)


def test_poison_is_parked(store):
    """What kills its worker each time is dead in the end, and can be had again."""
    store.put_job(job(max_attempts=2))
    for _ in range(2):
        store.take()
        in_flight_of(store, GONE)
        store.tick()
    row = store.row("a")
    assert (row[2], row[3], row[4]) == ("dead", 2, 2)
    assert "its worker died" in row[12]
    assert [row[0] for row in store.rows("dead", 9)] == ["a"]
    assert store.retry("a")
    assert store.take().attempt == 1


@pytest.mark.parametrize(
    ("one_machine", "owner", "seen", "queued"),
    [
        (True, "other:1:1:1", 0, True),  # this machine before its restart
        (False, "other:1:1:1", 0, False),
        (False, "other:1:1:1", -storage.SILENCE, True),
        (False, "other:1:1:1", None, True),
        (True, "{}:other:1:1", 0, False),  # another container
        (True, "{}:other:1:1", -storage.SILENCE, True),
    ],
)
def test_owners_that_cannot_be_seen(store, one_machine, owner, seen, queued):
    """They live as long as they are heard of."""
    store.one_machine = one_machine
    store.put_job(job())
    store.take()
    owner = in_flight_of(store, owner)
    if seen is not None:
        with store.db(commit=True) as cursor:
            store.run(
                cursor, "insert into {p}owner values (?, ?)", owner, time.time() + seen
            )
    store.tick()
    assert (state_of(store) == "queued") == queued


def test_beats(store):
    """An owner is heard of, not at every turn; one long silent is forgotten."""
    with store.db(commit=True) as cursor:
        store.run(cursor, "insert into {p}owner values ('old', 1)")
    store.tick()
    with store.db() as cursor:
        assert store.run(cursor, "select name from {p}owner") == [(store.owner,)]
        store.run(cursor, "delete from {p}owner")
    store.tick()
    with store.db() as cursor:
        assert store.run(cursor, "select name from {p}owner") == []


def test_a_late_end_changes_nothing(store):
    """Who was taken for dead and comes back finds its job with somebody else."""
    store.put_job(job())
    taken = store.take()
    in_flight_of(store, GONE)
    store.finish(taken, Outcome("done"))
    assert state_of(store) == "running"


def test_adopt(make):
    """A process of a server's takes over what the server has taken, once."""
    store = make()
    store.put_job(job())
    taken = store.take()
    owner = in_flight_of(store, GONE)
    assert store.adopt(taken, owner)
    assert not store.adopt(taken, owner)
    store.finish(taken, Outcome("done"))
    assert state_of(store) == "done"


def test_unwritten_ends_are_written_later(store):
    """What could not be written when it came is written at the next turn."""
    store.put_job(job())
    store.unwritten.append((store.take(), Outcome("done")))
    store.tick()
    assert (state_of(store), store.unwritten) == ("done", [])


def test_expiry(make):
    """What is done can be asked for so long; the dead stay."""
    store = make(keep=-1.0)
    for id, state in [("a", "done"), ("b", "dead")]:
        store.put_job(job(id))
        store.finish(store.take(), Outcome(state))
    store.tick()
    assert store.row("a") is None
    assert state_of(store, "b") == "dead"


def test_progress_and_cancelling(store):
    """What runs can be asked, and be told; what fails then is not tried again."""
    store.put_job(job())
    taken = store.take()
    store.set_progress("a", 3, 4)
    assert store.row("a")[9:11] == (3, 4)
    assert not store.is_cancelled("a")
    assert store.cancel("a")
    assert store.is_cancelled("a")
    store.finish(taken, Outcome("failed", run_at=1.0))
    assert state_of(store) == "cancelled"
    assert not store.cancel("a")
    assert store.retry("a")
    assert not store.is_cancelled("a")


def test_cancelling_what_waits(store):
    """Queued or scheduled, it is taken out; a dead owner's is not run again."""
    store.put_job(job("a"))
    store.put_job(job("b", run_at=time.time() + 1000))
    assert store.cancel("a")
    assert store.cancel("b")
    assert not store.cancel("c")
    assert everywhere(store) == {"queue": [], "schedule": [], "inflight": []}
    store.put_job(job("d"))
    store.take()
    store.cancel("d")
    in_flight_of(store, GONE)
    store.tick()
    assert state_of(store, "d") == "cancelled"


def test_retry_and_discard(store):
    """Both are for what has ended."""
    store.put_job(job())
    assert not store.retry("a")
    assert not store.discard("a")
    store.finish(store.take(), Outcome("dead", error="E"))
    assert store.discard("a")
    assert store.row("a") is None
    assert not store.discard("a")


def test_counts(store):
    """How many there are of each."""
    assert store.counts() == Counts()
    for id in "abcde":
        store.put_job(job(id, priority=-ord(id)))
    store.put_job(job("f", run_at=time.time() + 1000))
    store.take()
    store.finish(store.take(), Outcome("done"))
    store.finish(store.take(), Outcome("dead", traceback="T"))
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}job set run_at = run_at - 100 where id = 'd'")
    counts = store.counts()
    assert 100 <= counts.oldest_waiting < 200
    assert counts == Counts(2, 1, 1, 1, 1, 1, counts.oldest_waiting)


def test_queues_are_apart(make):
    """Two applications share a file, and see nothing of each other."""
    one, two = make("one"), make("two")
    one.put_job(job(key="k"))
    assert two.take() is None
    assert two.row("a") is None
    assert not two.discard("a")
    assert one.take().id == "a"


def periodic(store, skip=False, spec="s", at=None):
    if at is not None:
        with store.db(commit=True) as cursor:
            store.run(cursor, "update {p}periodic set next_at = ?", at)
    made = []

    def make():
        made.append(job(str(time.monotonic_ns()), key="every f", once=True))
        return made[-1]

    store.put_periodic("f", spec, lambda now: now + 1000, skip, make)
    return len(made)


def test_periodic_jobs(make):
    """It is asked for when it is due, by one process, and not before."""
    store, other = make(), make()
    assert periodic(store) == 0
    assert periodic(store) == 0
    assert periodic(store, at=time.time() - 5000) == 1
    assert periodic(other) == periodic(store) == 0
    assert len(everywhere(store)["queue"]) == 1


def test_periodic_jobs_that_were_missed(store):
    """They are run once for all times, or not at all."""
    periodic(store)
    assert periodic(store, skip=True, at=time.time() - 5000) == 0
    assert periodic(store, skip=True, at=time.time() - 1) == 1
    # Another time of day: worked out anew, and not run for the change.
    assert periodic(store, spec="t", at=time.time() - 1) == 0


def test_two_clocks_at_once(make):
    """Who finds it due when another has just asked for it does not ask again."""
    store, other = make(), make()
    assert store.owner == other.owner  # both are open
    periodic(store)
    at = time.time() - 1
    with store.db(commit=True) as cursor:
        store.run(cursor, "update {p}periodic set next_at = ?", at)
    entered, go = threading.Event(), threading.Event()
    run = other.run

    def slowly(cursor, sql, *values):
        if sql.startswith("insert into {p}periodic"):
            raise AssertionError("its transaction cannot have begun")
        found = run(cursor, sql, *values)
        entered.set()
        assert go.wait(WAIT)
        other.run = run
        return found

    other.run = slowly
    count = []
    thread = threading.Thread(target=lambda: count.append(periodic(other)))
    thread.start()
    assert entered.wait(WAIT)
    assert periodic(store) == 1
    go.set()
    thread.join(WAIT)
    assert count == [0]


def test_who_waits_is_woken(store):
    """on_put is called after the commit, for what is new and what is tried again."""
    woken = []
    store.on_put = lambda: woken.append(state_of(store))
    store.put_job(job())
    store.finish(store.take(), Outcome("dead"))
    store.retry("a")
    assert woken == ["queued", "queued"]


def test_what_huey_asks(store):
    """Nothing is revoked by huey's means."""
    assert not store.has_data_for_key("k")
    assert store.peek_many(["k"]) == {}
    assert not store.delete_data("k")


def gathered(store, *jobs):
    """Have several threads wait while the store is held; return what each was told."""
    told = {}

    def put(new):
        try:
            told[new.id] = store.put_job(new)
        except Exception as error:
            told[new.id] = error

    threads = [threading.Thread(target=put, args=(new,)) for new in jobs]
    with store.lock:
        for thread in threads:
            thread.start()
        while len(store.asked) < len(jobs):
            pass
    for thread in threads:
        thread.join()
    return told


def test_several_threads_at_a_time(store, monkeypatch):
    """They wait for the disk once."""
    begun = []
    put_all = store._put_all
    monkeypatch.setattr(
        store, "_put_all", lambda batch: begun.append(len(batch)) or put_all(batch)
    )
    told = gathered(store, job("a"), job("b"), job("c"))
    assert told == {name: (name, True) for name in "abc"}
    assert begun == [3]
    assert store.counts().queued == 3


def test_one_of_several_that_cannot_be_put_in(store):
    """The others are."""
    store.put_job(job("a"))
    told = gathered(store, job("b"), job("a"), job("c"))
    assert isinstance(told.pop("a"), store.unique_error)
    assert told == {"b": ("b", True), "c": ("c", True)}
    assert store.counts().queued == 3


def test_several_while_the_store_is_away(store, monkeypatch):
    """All are told, and nobody waits for the others' errors."""
    tried = []

    def refuse(batch):
        tried.append(len(batch))
        raise JobStoreError("away") from store.away_errors[0]()

    monkeypatch.setattr(store, "_put_all", refuse)
    told = gathered(store, job("a"), job("b"))
    assert all(isinstance(error, JobStoreError) for error in told.values())
    assert tried == [2]


def test_an_interrupt_while_others_wait(store, monkeypatch):
    """Who is interrupted does not take the others along."""
    put_all = store._put_all

    def interrupt(batch):
        monkeypatch.setattr(store, "_put_all", put_all)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_put_all", interrupt)
    other = Asked(job("b"))
    store.asked.append(other)
    with pytest.raises(KeyboardInterrupt):
        store.put_job(job("a"))
    assert list(store.asked) == [other]
    store.put_job(job("c"))
    assert other.answer == ("b", True)
