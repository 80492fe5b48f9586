"""The database that jobs are in: its tables, its connection, its dialect.

The tables are ours, so an upgrade of huey does not touch them; connections are huey's.

# Threads: any; a connection for each process, one thread at a time.
# Guarantees:
# - a transaction is committed, or undone whatever ends it;
# - nothing is opened before it is used, and a forked child opens its own;
# - tables of a newer version are left alone.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Callable, Optional

from tornado_unblock._errors import JobStoreError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members
from tornado_unblock.jobs import owners
from tornado_unblock.jobs.records import NewJob, Outcome, Taken

SCHEMA = 1
"""The version of the tables; one more with every change that older code breaks on."""

TABLES = (
    "create table if not exists {p}meta (name text primary key, value text not null)",
    "create table if not exists {p}job (seq {serial}, id text not null unique, "
    "queue text not null, name text not null, state text not null, data text not null, "
    "key text, priority double precision not null, max_attempts integer not null, "
    "attempts integer not null default 0, failures integer not null default 0, "
    "crashes integer not null default 0, enqueued_at double precision not null, "
    "run_at double precision not null, started_at double precision, "
    "ended_at double precision, done double precision, total double precision, "
    "result text, error text, traceback text, cancel integer not null default 0)",
    "create index if not exists {p}job_key on {p}job (queue, key) "
    "where key is not null",
    "create index if not exists {p}job_ended on {p}job (queue, state, ended_at) "
    "where ended_at is not null",
    "create index if not exists {p}job_failed on {p}job (queue, failures) "
    "where failures > 0",
    # Its rank is the priority, negative: the smallest comes first.
    "create table if not exists {p}queue (queue text not null, "
    "rank double precision not null, seq bigint not null, key text, "
    "primary key (queue, rank, seq)){clustered}",
    "create table if not exists {p}schedule (seq bigint not null primary key, "
    "queue text not null, run_at double precision not null)",
    "create index if not exists {p}schedule_next on {p}schedule (queue, run_at)",
    "create table if not exists {p}inflight (seq bigint not null primary key, "
    "queue text not null, key text, owner text not null, "
    "counts integer not null default 1){clustered}",
    "create unique index if not exists {p}inflight_key on {p}inflight (queue, key) "
    "where key is not null",
    "create table if not exists {p}owner (name text primary key, "
    "seen_at double precision not null)",
    "create table if not exists {p}periodic (queue text not null, "
    "name text not null, spec text not null, next_at double precision not null, "
    "primary key (queue, name))",
)
"""What makes them. Few indices, and small: a commit writes each page it touched."""

_all: weakref.WeakSet[Database] = weakref.WeakSet()
# In a forked child: the connections of its parent. To close one would end it there.
_of_the_parent: list[Any] = []


class Asked:
    """A job that a thread waits to be put in."""

    __slots__ = ("answer", "error", "job", "over")

    def __init__(self, job: NewJob) -> None:
        self.job = job
        self.over = False
        self.answer = ("", False)
        self.error: Optional[Exception] = None


class Database:
    """One transaction at a time, on a connection of huey's.

    A mixin: beside it stands a storage of huey's that has a connection.

    Args:
        queue: The name under which its jobs stand in the tables.
        keep: Seconds for which a job that has ended can be asked for.
        **kwargs: What huey's storage takes.
    """

    # What the dialects say differently.
    prefix = "unblock_"
    mark = "?"
    serial = "integer not null primary key"
    clustered = " without rowid"
    skip_locked = ""
    begin_sql = "begin immediate"
    # Whether all who use the store are on one machine.
    one_machine = True
    errors: tuple[type[Exception], ...] = ()
    # Of these, what is wrong with the store, and not with what is put in.
    away_errors: tuple[type[Exception], ...] = ()
    unique_error: type[Exception] = Exception

    # Of the storage beside it.
    name: str
    conn: Any

    def __init__(self, queue: str, keep: float, **kwargs: Any) -> None:
        self.keep = keep
        # Called when a job was put in here: wakes who waits for work in this process.
        self.on_put: Callable[[], object] = _nothing
        # The statements in the words of the dialect; there are some dozens.
        self._statements: dict[str, str] = {}
        self._start_empty()
        own: Any = super()
        own.__init__(queue, create_tables=False, **kwargs)
        self.lock = threading.RLock()
        _all.add(self)

    def _start_empty(self) -> None:
        self.lock = threading.RLock()
        self._conn: Any = None
        self._owner: Optional[str] = None
        self._beat_at = 0.0
        # What threads wait to be put in.
        self.asked: collections.deque[Asked] = collections.deque()
        # Attempts whose end could not be written: the store was away, or full.
        self.unwritten: list[tuple[Taken, Outcome]] = []

    # -- connections ---------------------------------------------------------------

    @contextlib.contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[Any]:
        """Give a cursor, in one transaction if ``commit``; other threads wait.

        Raises:
            JobStoreError: The store cannot be reached, is full, or is too new.
        """
        with self.lock:
            cursor = None
            try:
                connection = self.opened()
                cursor = connection.cursor()
                if commit:
                    cursor.execute(self.begin_sql)
                try:
                    yield cursor
                except BaseException:  # Ctrl-C too: it must not leave a lock behind
                    if commit:
                        self._roll_back(connection)
                    raise
                if commit:
                    connection.commit()
            except self.unique_error:
                raise
            except self.errors as error:
                raise self.failed(error) from error
            finally:
                if cursor is not None:
                    cursor.close()

    def _roll_back(self, connection: Any) -> None:
        with contextlib.suppress(*self.errors):  # it is gone: so is the transaction
            connection.rollback()

    def opened(self) -> Any:
        """Return the connection, made and its tables made ready on first use."""
        connection = self.conn
        if self._owner is None:
            self._prepare(connection)
            self._owner = owners.own_name()
        return connection

    def _prepare(self, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(self.begin_sql)
        try:
            self.make_tables(cursor)
        except BaseException:
            self._roll_back(connection)
            raise
        connection.commit()
        cursor.close()

    def make_tables(self, cursor: Any) -> None:
        """Make the tables there are not, in the transaction of ``cursor``.

        Raises:
            JobStoreError: They are of a newer version.
        """
        self.lock_schema(cursor)
        cursor.execute(TABLES[0].format(p=self.prefix))
        self._check_version(cursor)
        for sql in TABLES[1:]:
            cursor.execute(
                sql.format(p=self.prefix, serial=self.serial, clustered=self.clustered)
            )

    def _check_version(self, cursor: Any) -> None:
        found = self.run(cursor, "select value from {p}meta where name = 'schema'")
        if not found:
            self.run(cursor, "insert into {p}meta values ('schema', ?)", str(SCHEMA))
        elif int(found[0][0]) > SCHEMA:
            raise JobStoreError(too_new(self.place, int(found[0][0]), SCHEMA))

    def lock_schema(self, cursor: Any) -> None:
        """Let only one process make the tables at a time."""

    @property
    def place(self) -> str:
        """Where the jobs are kept, as errors call it; without passwords."""
        raise NotImplementedError  # pragma: no cover - each store says its own

    def failed(self, error: Exception) -> JobStoreError:
        """Return what to raise for an error of the driver."""
        raise NotImplementedError  # pragma: no cover - each store says its own

    @property
    def owner(self) -> str:
        """The name of this process as the owner of what it runs."""
        with self.db():
            assert self._owner is not None
            return self._owner

    def run(self, cursor: Any, sql: str, *values: Any) -> list[Any]:
        """Execute a statement of the dialect; return the rows if there are any."""
        cursor.execute(self._dialect(sql), values)
        rows = cursor.fetchall() if cursor.description else []
        # The cursor may be the caller's, whose rows may be dictionaries.
        return [tuple(r.values()) if isinstance(r, dict) else r for r in rows]

    def _dialect(self, sql: str) -> str:
        known = self._statements.get(sql)
        if known is None:
            known = sql.replace("?", self.mark).format(p=self.prefix)
            self._statements[sql] = known
        return known

    def inserted(self, cursor: Any) -> int:
        """Return the number of the row that was just inserted."""
        raise NotImplementedError  # pragma: no cover - each store says its own

    def forget_connection(self) -> None:
        """In a forked child: leave the parent's connection alone."""
        _of_the_parent.append(self._conn)
        self._start_empty()


def too_new(place: str, found: int, known: int) -> str:
    """Return what to say where a newer version has written."""
    return (
        f"{place} was made by a newer tornado-unblock: its tables are of version "
        f"{found}, this one knows {known}. Upgrade tornado-unblock here, or give this "
        "application a store of its own"
    )


def _nothing() -> None:
    pass


def _forget_parent() -> None:
    for database in members(_all):
        database.forget_connection()


at_fork(Step.POOLS, _forget_parent)
