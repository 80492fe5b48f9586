"""Jobs in one SQLite file: for one machine, with nothing to install."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import weakref
from typing import Any

from huey.storage import SqliteStorage  # type: ignore[import-untyped]

from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs.database import TABLES
from tornado_unblock.jobs.storage import Acknowledging

# How long to wait for another process that writes, in seconds.
_BUSY = 5.0
# The tables and indices, without the prefix.
_NAMES = {re.split("{p}|[ (]", sql[sql.index("{p}") :])[1] for sql in TABLES}


class SqliteStore(Acknowledging, SqliteStorage):  # type: ignore[misc]
    """A file; any process of its machine may use it.

    Args:
        filename: Its path; ":memory:" for none.
        queue: The name under which its jobs stand in the tables.
        keep: Seconds for which a job that has ended can be asked for.
    """

    begin_sql = "begin immediate"
    errors = (sqlite3.Error,)
    away_errors = (sqlite3.OperationalError,)
    unique_error = sqlite3.IntegrityError

    def __init__(self, filename: str, queue: str, keep: float) -> None:
        # A commit is on the disk before it returns: fsync is synchronous=FULL.
        super().__init__(queue, keep, filename=filename, timeout=_BUSY, fsync=True)

    @property
    def place(self) -> str:
        """The file."""
        return f"sqlite:///{self.filename}"

    def failed(self, error: Exception) -> JobStoreError:
        """Return what to raise for an error of SQLite."""
        text = str(error)
        advice = "check the path, and who may write there"
        if "full" in text:
            advice = "make room on its disk; nothing was written"
        elif "locked" in text:
            advice = (
                f"another process has been writing for {_BUSY:g} s: is it stopped, or "
                "is the file on a network disk?"
            )
        elif "malformed" in text or "not a database" in text:
            advice = "the file is damaged, or no SQLite file: restore it from a backup"
        return JobStoreError(f"jobs in {self.place}: {text}; {advice}")

    def inserted(self, cursor: Any) -> int:
        """Return the number of the row that was just inserted."""
        return int(cursor.lastrowid)

    def _create_connection(self) -> Any:
        connection = super()._create_connection()
        # By default the log is copied into the file after a few hundred jobs.
        connection.execute("pragma wal_autocheckpoint = 4000")
        # A store that is dropped, with a thread that has ended, say, closes it.
        weakref.finalize(self, _close, connection, os.getpid())
        return connection

    def _set_journal_mode(self, connection: Any) -> None:
        # The first that uses it: a file that is no database is found out here.
        try:
            super()._set_journal_mode(connection)
        except BaseException:
            connection.close()
            raise

    def _prepare(self, connection: Any) -> None:
        # To write, even nothing new, would wait for a transaction with within=.
        rows = connection.execute("select name from sqlite_master").fetchall()
        if {name.partition(self.prefix)[2] for (name,) in rows} >= _NAMES:
            self._check_version(connection.cursor())
        else:
            super()._prepare(connection)

    def put_into(self, connection: Any, job: Any) -> tuple[str, bool]:
        """Put a job in, in the transaction that a connection of the caller's has.

        Raises:
            JobStoreError: Its file is not the one of the jobs, or it commits each
                statement by itself.
        """
        if not self._is_ours(connection):
            raise JobStoreError(
                f"within= takes a connection to {self.place}, where the jobs are, so "
                "that both commit at once; use on_commit= with other databases"
            )
        if connection.isolation_level is None and not connection.in_transaction:
            raise JobStoreError(
                "within= takes a connection that has begun a transaction: execute "
                "'begin' first"
            )
        if not connection.in_transaction:
            with self.db():
                pass  # opened now, when nothing of the caller's is in its way
        cursor = connection.cursor()
        # Over this connection: another one would wait for it.
        self.make_tables(cursor)
        return self.put_with(cursor, job)

    def _is_ours(self, connection: Any) -> bool:
        if not isinstance(connection, sqlite3.Connection):
            return False
        path = connection.execute("pragma database_list").fetchone()[2]
        # One in memory has no name.
        return bool(path) and os.path.realpath(path) == os.path.realpath(self.filename)


def _close(connection: Any, process: int) -> None:
    if os.getpid() == process:  # else it is the parent's, whose file it is
        with contextlib.suppress(Exception):
            connection.close()
