"""What becomes of a job, each change one transaction.

What huey's own storages lack: a job that a worker takes is not gone from the store
but in flight there, until its end is written.

    queue     what is due            schedule  what is not, yet
    inflight  what a worker has      job       the record of each, whatever its state
    owner     whose workers there are, and when each was last heard of
    periodic  when each periodic job is next due

# Threads: any; one at a time, as the database says.
# Guarantees:
# - a job is in exactly one of `queue`, `schedule` and `inflight`, or has ended;
# - the end of an attempt and the retry that follows it are one transaction;
# - what a dead process had in flight goes back to the queue, and what a living one
#   has does not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

from tornado.log import app_log

from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import owners
from tornado_unblock.jobs.database import Asked, Database
from tornado_unblock.jobs.records import (
    CANCELLED,
    DEAD,
    DONE,
    ENDED,
    FAILED,
    QUEUED,
    RUNNING,
    WAITING,
    Counts,
    NewJob,
    Outcome,
    Taken,
)
from tornado_unblock.jobs.values import plain_text

_STATE = (
    "id, name, state, attempts, crashes, enqueued_at, run_at, started_at, ended_at, "
    "done, total, result, error, traceback"
)

# How long an owner that cannot be seen from here may be silent before it counts as
# dead, in seconds; it is heard of every two.
SILENCE = 15.0
BEAT = 2.0
# A periodic job that is begun later than this was missed, in seconds.
LATE = 60.0
# How many rows one transaction changes at most: others wait meanwhile.
_CHUNK = 500
# How much of an error is kept where the whole may be too much, and what may be too much
# for a server, in characters.
_LONG, _TOO_LARGE = 1000, 2**28


class Acknowledging(Database):
    """What makes a huey storage keep a job until its end is written."""

    is_broker = False

    # -- putting in ----------------------------------------------------------------

    def put_job(self, job: NewJob) -> tuple[str, bool]:
        """Put a job in; any thread.

        What several threads ask for at a time is one transaction: they wait for the
        disk once.

        Returns:
            Its id, and whether it is new: with ``once`` it may be another's.
        """
        asked = Asked(job)
        self.asked.append(asked)
        with self.lock:
            try:
                while not asked.over:
                    self._put_asked()
            except BaseException:  # Ctrl-C: nobody waits for it any more
                with contextlib.suppress(ValueError):
                    self.asked.remove(asked)
                raise
        if asked.error is not None:
            raise asked.error
        self.on_put()
        return asked.answer

    def _put_asked(self) -> None:
        """Put in what threads wait for; the lock is held."""
        batch = [self.asked.popleft() for _ in range(min(len(self.asked), _CHUNK))]
        try:
            self._put_all(batch)
        except Exception as error:
            self._put_each(batch, error)
        finally:
            # After Ctrl-C the threads of the others are on their own.
            self.asked.extendleft(each for each in reversed(batch) if not each.over)

    def _put_all(self, batch: Sequence[Asked]) -> None:
        with self.db(commit=True) as cursor:
            answers = [self.put_with(cursor, each.job) for each in batch]
        for each, answer in zip(batch, answers):
            each.answer, each.over = answer, True

    def _put_each(self, batch: Sequence[Asked], error: Exception) -> None:
        """After an error: find out whose it is, unless it is the store's."""
        for each in batch:
            if len(batch) > 1 and not isinstance(error.__cause__, self.away_errors):
                try:
                    self._put_all([each])
                    continue
                except Exception as own:
                    error = own
            each.error, each.over = error, True

    def put_with(self, cursor: Any, job: NewJob) -> tuple[str, bool]:
        """Put a job in, in the transaction of ``cursor``."""
        if job.once:
            other = self.run(
                cursor,
                "select id from {p}job where queue = ? and key = ? "
                "and state in (?, ?) limit 1",
                *(self.name, job.key, *WAITING),
            )
            if other:
                return other[0][0], False
        now = time.time()
        self.run(
            cursor,
            "insert into {p}job (id, queue, name, state, data, key, priority, "
            "max_attempts, enqueued_at, run_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(job.id, self.name, job.name, QUEUED, job.data),
            *(job.key, job.priority, job.max_attempts, now, max(job.run_at, now)),
        )
        seq = self.inserted(cursor)
        if job.run_at > now:
            self._line_up(cursor, seq, job.run_at)
        else:
            self._enter(cursor, seq, job.priority, job.key)
        return job.id, True

    def _line_up(self, cursor: Any, seq: int, run_at: float = 0.0) -> None:
        """Put a job that stands nowhere into the queue, or the schedule."""
        if run_at:
            self.run(
                cursor,
                "insert into {p}schedule (seq, queue, run_at) values (?, ?, ?)",
                *(seq, self.name, run_at),
            )
            return
        priority, key = self.run(
            cursor, "select priority, key from {p}job where seq = ?", seq
        )[0]
        self._enter(cursor, seq, priority, key)

    def _enter(
        self, cursor: Any, seq: int, priority: float, key: Optional[str]
    ) -> None:
        self.run(
            cursor,
            "insert into {p}queue (queue, rank, seq, key) values (?, ?, ?, ?)",
            *(self.name, -priority, seq, key),
        )

    # -- taking out ----------------------------------------------------------------

    def dequeue(self) -> Optional[str]:
        """Take the next job, and return its data: huey's name for `take`."""
        taken = self.take()
        return None if taken is None else taken.data

    def take(self) -> Optional[Taken]:
        """Take the next job that is due: from now on it is in flight."""
        self.write_unwritten()
        if not self._has_work():
            self.move_due()
            if not self._has_work():
                return None
        try:
            with self.db(commit=True) as cursor:
                return self._take(cursor)
        except self.unique_error:  # another one with its key began just now
            return None

    def _has_work(self) -> bool:
        # Reading holds up nobody.
        with self.db() as cursor:
            return bool(
                self.run(
                    cursor,
                    "select 1 from {p}queue where queue = ? limit 1",
                    self.name,
                )
            )

    def _take(self, cursor: Any) -> Optional[Taken]:
        found = self.run(
            cursor,
            "select q.rank, q.seq, q.key from {p}queue q where q.queue = ? and "
            "(q.key is null or not exists (select 1 from {p}inflight f where "
            "f.queue = q.queue and f.key = q.key)) order by q.rank, q.seq "
            "limit 1 " + self.skip_locked,
            self.name,
        )
        if not found:
            return None
        rank, seq, key = found[0]
        self._leave_queue(cursor, rank, seq)
        self.run(
            cursor,
            "insert into {p}inflight (seq, queue, key, owner) values (?, ?, ?, ?)",
            *(seq, self.name, key, self._owner),
        )
        self.run(
            cursor,
            "update {p}job set state = ?, attempts = attempts + 1, started_at = ?, "
            "done = null, total = null where seq = ?",
            *(RUNNING, time.time(), seq),
        )
        row = self.run(
            cursor,
            "select seq, id, name, data, attempts, failures, max_attempts "
            "from {p}job where seq = ?",
            seq,
        )[0]
        return Taken(*row)

    def _leave_queue(self, cursor: Any, rank: float, seq: int) -> bool:
        self.run(
            cursor,
            "delete from {p}queue where queue = ? and rank = ? and seq = ?",
            *(self.name, rank, seq),
        )
        return bool(cursor.rowcount)

    def finish(self, taken: Taken, outcome: Outcome) -> None:
        """Write how an attempt ended, and the retry that follows: acknowledge it."""
        with self.db(commit=True) as cursor:
            if not self._land(cursor, taken.seq):
                return  # it was taken for dead, and somebody else has it
            if outcome.state == FAILED and self._wants_end(cursor, taken.id):
                outcome = dataclasses.replace(outcome, state=CANCELLED)
            self._record(cursor, taken.seq, outcome)
            if outcome.state == FAILED:
                self._line_up(cursor, taken.seq, outcome.run_at)

    def _record(self, cursor: Any, seq: int, outcome: Outcome) -> None:
        ended = None if outcome.state == FAILED else time.time()
        self.run(
            cursor,
            "update {p}job set state = ?, result = ?, error = coalesce(?, error), "
            "traceback = coalesce(?, traceback), ended_at = ?, "
            "run_at = case when ? > 0 then ? else run_at end, "
            "failures = failures + ? where seq = ?",
            *(outcome.state, outcome.result, outcome.error, outcome.traceback),
            *(ended, outcome.run_at, outcome.run_at),
            *(int(outcome.traceback is not None), seq),
        )

    def _land(self, cursor: Any, seq: int) -> bool:
        """Take a job out of flight, if this process has it there."""
        self.run(
            cursor,
            "delete from {p}inflight where seq = ? and owner = ?",
            *(seq, self._owner),
        )
        return bool(cursor.rowcount)

    def adopt(self, taken: Taken, owner: str) -> bool:
        """Have this process have in flight what ``owner`` has; whether it had."""
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "update {p}inflight set owner = ? where seq = ? and owner = ?",
                *(self._owner, taken.seq, owner),
            )
            return bool(cursor.rowcount)

    def put_back(self, taken: Taken) -> None:
        """Put a job back into the queue as if it had not been taken."""
        with self.db(commit=True) as cursor:
            if self._land(cursor, taken.seq):
                self._again(cursor, taken.seq, counts=False)

    def _again(self, cursor: Any, seq: int, counts: bool) -> None:
        self.run(
            cursor,
            "update {p}job set state = ?, run_at = ?, attempts = attempts - ?, "
            "crashes = crashes + ? where seq = ?",
            *(QUEUED, time.time(), int(not counts), int(counts), seq),
        )
        self._line_up(cursor, seq)

    def forgive(self, *given: Taken) -> None:
        """What this process still runs is not to count when it ends before that.

        Args:
            *given: What processes of its own run, which have it in flight.
        """
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "update {p}inflight set counts = 0 where owner = ?",
                self._owner,
            )
            for taken in given:
                self.run(
                    cursor,
                    "update {p}inflight set counts = 0 where seq = ?",
                    taken.seq,
                )

    # -- what is to be done now and then -------------------------------------------

    def tick(self) -> None:
        """Do what no request brings about; any thread, about once a second.

        What is due moves from the schedule to the queue, what dead processes had in
        flight goes back there, and what has expired is deleted.
        """
        self.write_unwritten()
        self._beat()
        self.move_due()
        for owner in self._dead_owners():
            self.take_back(owner)
        self._expire()

    def write_unwritten(self) -> None:
        """Write the ends that could not be written when they came."""
        with self.lock:  # each once, whoever comes by
            while self.unwritten:
                self._write_end(*self.unwritten[0])
                self.unwritten.pop(0)

    def _write_end(self, taken: Taken, outcome: Outcome) -> None:
        try:
            self.finish(taken, outcome)
        except Exception as error:
            if not self._is_at_fault(outcome, error):
                raise
            # It would be tried for ever, and before all others.
            reason = plain_text(f"its end cannot be written: {error}")[:_LONG]
            self.finish(taken, Outcome(DEAD, error=reason))
            app_log.error("Job %s (%s) is dead: %s", taken.id, taken.name, reason)

    def _is_at_fault(self, outcome: Outcome, error: Exception) -> bool:
        """Whether it is for the end itself, and not for the store, that it failed."""
        if isinstance(error, JobStoreError):
            if error.__cause__ is None:  # the store is too new
                return False
            if isinstance(error.__cause__, self.away_errors):
                # A server may end the connection over what is too large.
                return len(outcome.result or "") > _TOO_LARGE
        return True

    def move_due(self, everything: bool = False) -> None:
        """Move what is due into the queue, in one transaction.

        Args:
            everything: Also what is not due yet.
        """
        now = time.time() if not everything else float("inf")
        due = "select seq from {p}schedule where queue = ? and run_at <= ? "
        with self.db() as cursor:
            if not self.run(cursor, due + "limit 1", self.name, now):
                return
        with self.db(commit=True) as cursor:
            rows = self.run(
                cursor,
                due + "order by run_at limit ? " + self.skip_locked,
                *(self.name, now, _CHUNK),
            )
            for (seq,) in rows:
                self._unschedule(cursor, seq)
                self._line_up(cursor, seq)

    def _unschedule(self, cursor: Any, seq: int) -> bool:
        self.run(cursor, "delete from {p}schedule where seq = ?", seq)
        return bool(cursor.rowcount)

    def _beat(self) -> None:
        now = time.time()
        if abs(now - self._beat_at) < BEAT:
            return
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "insert into {p}owner (name, seen_at) values (?, ?) "
                "on conflict (name) do update set seen_at = excluded.seen_at",
                *(self._owner, now),
            )
            self.run(
                cursor,
                "delete from {p}owner where seen_at < ? and name not in "
                "(select owner from {p}inflight)",
                now - 10 * SILENCE,
            )
        self._beat_at = now

    def _dead_owners(self) -> list[str]:
        with self.db() as cursor:
            rows = self.run(
                cursor,
                "select distinct f.owner, o.seen_at from {p}inflight f "
                "left join {p}owner o on o.name = f.owner where f.queue = ?",
                self.name,
            )
        return [owner for owner, seen_at in rows if not self._lives(owner, seen_at)]

    def _lives(self, owner: str, seen_at: Optional[float]) -> bool:
        if owner == self._owner:
            return True
        alive = owners.is_alive(owner)
        if alive is not None:
            return alive
        if self.one_machine and owners.is_of_another_boot(owner):
            return False  # the machine was restarted
        return seen_at is not None and time.time() - seen_at < SILENCE

    def take_back(self, owner: str) -> None:
        """Put what a dead process had in flight back, or on the dead list."""
        with self.db(commit=True) as cursor:
            rows = self.run(
                cursor,
                "select f.seq, f.counts, j.attempts, j.max_attempts, j.cancel "
                "from {p}inflight f join {p}job j on j.seq = f.seq "
                "where f.owner = ? and f.queue = ? " + self.lock_rows("f"),
                *(owner, self.name),
            )
            for seq, counts, attempts, allowed, cancel in rows:
                self.run(cursor, "delete from {p}inflight where seq = ?", seq)
                if cancel:
                    self._record(cursor, seq, Outcome(CANCELLED))
                elif counts and attempts >= allowed:
                    self._again_never(cursor, seq, attempts)
                else:
                    self._again(cursor, seq, bool(counts))

    def _again_never(self, cursor: Any, seq: int, attempts: int) -> None:
        error = (
            f"its worker died while it ran, and it has been begun {attempts} times: it "
            "may kill whoever runs it"
        )
        self._record(cursor, seq, Outcome(DEAD, error=error))
        self.run(cursor, "update {p}job set crashes = crashes + 1 where seq = ?", seq)

    def lock_rows(self, table: str) -> str:
        """Return what keeps others from the rows of a select until the commit."""
        return ""

    def _expire(self) -> None:
        old = "queue = ? and state in (?, ?) and ended_at is not null and ended_at < ?"
        values = (self.name, DONE, CANCELLED, time.time() - self.keep)
        with self.db() as cursor:
            find = "select seq from {p}job where " + old + " limit ?"
            rows = self.run(cursor, find, *values, _CHUNK)
        if rows:
            forget = "delete from {p}job where seq = ? and " + old
            with self.db(commit=True) as cursor:
                for (seq,) in rows:
                    self.run(cursor, forget, seq, *values)

    # -- periodic jobs -------------------------------------------------------------

    def put_periodic(
        self,
        name: str,
        spec: str,
        next_after: Callable[[float], float],
        skip_missed: bool,
        make: Callable[[], NewJob],
    ) -> None:
        """Put a periodic job in if it is due, and nobody has done so.

        Args:
            name: The job's.
            spec: When it is due, as text: when that changes, it is worked out anew.
            next_after: Returns the first time after one that it is due.
            skip_missed: Do nothing if its time was more than a minute ago.
            make: Makes what is put in.
        """
        find = "select spec, next_at from {p}periodic where queue = ? and name = ?"
        now = time.time()
        with self.db() as cursor:
            found = self.run(cursor, find, self.name, name)
        if found and found[0][0] == spec and found[0][1] > now:
            return
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "insert into {p}periodic (queue, name, spec, next_at) "
                "values (?, ?, '', 0) on conflict (queue, name) do nothing",
                *(self.name, name),
            )
            locked = find + " " + self.lock_rows("")
            known, at = self.run(cursor, locked, self.name, name)[0]
            if known == spec and at > now:
                return  # another process was faster
            self.run(
                cursor,
                "update {p}periodic set spec = ?, next_at = ? "
                "where queue = ? and name = ?",
                *(spec, next_after(now), self.name, name),
            )
            if known == spec and not (skip_missed and now - at > LATE):
                self.put_with(cursor, make())
        self.on_put()

    # -- asking, and what people do ------------------------------------------------

    def row(self, job_id: str) -> Optional[tuple[Any, ...]]:
        """Return the record of a job, in the order of `State`; None without one."""
        with self.db() as cursor:
            rows = self.run(
                cursor,
                "select " + _STATE + " from {p}job where id = ? and queue = ?",
                *(job_id, self.name),
            )
        return tuple(rows[0]) if rows else None

    def rows(self, state: str, limit: int) -> Sequence[tuple[Any, ...]]:
        """Return the records of the jobs in a state, those that ended last first."""
        with self.db() as cursor:
            return self.run(
                cursor,
                "select " + _STATE + " from {p}job where queue = ? and state = ? "
                "order by ended_at desc, enqueued_at desc limit ?",
                *(self.name, state, limit),
            )

    def set_progress(self, job_id: str, done: float, of: Optional[float]) -> None:
        """Write how far a job is."""
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "update {p}job set done = ?, total = ? where id = ?",
                *(done, of, job_id),
            )

    def is_cancelled(self, job_id: str) -> bool:
        """Whether somebody wants a running job to end."""
        with self.db() as cursor:
            return bool(self._wants_end(cursor, job_id))

    def _wants_end(self, cursor: Any, job_id: str) -> list[Any]:
        return self.run(
            cursor, "select 1 from {p}job where id = ? and cancel = 1", job_id
        )

    def cancel(self, job_id: str) -> bool:
        """Take a waiting job out for good, or ask a running one to end.

        Returns:
            False when it has ended already, or there is none.
        """
        with self.db(commit=True) as cursor:
            for seq, priority in self.run(
                cursor,
                "select seq, priority from {p}job where id = ? and queue = ?",
                *(job_id, self.name),
            ):
                queued = self._leave_queue(cursor, -priority, seq)
                if queued or self._unschedule(cursor, seq):
                    self._record(cursor, seq, Outcome(CANCELLED))
                    return True
            self.run(
                cursor,
                "update {p}job set cancel = 1 where id = ? and queue = ? and state = ?",
                *(job_id, self.name, RUNNING),
            )
            return bool(cursor.rowcount)

    def retry(self, job_id: str) -> bool:
        """Put a dead or cancelled job into the queue again, its attempts forgotten.

        Returns:
            False when it is neither.
        """
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "update {p}job set state = ?, run_at = ?, attempts = 0, failures = 0, "
                "crashes = 0, cancel = 0, ended_at = null "
                "where id = ? and queue = ? and state in (?, ?)",
                *(QUEUED, time.time(), job_id, self.name, DEAD, CANCELLED),
            )
            if not cursor.rowcount:
                return False
            seq = self.run(cursor, "select seq from {p}job where id = ?", job_id)[0][0]
            self._line_up(cursor, seq)
        self.on_put()
        return True

    def discard(self, job_id: str) -> bool:
        """Delete the record of a job that has ended.

        Returns:
            False when it has not, or there is none.
        """
        with self.db(commit=True) as cursor:
            self.run(
                cursor,
                "delete from {p}job where id = ? and queue = ? and state in (?, ?, ?)",
                *(job_id, self.name, *ENDED),
            )
            return bool(cursor.rowcount)

    def counts(self) -> Counts:
        """Return how many jobs there are."""
        name = self.name
        with self.db() as cursor:
            ended = dict(
                self.run(
                    cursor,
                    "select state, count(*) from {p}job where queue = ? "
                    "and ended_at is not null group by state",
                    name,
                )
            )
            queued, oldest = self.run(
                cursor,
                "select count(*), min(j.run_at) from {p}queue q "
                "join {p}job j on j.seq = q.seq where q.queue = ?",
                name,
            )[0]
            failures, scheduled, running = self.run(
                cursor,
                "select (select coalesce(sum(failures), 0) from {p}job "
                "where queue = ? and failures > 0), "
                "(select count(*) from {p}schedule where queue = ?), "
                "(select count(*) from {p}inflight where queue = ?)",
                *(name, name, name),
            )[0]
        return Counts(
            queued=queued,
            scheduled=scheduled,
            running=running,
            dead=ended.get(DEAD, 0),
            done=ended.get(DONE, 0),
            failures=int(failures),
            oldest_waiting=max(0.0, time.time() - oldest) if oldest else 0.0,
        )

    # -- what huey asks of a storage -----------------------------------------------

    def has_data_for_key(self, key: str) -> bool:
        """Nothing is revoked by huey's own means: `cancel` does that."""
        return False

    def peek_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The same."""
        return {}

    def delete_data(self, key: str) -> bool:
        """The same."""
        return False
