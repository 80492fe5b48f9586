"""Jobs in a PostgreSQL database: for workers on several machines."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Generator
from typing import Any, Optional
from urllib.parse import urlsplit

import psycopg
from huey.storage import PostgresStorage  # type: ignore[import-untyped]

from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock.jobs import owners
from tornado_unblock.jobs.storage import SILENCE, Acknowledging

# How long to wait for a server that does not answer: to connect, in seconds; and for
# what was sent, or a sign of life, when there is a connection. The URL may say others.
_PATIENCE = {
    "connect_timeout": 1,
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# Who makes the tables takes this lock; any number will do.
_SCHEMA_LOCK = 0x756E626C6F636B

_WHICH = (
    "select current_database(), current_setting('search_path'), "
    "pg_postmaster_start_time()"
)


class _Connection(psycopg.Connection[Any]):
    """One that is given up where the machine is there, and the server says nothing."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for what psycopg does."""
        return super().wait(self._limited(gen), *args, **kwargs)

    def _limited(self, gen: Any) -> Generator[Any, Any, Any]:
        until = time.monotonic() + SILENCE
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > until:
                    self.pgconn.finish()  # or the end of the transaction would wait
                    raise psycopg.OperationalError(f"no answer in {SILENCE:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


class PostgresStore(Acknowledging, PostgresStorage):  # type: ignore[misc]
    """A database; processes on any machine may use it.

    A process is seen to live by its session with the database, so a pooler may not
    share sessions among processes.

    Args:
        url: Where it is.
        queue: The name under which its jobs stand in the tables.
        keep: Seconds for which a job that has ended can be asked for.
    """

    mark = "%s"
    serial = "bigserial primary key"
    clustered = ""
    skip_locked = "for update skip locked"
    begin_sql = "begin"
    one_machine = False
    errors = (psycopg.Error,)
    away_errors = (psycopg.OperationalError,)
    unique_error = psycopg.errors.UniqueViolation

    def __init__(self, url: str, queue: str, keep: float) -> None:
        try:
            said = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(f"{error} (the URL of the jobs)") from None
        self._url = url
        self._parameters: dict[str, Any] = {**_PATIENCE, **said}
        super().__init__(queue, keep, connection=self._connected, blocking=False)

    def _connected(self) -> Any:
        name = _session_of(owners.own_name())
        return _Connection.connect(**{**self._parameters, "application_name": name})

    @property
    def place(self) -> str:
        """The server and the database, without the password."""
        parts = urlsplit(self._url)
        user = f"{parts.username}@" if parts.username else ""
        port = f":{parts.port}" if parts.port else ""
        return f"postgresql://{user}{parts.hostname or ''}{port}{parts.path}"

    def failed(self, error: Exception) -> JobStoreError:
        """Return what to raise for an error of PostgreSQL."""
        text = " ".join(str(error).split())
        advice = "see its log"
        if isinstance(error, psycopg.OperationalError):
            advice = "is it running, and may this user connect? Nothing was written"
        return JobStoreError(f"jobs in {self.place}: {text}; {advice}")

    def inserted(self, cursor: Any) -> int:
        """Return the number of the row that was just inserted."""
        return int(self.run(cursor, "select lastval()")[0][0])

    def lock_schema(self, cursor: Any) -> None:
        """Let only one process make the tables at a time."""
        cursor.execute(f"select pg_advisory_xact_lock({_SCHEMA_LOCK})")

    def lock_rows(self, table: str) -> str:
        """Return what keeps others from the rows of a select until the commit."""
        return f"for update of {table} skip locked" if table else "for update"

    def _lives(self, owner: str, seen_at: Optional[float]) -> bool:
        if owner != self._owner and owners.is_alive(owner) is None:
            with self.db() as cursor:
                if self.run(
                    cursor,
                    "select 1 from pg_stat_activity where application_name = ?",
                    _session_of(owner),
                ):
                    return True
        return super()._lives(owner, seen_at)

    def put_into(self, connection: Any, job: Any) -> tuple[str, bool]:
        """Put a job in, in the transaction that a connection of the caller's has.

        Raises:
            JobStoreError: Its database is not the one of the jobs, or it commits each
                statement by itself.
        """
        with self.db() as cursor:
            own = self.run(cursor, _WHICH)
        with contextlib.closing(_cursor_of(connection)) as cursor:
            if self.run(cursor, _WHICH) != own:
                raise JobStoreError(
                    f"within= takes a connection to {self.place}, where the jobs are, "
                    "so that both commit at once; use on_commit= with other databases"
                )
            if getattr(connection, "autocommit", False):
                raise JobStoreError(
                    "within= takes a connection that commits when you say, and this "
                    "one is in autocommit mode"
                )
            return self.put_with(cursor, job)


def _cursor_of(connection: Any) -> Any:
    try:
        return connection.cursor()
    except AttributeError:
        raise JobStoreError(
            f"within= takes a connection of psycopg or psycopg2, not {connection!r}"
        ) from None


def _session_of(owner: str) -> str:
    """Return the name of a process' sessions; 63 characters at most."""
    return f"unblock-jobs {hashlib.sha256(owner.encode()).hexdigest()[:40]}"
