"""Jobs whose store is away: kept in a file until it is back.

# Threads: any; one at a time.
# Guarantees:
# - what is in the file is on the disk, and leaves it only once the store has it;
# - a job that the store has already is not put in twice, however often it is sent;
# - one that the store refuses for what it is does not hold up the others: it is moved
#   into the table ``refused`` of the file, with the reason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

from tornado.log import app_log

from tornado_unblock._errors import JobStoreError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock.jobs.records import NewJob
from tornado_unblock.jobs.values import plain_text

_TABLES = (
    "outbox (seq integer primary key, id text unique, queue text not null, "
    "job text not null)",
    "refused (seq integer primary key, id text unique, queue text not null, "
    "job text not null, error text not null)",
)
# How many are sent at a time, and how long another process may write, in seconds.
_CHUNK = 100
_BUSY = 5.0

# What PostgreSQL says of data, and not of itself: it makes no sense, it breaks a rule,
# it is too large.
_OF_THE_DATA = ("22", "23", "54")
# The same of RabbitMQ, whose words are all that there is of it.
_TOO_LARGE = "message size"

_lock = threading.Lock()


class OutboxError(JobStoreError):
    """The file cannot be read or written; the store may be there all the same."""


def is_refused(error: Exception) -> bool:
    """Whether a job was refused for what it is, and would be again.

    Otherwise the store is away, or full, and takes it once it is not.
    """
    if not isinstance(error, JobStoreError):
        return True  # it was never sent
    cause: Any = error.__cause__
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state[:2] in _OF_THE_DATA
    said = next(iter(getattr(cause, "args", ())), None)  # dramatiq wraps what pika says
    if _TOO_LARGE in getattr(said, "reply_text", ""):
        return True
    return isinstance(cause, sqlite3.DataError)


class Outbox:
    """A file of jobs that are still to be put into their store.

    Args:
        filename: Its path; nothing is opened before it is needed.
        queue: Whose jobs; several may share a file.
    """

    def __init__(self, filename: str, queue: str) -> None:
        self._filename, self._queue = filename, queue
        # Whether there may be some: what another process has kept, it sends itself, or
        # who starts next.
        self._may_have = True

    def keep(self, job: NewJob) -> None:
        """Keep a job for later; any thread that may block.

        Raises:
            OutboxError: Not even that can be done.
        """
        text = json.dumps(dataclasses.asdict(job))
        with self._connected() as connection:
            connection.execute(
                "insert or ignore into outbox (id, queue, job) values (?, ?, ?)",
                (job.id, self._queue, text),
            )
        self._may_have = True

    def send(self, store: Any) -> None:
        """Put what was kept into the store, the oldest first; any thread.

        Raises:
            JobStoreError: The store is away still.
            OutboxError: The file is.
        """
        while self._may_have:
            with self._connected() as connection:
                rows = connection.execute(
                    "select id, job from outbox where queue = ? order by seq limit ?",
                    (self._queue, _CHUNK),
                ).fetchall()
            self._may_have = len(rows) == _CHUNK
            try:
                self._send(store, rows)
            except BaseException:
                self._may_have = True
                raise

    def _send(self, store: Any, rows: list[Any]) -> None:
        for job_id, text in rows:
            try:
                with contextlib.suppress(store.unique_error):  # it has it already
                    store.put_job(NewJob(**json.loads(text)))
            except Exception as error:
                if not is_refused(error):
                    raise
                self._refuse(job_id, error)
            else:
                with self._connected() as connection:
                    connection.execute("delete from outbox where id = ?", (job_id,))

    def _refuse(self, job_id: str, error: Exception) -> None:
        """Move a job aside, and say so once."""
        reason = plain_text(f"{type(error).__name__}: {error}")
        with self._connected() as connection:
            connection.execute(
                "insert or ignore into refused (id, queue, job, error) "
                "select id, queue, job, ? from outbox where id = ?",
                (reason, job_id),
            )
            moved = connection.execute("delete from outbox where id = ?", (job_id,))
        if moved.rowcount:
            app_log.error(
                "Job %s is refused, and stays in the table 'refused' of the outbox %s, "
                "where %d are now: %s",
                *(job_id, self._filename, self.refused(), reason),
            )

    def refused(self) -> int:
        """Return how many jobs were refused, and are still in the file.

        Raises:
            OutboxError: It cannot be read.
        """
        with self._connected() as connection:
            count = "select count(*) from refused where queue = ?"
            return int(connection.execute(count, (self._queue,)).fetchone()[0])

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give a connection, in a transaction; not kept, so a fork is no matter."""
        try:
            with (
                _lock,
                contextlib.closing(
                    sqlite3.connect(self._filename, timeout=_BUSY)
                ) as connection,
            ):
                connection.execute("pragma synchronous = full")
                for table in _TABLES:
                    connection.execute(f"create table if not exists {table}")
                with connection:
                    yield connection
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox {self._filename}: {error}") from error


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()


at_fork(Step.POOLS, _forget_parent)
