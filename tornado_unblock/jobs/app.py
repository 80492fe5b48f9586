"""The jobs of one application: which there are, where they are kept, how they are.

# Threads: any, but for `start`, which is for the loop thread; what blocks says so, and
# has ``.aio``.
# Guarantees:
# - `configure` opens nothing, so a process may fork after it;
# - each `Jobs` is apart from the others: several applications fit into one process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload
from urllib.parse import urlsplit

from tornado.log import app_log

from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.options import check_seconds
from tornado_unblock.jobs import periodic
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.options import JobOptions, LaterOptions
from tornado_unblock.jobs.outbox import Outbox, OutboxError, is_refused
from tornado_unblock.jobs.records import DEAD, Counts, NewJob, State, Ticket
from tornado_unblock.jobs.values import plain_text
from tornado_unblock.shim._crossing.dual import dual

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    from tornado_unblock.jobs.box import Box

    _P = ParamSpec("_P")
else:
    _P = TypeVar("_P")

_R = TypeVar("_R")

_DAY = 86400.0
_BROKERS = tuple(f"dramatiq+{name}" for name in ("amqp", "amqps", "redis", "rediss"))


@dataclasses.dataclass(frozen=True)
class _Periodic:
    job: Job[[], Any]
    when: Union[periodic.Interval, periodic.Crontab]
    skip_missed: bool


class Jobs:
    """The jobs of one application.

    The functions of `tornado_unblock.jobs` are the methods of one of these, which
    suits a process that is one application.

    Args:
        name: Where several share a store, each needs a name of its own.
    """

    def __init__(self, name: str = "default") -> None:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"name must be a text, not {name!r}")
        self.name = name
        self._jobs: dict[str, Job[..., Any]] = {}
        self._periodic: dict[str, _Periodic] = {}
        self._engine: Any = None
        self._box: Optional[Box] = None
        self._outbox: Optional[Outbox] = None

    def configure(
        self,
        url: str,
        *,
        keep: float = _DAY,
        secret: Optional[Union[str, bytes]] = None,
        outbox: Optional[str] = None,
        state: Optional[str] = None,
    ) -> None:
        """Say where the jobs are kept; any thread, before the first is asked for.

        Nothing is opened: that comes with the first use, in each process anew.

        Args:
            url: ``"sqlite:///jobs.db"`` (a path from here), ``"sqlite:////var/jobs.db"``
                (an absolute one), ``"postgresql://user@host/database"``,
                ``"dramatiq+amqp://user:password@host"`` or
                ``"dramatiq+redis://host/0"``.
            keep: Seconds for which a job that is done, and its result, can be asked
                for; a day by default. Dead ones stay until somebody decides.
            secret: Sign what is kept with it, and refuse what is not so signed.
            outbox: A file, ``"sqlite:///outbox.db"``, in which jobs are kept while the
                database is away. They are sent with the next job that gets through,
                and once a second where `start` runs.
            state: With RabbitMQ, ``"redis://host/0"``: where the jobs' states, results
                and attempts are kept, which RabbitMQ does not know. With
                ``dramatiq+redis`` the same Redis by default.

        Raises:
            ConfigurationError: An argument makes no sense, or a package is missing.
        """
        check_seconds("keep", keep)
        box = None if outbox is None else Outbox(_file(outbox), self.name)
        store = _store(url, self.name, keep, state)
        self._install(store, secret, (store.place, url, keep, secret))
        self._outbox = box

    def configure_as(self, settings: Any) -> None:
        """In a process of a server's: be configured as the server is."""
        place, url, keep, secret = settings
        if self._engine is None or self._engine.settings != settings:
            url = place if place.startswith("sqlite:") else url
            self.configure(url, keep=keep, secret=secret)

    def _install(
        self,
        store: Any,
        secret: Optional[Union[str, bytes]] = None,
        settings: Any = None,
    ) -> Any:
        """Use another store; return what was used before."""
        engine = _engine_class(store)(store, secret, self.tick, settings)
        before = self._engine
        for job in self._jobs.values():
            engine.add(job)
        self._engine = engine
        return before

    @property
    def engine(self) -> Any:
        """What keeps and runs the jobs.

        Raises:
            ConfigurationError: `configure` was not called.
        """
        if self._engine is None:
            raise ConfigurationError(
                "nobody has said where jobs are kept: call "
                "jobs.configure('sqlite:///jobs.db') when the application starts"
            )
        return self._engine

    # -- defining jobs -------------------------------------------------------------

    @overload
    def job(self, fn: Callable[_P, _R], /) -> Job[_P, _R]: ...
    @overload
    def job(
        self, /, *, name: Optional[str] = None, **options: Any
    ) -> Callable[[Callable[_P, _R]], Job[_P, _R]]: ...
    def job(
        self,
        fn: Optional[Callable[..., Any]] = None,
        /,
        *,
        name: Optional[str] = None,
        **options: Any,
    ) -> Any:
        """Make a function a job; a decorator.

        Calling it still runs it here. ``f.later(x)`` has a worker run it, at least
        once: it may be run again when its worker dies, so it should not mind.

        Args:
            fn: A sync function at the top of a module.
            name: Under which workers find it; its module and name by default.
            **options: ``retries``: how often it is tried again when it fails, 0 by
                default. ``backoff``: seconds before the first retry, doubled with each
                (half to all of it, by chance), 1 by default. ``timeout``: seconds
                after which ``current().cancelled()`` is true in a thread; in a process
                it is ended. ``retry_on``: which exceptions are worth a retry, all by
                default. ``give_up_on``: which are not. ``max_attempts``: how often it
                is begun at most, also when its worker dies; ``retries`` and 5 by
                default. ``priority``: higher ones first, 0 by default.

        Returns:
            The `Job`.

        Raises:
            ConfigurationError: An option makes no sense, or the name is another's.
            TypeError: ``fn`` is no sync function.
        """
        made = _options(options)
        if fn is not None:
            return self._add(Job(self, fn, name, made))
        return lambda fn: self._add(Job(self, fn, name, made))

    def _add(self, job: Job[..., Any]) -> Job[..., Any]:
        known = self._jobs.get(job.name)
        if known is not None and _source(known) != _source(job):
            raise ConfigurationError(
                f"two jobs are called {job.name!r}: {known.fn!r} and {job.fn!r}; give "
                "one of them another name="
            )
        self._jobs[job.name] = job
        if self._engine is not None:
            if known is not None:  # its module was loaded again
                self._engine.remove(known)
            self._engine.add(job)
        return job

    def every(
        self,
        when: periodic.Every,
        *,
        tz: str = "UTC",
        missed: str = "once",
        name: Optional[str] = None,
        **options: Any,
    ) -> Callable[[Callable[[], _R]], Job[[], _R]]:
        """Make a function a periodic job; a decorator.

        However many processes run workers, it is asked for once each time. While one
        is waiting still, no other is added; while one runs, the next one waits.

        Args:
            when: A line of a crontab, ``"0 3 * * *"``; or seconds, or a timedelta,
                between two.
            tz: The time zone of the crontab line, ``"Europe/Berlin"``.
            missed: What comes of the times at which no worker was there: ``"once"``
                (one run for all of them) or ``"skip"``.
            name: As for `job`.
            **options: As for `job`.

        Raises:
            ConfigurationError: An argument makes no sense, or the function takes some.
            TypeError: It is no sync function.
        """
        due = periodic.parse(when, tz)
        if missed not in ("once", "skip"):
            raise ConfigurationError(f"missed must be 'once' or 'skip', not {missed!r}")
        made = _options(options)

        def decorate(fn: Callable[[], _R]) -> Job[[], _R]:
            job: Job[[], _R] = Job(self, fn, name, made)
            try:
                job.arguments((), {})
            except TypeError as error:
                raise ConfigurationError(
                    f"a periodic job is called without arguments: {error}"
                ) from None
            self._add(job)
            self._periodic[job.name] = _Periodic(job, due, missed == "skip")
            return job

        return decorate

    # -- asking for jobs -----------------------------------------------------------

    def enqueue(self, new: NewJob, options: LaterOptions) -> Ticket:
        """Put a job into the store; any thread that may block."""
        store = self.engine.store
        if options.on_commit is not None:
            from tornado_unblock.jobs.on_commit import after_commit

            if store.is_broker:
                store.check(new)
            put = functools.partial(self._put, store, self._box, self._outbox, new)
            after_commit(options.on_commit, put)
            return Ticket(new.id)
        if options.within is not None and self._box is None:
            return Ticket(*store.put_into(options.within, new))
        return self._put(store, self._box, self._outbox, new)

    def _put(
        self, store: Any, box: Optional[Box], outbox: Optional[Outbox], new: NewJob
    ) -> Ticket:
        if outbox is None:
            ticket = Ticket(*store.put_job(new))
            if box is not None:
                box.was_put(ticket)
            return ticket
        try:
            with contextlib.suppress(OutboxError):  # the store may be there
                outbox.send(store)
            return Ticket(*store.put_job(new))
        except JobStoreError as error:
            if is_refused(error):
                raise
            outbox.keep(new)
            return Ticket(new.id)

    def tick(self) -> None:
        """Do what is to be done once a second, where there are workers; any thread.

        Raises:
            JobStoreError: The store cannot be reached.
        """
        store, unsent = self.engine.store, None
        if self._outbox is not None:
            try:
                self._outbox.send(store)
            except JobStoreError as error:
                unsent = error
        store.tick()  # says itself that the store is away
        if unsent is not None:
            app_log.error("The outbox is not sent for now: %s", unsent)
        for each in list(self._periodic.values()):
            try:
                self._put_periodic(store, each)
            except Exception as error:
                if not is_refused(error):
                    raise
                name = each.job.name
                app_log.error("The periodic job %s is refused", name, exc_info=True)

    def _put_periodic(self, store: Any, each: _Periodic) -> None:
        store.put_periodic(
            each.job.name,
            f"{each.when.spec}",
            each.when.next_after,
            each.skip_missed,
            functools.partial(self.engine.new_periodic, each.job),
        )

    # -- how they are --------------------------------------------------------------

    @dual
    def state(self, id: str) -> Optional[State]:
        """Return how a job is; None where it is unknown, or has expired.

        Blocks; in a coroutine ``await state.aio(id)``.

        Raises:
            JobStoreError: The store cannot be reached.
            ConfigurationError: ``id`` is no text.
        """
        if not _may_be(id):
            return None
        found: Optional[State] = self.engine.state(id)
        return found

    @dual
    def dead(self, limit: int = 100) -> list[State]:
        """Return the dead list, those that died last first.

        Blocks; in a coroutine ``await dead.aio()``.

        Args:
            limit: How many at most.

        Raises:
            JobStoreError: The store cannot be reached.
        """
        found: list[State] = self.engine.states(DEAD, limit)
        return found

    @dual
    def retry(self, id: str) -> bool:
        """Have a dead, or cancelled, job run again, its attempts forgotten.

        Blocks; in a coroutine ``await retry.aio(id)``.

        Returns:
            False when it is neither.

        Raises:
            JobStoreError: The store cannot be reached.
            ConfigurationError: ``id`` is no text.
        """
        return _may_be(id) and bool(self.engine.store.retry(id))

    @dual
    def discard(self, id: str) -> bool:
        """Forget a job that has ended, a dead one say.

        Blocks; in a coroutine ``await discard.aio(id)``.

        Returns:
            False when it has not ended.

        Raises:
            JobStoreError: The store cannot be reached.
            ConfigurationError: ``id`` is no text.
        """
        return _may_be(id) and bool(self.engine.store.discard(id))

    @dual
    def cancel(self, id: str) -> bool:
        """Take a job out of the queue; one that runs is asked to end.

        A running one ends when it asks ``current().cancelled()``, or at once when it
        fails. Blocks; in a coroutine ``await cancel.aio(id)``.

        Returns:
            False when it has ended already.

        Raises:
            JobStoreError: The store cannot be reached.
            ConfigurationError: ``id`` is no text.
        """
        return _may_be(id) and bool(self.engine.store.cancel(id))

    @dual
    def counts(self) -> Counts:
        """Return how many jobs there are in each state.

        Blocks; in a coroutine ``await counts.aio()``.

        Raises:
            JobStoreError: The store cannot be reached.
        """
        counts: Counts = self.engine.store.counts()
        return counts

    # -- running them --------------------------------------------------------------

    def start(self, workers: int = 2, **options: Any) -> Any:
        """Run jobs in this server; see `tornado_unblock.jobs.start`."""
        from tornado_unblock.jobs.server import Server, ThreadServer

        server = ThreadServer if self.engine.store.is_broker else Server
        return server.started(self, workers, **options)

    @contextlib.contextmanager
    def testing(self, *, at_once: bool = False) -> Iterator[Box]:
        """Keep jobs in memory, and run them when the test says; a context manager.

        One that is asked for ``within`` a transaction is there at once, also when that
        does not commit.

        Args:
            at_once: Run each when it is asked for, in the thread that asks.

        Returns:
            The `Box`, to run what is queued and to look at it.
        """
        from tornado_unblock.jobs.box import Box
        from tornado_unblock.jobs.sqlite import SqliteStore

        store = SqliteStore(":memory:", self.name, _DAY)
        before = self._install(store), self._box, self._outbox
        self._box, self._outbox = Box(self, at_once), None
        try:
            yield self._box
        finally:
            self._engine, self._box, self._outbox = before
            store.close()


