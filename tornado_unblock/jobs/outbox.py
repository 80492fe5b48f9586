"""Jobs whose store is away: kept in a file until it is back.

# Threads: any; one at a time.
# Guarantees:
# - what is in the file is on the disk, and leaves it only once the store has it;
# - a job that the store has already is not put in twice, however often it is sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

from tornado_unblock._errors import JobStoreError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock.jobs.records import NewJob

# How many are sent at a time, and how long another process may write, in seconds.
_CHUNK = 100
_BUSY = 5.0

_lock = threading.Lock()


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
            JobStoreError: Not even that can be done.
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
            JobStoreError: The store is away still, or the file is.
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
            except JobStoreError:
                self._may_have = True
                raise

    def _send(self, store: Any, rows: list[Any]) -> None:
        for job_id, text in rows:
            with contextlib.suppress(store.unique_error):  # it has it already
                store.put_job(NewJob(**json.loads(text)))
            with self._connected() as connection:
                connection.execute("delete from outbox where id = ?", (job_id,))

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
                connection.execute(
                    "create table if not exists outbox (seq integer primary key, "
                    "id text unique, queue text not null, job text not null)"
                )
                with connection:
                    yield connection
        except sqlite3.Error as error:
            raise JobStoreError(f"the outbox {self._filename}: {error}") from error


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()


at_fork(Step.POOLS, _forget_parent)