def _options(options: dict[str, Any]) -> JobOptions:
    known = JobOptions.__dataclass_fields__
    for name in options:
        if name not in known:
            raise ConfigurationError(
                f"a job has no option {name!r}; it has {', '.join(known)}"
            )
    return JobOptions(**options)


def _may_be(id: object) -> bool:
    """Whether a job can have that id: there is none that a store cannot keep.

    Raises:
        ConfigurationError: It is no text.
    """
    if not isinstance(id, str):
        raise ConfigurationError(f"the id of a job is a text, not {id!r}")
    return plain_text(id) == id


def _source(job: Job[..., Any]) -> tuple[str, str]:
    return job.module, describe(job.fn)


def _engine_class(store: Any) -> Any:
    if store.is_broker:
        from tornado_unblock.jobs.broker import DramatiqEngine

        return DramatiqEngine
    from tornado_unblock.jobs.engine import Engine

    return Engine


def _store(url: object, queue: str, keep: float, state: Optional[str]) -> Any:
    """Return the store of a URL; it opens nothing."""
    if not isinstance(url, str):
        raise ConfigurationError(f"the URL of the jobs must be a text, not {url!r}")
    scheme, extra = urlsplit(url).scheme, "jobs"
    if state is not None and not scheme.startswith("dramatiq+"):
        raise ConfigurationError(
            "state= is for dramatiq; other engines keep it with the jobs"
        )
    try:
        if scheme == "sqlite":
            return _sqlite(url, queue, keep)
        if scheme in ("postgresql", "postgres"):
            extra = "jobs-postgresql"
            from tornado_unblock.jobs.postgresql import PostgresStore

            return PostgresStore(url, queue, keep)
        if scheme in _BROKERS:
            extra = "jobs-dramatiq"
            from tornado_unblock.jobs.broker import DramatiqStore

            return DramatiqStore(url, state, queue, keep)
    except ImportError as error:
        raise ConfigurationError(
            f"jobs need a package that is missing ({error}): "
            f"pip install 'tornado-unblock[{extra}]'"
        ) from error
    raise ConfigurationError(
        f"jobs cannot be kept in {scheme or url!r}: write 'sqlite:///jobs.db', "
        "'postgresql://user@host/database', 'dramatiq+amqp://user:password@host' or "
        "'dramatiq+redis://host/0'"
    )


def _sqlite(url: str, queue: str, keep: float) -> Any:
    from tornado_unblock.jobs.sqlite import SqliteStore

    return SqliteStore(_file(url), queue, keep)


def _file(url: str) -> str:
    """Return the file that a URL of SQLite names."""
    path = url[len("sqlite:///") :]
    if not url.startswith("sqlite:///") or path in ("", ":memory:"):
        raise ConfigurationError(
            f"{url!r} names no file: write 'sqlite:///jobs.db' for one here, "
            "'sqlite:////var/lib/app/jobs.db' for one elsewhere; for tests there is "
            "jobs.testing()"
        )
    return str(Path(path).absolute())
