"""dramatiq, on RabbitMQ or Redis: for more machines, or more jobs, than a file serves.

dramatiq brings messages to workers, and again when a worker has died; it keeps those
that are not due. What a broker does not know stands in Redis: how each job is, how
often it was begun, its result.

# Threads: any; each worker runs one job at a time. All threads publish over one
# connection to RabbitMQ, one after the other.
# Guarantees:
# - a message is acknowledged after the end of its attempt is written, and its retry
#   is with the broker;
# - nothing is opened before it is used, and a forked child opens its own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import threading
import time
import traceback
import types
import uuid
import weakref
from collections.abc import Iterator
from typing import Any, Callable, Optional, Union
from urllib.parse import urlsplit

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerError
from tornado.log import app_log

from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members
from tornado_unblock.jobs import owners
from tornado_unblock.jobs.attempt import (
    BaseEngine,
    check_signed,
    no_such_job,
    parked,
)
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.records import DEAD, FAILED, Counts, NewJob, Outcome, Taken
from tornado_unblock.jobs.redis_records import BUSY, MESSAGE, Records, new_record
from tornado_unblock.jobs.values import plain_text

# How long a broker may take to be reached, or may refuse to take a message for want of
# room; dramatiq tries six times.
_CONNECT, _BLOCKED = 1.0, 0.15
# How long a worker on Redis may be silent before its messages go back, in milliseconds,
# and how often of a million commands that is looked after.
_SILENCE, _ALWAYS = 5000, 1_000_000
# How often a machine that runs workers says to RabbitMQ that it is there, in seconds.
_HEARTBEAT = 5
# How many messages that are not due a process holds, at about 3 kB each; while it holds
# so many, it hears of no others. dramatiq has an environment variable for it.
_DELAYED = 20_000
# How often a worker without work looks for some, in milliseconds.
_IDLE = 250
_TICK = 1.0
# The one actor of an application; the message says which job.
_ACTOR = "run_job"
_HIGHEST = 9
# No job is for later, in seconds since the epoch: milliseconds are counted in floats.
_FARTHEST = 1e12

_is_name = re.compile("[a-zA-Z0-9._-]+").fullmatch

# What is wrong with a broker; without pika there is none but Redis.
_ERRORS: tuple[type[Exception], ...] = (BrokerError, OSError, redis.RedisError)
with contextlib.suppress(ImportError):
    from pika.adapters.utils.connection_workflow import (  # type: ignore[import-untyped]
        AMQPConnectorException,
    )
    from pika.exceptions import AMQPError  # type: ignore[import-untyped]

    _ERRORS += (AMQPError, AMQPConnectorException)

_AT_THE_END: tuple[type[Exception], ...] = (JobStoreError, *_ERRORS)

_stores: weakref.WeakSet[DramatiqStore] = weakref.WeakSet()
# In a forked child: the connections of its parent. To close one would end it there.
_of_the_parent: list[Any] = []


class NeverError(Exception):
    """Raised by nobody: a job that is put in again is recognized when it is begun."""


class _KeepsWhatFailed(dramatiq.Middleware):
    """Has a message dead-lettered, not acknowledged, when the library itself fails."""

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        """Called after each."""
        if exception is not None:
            message.fail()


class _RedisBroker(RedisBroker):
    """One that forgets nothing when its connection was lost.

    dramatiq then forgets what it has fetched and not begun, while its heartbeat goes
    on: under another name, what stands under the old one goes back to the queue.
    """

    def __init__(self, records: Records, **kwargs: Any) -> None:
        init: Any = super().__init__
        init(client=records.client, **kwargs)
        self._consumed: set[str] = set()
        self._new = threading.local()
        self._script = dispatch = self.scripts["dispatch"]
        text: Any = dispatch.script  # bytes, as dramatiq has read them
        self._with_record = records.with_record(text.decode())
        self.scripts["dispatch"] = self._call

    def enqueue_new(self, message: Any, record: dict[str, Any], **kwargs: Any) -> None:
        """Enqueue a message and write down its job: one call, so both or neither."""
        self._new.record = record
        try:
            self.enqueue(message, **kwargs)
        finally:
            self._new.record = None

    def _call(self, keys: Any, args: Any) -> Any:
        record = getattr(self._new, "record", None)
        if record is None or args[0] != "enqueue":
            return self._script(keys=keys, args=args)
        return self._with_record(record, keys, args)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        """Begin to fetch, or do so again."""
        if queue_name in self._consumed:
            self.broker_id = str(uuid.uuid4())
        self._consumed.add(queue_name)
        return super().consume(queue_name, prefetch, timeout)


class DramatiqStore:
    """A broker, and the records beside it; what a store of huey's is to its engine.

    Args:
        url: Of the broker, with ``dramatiq+`` before it.
        state: Of the Redis for the records; that of the broker if it is one.
        queue: The application's name.
        keep: Seconds for which a job that is done can be asked for.
    """

    is_broker = True
    unique_error = NeverError

    def __init__(self, url: str, state: Optional[str], queue: str, keep: float) -> None:
        if not _is_name(queue):
            raise ConfigurationError(
                f"with a broker the name of a Jobs has letters, digits, '.', '-' and "
                f"'_' only, which {queue!r} has not"
            )
        self._url = url[len("dramatiq+") :]
        self.on_rabbitmq = self._url.startswith("amqp")
        if self.on_rabbitmq and state is None:
            raise ConfigurationError(
                "RabbitMQ knows messages only: say state='redis://host/0', where the "
                "states of the jobs, their results and their attempts are to be kept"
            )
        self.name, self.queue = queue, f"unblock.{queue}"
        self.records = Records(state or self._url, queue, keep)
        self.on_put: Callable[[], object] = lambda: None
        self._start_empty()
        self.new_broker().close()  # so that a URL that makes no sense is refused now
        _stores.add(self)

    def _start_empty(self) -> None:
        self._lock = threading.Lock()
        self._broker: Any = None
        self.owner = owners.own_name()

    @property
    def place(self) -> str:
        """Where the jobs are, as errors call it; without passwords."""
        parts = urlsplit(self._url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"

    def new_broker(self, heartbeat: int = 0) -> Any:
        """Return a broker of dramatiq's; it opens nothing.

        Raises:
            ConfigurationError: The URL makes no sense.
        """
        middleware: list[Any] = [_KeepsWhatFailed()]
        if not self.on_rabbitmq:
            return _RedisBroker(
                self.records,
                middleware=middleware,
                namespace="unblock",
                heartbeat_timeout=_SILENCE,
                maintenance_chance=_ALWAYS,
            )
        import pika  # type: ignore[import-untyped]
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        try:
            parameters = pika.URLParameters(self._url)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{error} (the URL of the jobs)") from None
        parameters.heartbeat = heartbeat
        parameters.connection_attempts = 1
        parameters.socket_timeout = parameters.stack_timeout = _CONNECT
        parameters.blocked_connection_timeout = _BLOCKED
        broker: Any = RabbitmqBroker(
            confirm_delivery=True, max_priority=_HIGHEST, middleware=middleware
        )
        broker.parameters = parameters
        if heartbeat:
            broker.consume = functools.partial(_consume, broker)
        return broker

    # -- putting in ----------------------------------------------------------------

    def check_priority(self, priority: float) -> None:
        """Raise `ConfigurationError` if the broker has no such priority."""
        if self.on_rabbitmq:
            if priority not in range(_HIGHEST + 1):
                raise ConfigurationError(
                    f"on RabbitMQ a priority is a whole number from 0 to {_HIGHEST}, "
                    f"not {priority:g}"
                )
        elif priority:
            raise ConfigurationError(
                f"there are no priorities on Redis, so priority={priority:g} would do "
                "nothing: use RabbitMQ, or a Jobs of their own for what is urgent"
            )

    def check(self, job: NewJob) -> None:
        """Raise `ConfigurationError` if the broker cannot take such a job."""
        self.check_priority(job.priority)
        if job.run_at > _FARTHEST:
            raise ConfigurationError(
                f"a job cannot wait for the time {job.run_at:g}, in seconds since the "
                f"epoch: with a broker no later one than {_FARTHEST:g}"
            )

    def put_job(self, job: NewJob) -> tuple[str, bool]:
        """Put a job in; any thread.

        Returns:
            Its id, and whether it is new: with ``once`` it may be another's.
        """
        self.check(job)
        if not job.once:
            return self._put(job)
        assert job.key is not None
        with self.records.lock(f"key {job.key}"):
            other = self.records.waiting(job.key)
            return (other, False) if other is not None else self._put(job)

    def _put(self, job: NewJob) -> tuple[str, bool]:
        record = new_record(job)
        if not self.on_rabbitmq:
            message, delay = self._message(record, job.run_at)
            with self.publisher() as broker:
                broker.enqueue_new(message, record, delay=delay)
        else:
            self.publish(record, job.run_at)
            try:
                self.records.asked_for(record)
            except JobStoreError as error:
                # It is with the broker, and who begins it writes it down.
                app_log.warning("Job %s has no state for now: %s", job.id, error)
        self.on_put()
        return job.id, True

    def put_into(self, connection: Any, job: NewJob) -> tuple[str, bool]:
        """Refuse: a broker is not part of a transaction.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "within= is for jobs in the database of your transaction; with a broker "
            "there is on_commit="
        )

    def publish(self, record: dict[str, Any], run_at: float = 0.0) -> None:
        """Give the broker a message about a job; any thread.

        Raises:
            JobStoreError: It cannot be reached, or has no room.
        """
        self.send(*self._message(record, run_at))

    def _message(
        self, record: dict[str, Any], run_at: float
    ) -> tuple[Any, Optional[int]]:
        """Return the message of a job, and its delay in milliseconds."""
        delay = run_at - time.time()
        options = {"broker_priority": int(record["priority"])}
        message: Any = dramatiq.Message(self.queue, _ACTOR, (record,), {}, options)
        return message, int(delay * 1000) if delay > 0 else None

    def send(self, message: Any, delay: Optional[int]) -> Any:
        """Have dramatiq enqueue a message, over the one connection."""
        with self.publisher() as broker:
            return broker.enqueue(message, delay=delay)

    @contextlib.contextmanager
    def publisher(self) -> Iterator[Any]:
        """Give the broker that publishes; other threads wait."""
        try:
            with contextlib.ExitStack() as held:
                if self.on_rabbitmq:
                    if not self._lock.acquire(timeout=_CONNECT):
                        raise TimeoutError("others wait for it already")
                    held.callback(self._lock.release)
                if self._broker is None:
                    self._check_first()
                    self._broker = self.new_broker()
                    # dramatiq has a connection for each thread: one for all is enough.
                    self._broker.state = types.SimpleNamespace()
                    self._broker.declare_queue(self.queue)
                if self.on_rabbitmq:
                    # One attempt, and no more, where there is no connection.
                    self._broker.channel  # noqa: B018
                yield self._broker
        except _ERRORS as error:
            said = " ".join(repr(error).split())
            raise JobStoreError(
                f"jobs in {self.place}: {said}; is it running, and has it room?"
            ) from error

    def ping(self) -> None:
        """Raise `JobStoreError` unless both broker and Redis answer."""
        self._check_schema()
        if self.on_rabbitmq:
            with self.publisher() as broker:
                broker.declare_queue(self.queue, ensure=True)

    def _check_first(self) -> None:
        try:
            self._check_schema()
        except JobStoreError as error:
            # RabbitMQ takes jobs also while Redis is away.
            if not self.on_rabbitmq or error.__cause__ is None:
                raise

    def _check_schema(self) -> None:
        complaint = self.records.newer()
        if complaint is not None:
            raise JobStoreError(complaint)

    def close(self) -> None:
        """Close the connections."""
        if self._broker is not None:
            self._broker.close()
            self._broker = None
        self.records.close()

    def forget_connection(self) -> None:
        """In a forked child: leave the parent's connection alone."""
        _of_the_parent.append(self._broker)
        self._start_empty()

    # -- taking out ----------------------------------------------------------------

    def begin(self, record: dict[str, Any]) -> Any:
        """Begin an attempt; see `Records.begin`."""
        return self.records.begin(record, self.owner)

    def finish(self, taken: Taken, outcome: Outcome) -> None:
        """Write how an attempt ended."""
        self.records.finish(taken, self.owner, outcome)

    def forgive(self) -> None:
        """What this process still runs is not to count when it ends before that."""
        self.records.forgive(self.owner)

    # -- what is to be done now and then, asking, and what people do ---------------

    def tick(self) -> None:
        """Say that this process lives, and forget what has expired."""
        self.records.tick(self.owner)

    def put_periodic(
        self,
        name: str,
        spec: str,
        next_after: Callable[[float], float],
        skip_missed: bool,
        make: Callable[[str], NewJob],
    ) -> None:
        """Put a periodic job in if it is due; see `Records.put_periodic`."""

        def put(job_id: str) -> None:
            self.put_job(make(job_id))

        self.records.put_periodic(name, spec, next_after, skip_missed, put)

    def retry(self, job_id: str) -> bool:
        """Put a dead or cancelled job in again; see `Jobs.retry`."""
        record = self.records.record(job_id)
        if record is None or record["state"] not in ("dead", "cancelled"):
            return False
        again = {name: record[name] for name in MESSAGE if name in record}
        again["life"] += 1
        self.publish(again)
        self.records.revived(again)
        self.on_put()
        return True

    def row(self, job_id: str) -> Optional[tuple[Any, ...]]:
        """Return the record of a job; see `Records.row`."""
        return self.records.row(job_id)

    def rows(self, state: str, limit: int) -> list[tuple[Any, ...]]:
        """Return the records of the jobs in a state; see `Records.rows`."""
        return self.records.rows(state, limit)

    def set_progress(self, job_id: str, done: float, of: Optional[float]) -> None:
        """Write how far a job is."""
        self.records.set_progress(job_id, done, of)

    def is_cancelled(self, job_id: str) -> bool:
        """Whether somebody wants a running job to end."""
        return self.records.is_cancelled(job_id)

    def cancel(self, job_id: str) -> bool:
        """Take a waiting job out for good, or ask a running one to end."""
        return self.records.cancel(job_id)

    def discard(self, job_id: str) -> bool:
        """Delete the record of a job that has ended."""
        return self.records.discard(job_id)

    def counts(self) -> Counts:
        """Return how many jobs there are."""
        return self.records.counts()


class DramatiqEngine(BaseEngine):
    """A broker of dramatiq's, and the functions of the jobs that it brings.

    Args:
        store: The broker, and the records.
        secret: Signs what is kept there.
        clock: Called about once a second, where there are workers.
        settings: As for the other engine.
    """

    def __init__(
        self,
        store: DramatiqStore,
        secret: Optional[Union[str, bytes]],
        clock: Callable[[], object],
        settings: Any = None,
    ) -> None:
        super().__init__(store, secret, settings)
        self.clock = clock
        self._jobs: dict[str, Job[Any, Any]] = {}

    def add(self, job: Job[Any, Any]) -> None:
        """Have a job's function run under its name."""
        self.store.check_priority(job.options.priority)
        self._jobs[job.name] = job

    def remove(self, job: Job[Any, Any]) -> None:
        """Forget a job's function; another one takes its name."""
        del self._jobs[job.name]

    def perform(self, record: dict[str, Any]) -> None:
        """Do what a message asks for; when this returns, the broker forgets it."""
        store = self.store
        begun = _persist(lambda: store.begin(record))
        if begun is None:
            return
        if not isinstance(begun, Taken):
            run_at = time.time() + begun
            _persist(lambda: store.publish(record, run_at))
            return
        outcome = self._outcome(begun)
        if outcome.state == FAILED:
            _persist(lambda: store.publish(record, outcome.run_at))
        _persist(lambda: store.finish(begun, outcome))

    def put_back(self, record: dict[str, Any]) -> None:
        """Have a message come again, here or elsewhere: its job was not begun."""
        run_at = time.time() + BUSY
        _persist(lambda: self.store.publish(record, run_at))

    def _outcome(self, taken: Taken) -> Outcome:
        outcome = Outcome()
        try:
            return self._tried(taken, outcome)
        except BaseException as error:
            # Whatever it is: nobody else would ever write that it has ended.
            if outcome.error is None:
                said = "".join(traceback.format_exception_only(type(error), error))
                outcome.state, outcome.error = DEAD, plain_text(said.strip())
                outcome.traceback = plain_text(traceback.format_exc())
            with contextlib.suppress(BaseException):
                app_log.error(
                    "Job %s (%s) is %s: %s",
                    *(taken.id, taken.name, outcome.state, outcome.error),
                )
            return outcome

    def _tried(self, taken: Taken, outcome: Outcome) -> Outcome:
        try:
            job, call = self._call_of(taken)
        except Exception as error:
            return parked(taken, error)
        failure = self.attempt(job, taken, outcome, call)
        if failure is not None and outcome.state != FAILED:
            app_log.error("Job %s (%s): %s", taken.id, taken.name, outcome.error)
        return outcome

    def _call_of(self, taken: Taken) -> tuple[Job[Any, Any], Callable[[], object]]:
        fields = self.sealer.open(taken.data)
        if not isinstance(fields, dict):
            raise ValueError("it is no message")
        check_signed(taken, fields.get("id"), fields.get("name"))
        job = self._jobs.get(taken.name)
        if job is None:
            raise no_such_job(taken.name)
        args, kwargs = fields["args"]
        return job, functools.partial(job.fn, *args, **kwargs)

    def consume(self, workers: int, processes: bool, deadline: float) -> None:
        """Run jobs until a signal comes; the main thread.

        Raises:
            ConfigurationError: ``processes`` is asked for.
        """
        check_threads(processes)
        self.store.ping()
        with _signals() as next_signal:
            running = Workers(self, workers, self.perform)
            if next_signal() == signal.SIGINT:
                deadline = 0
            # Another one does not wait for anything.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            running.stop(deadline)


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], int]]:
    """Yield what waits for SIGTERM or SIGINT, whenever that comes; the main thread.

    By a pipe: a handler that interrupts the wait for a lock must not want that lock.
    """
    reader, writer = os.pipe()

    def tell(number: int, _: object) -> None:
        os.write(writer, bytes([number]))

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [(number, signal.signal(number, tell)) for number in numbers]
    try:
        yield lambda: os.read(reader, 1)[0]
    finally:
        for number, handler in before:
            signal.signal(number, handler or signal.SIG_DFL)
        os.close(reader)
        os.close(writer)


class Workers:
    """Threads of dramatiq's that run jobs; they start at once.

    Args:
        engine: Whose jobs.
        count: How many run at a time.
        perform: Does what a message asks for.
    """

    def __init__(
        self,
        engine: DramatiqEngine,
        count: int,
        perform: Callable[[dict[str, Any]], None],
    ) -> None:
        self._engine, self._stopped = engine, threading.Event()
        self._broker = engine.store.new_broker(_HEARTBEAT)
        # What a worker publishes goes the way of all, and so does what was not due.
        self._broker.enqueue = self._enqueue
        dramatiq.Actor(
            perform,
            broker=self._broker,
            actor_name=_ACTOR,
            queue_name=engine.store.queue,
            priority=0,
            options={},
        )
        self._worker = dramatiq.Worker(
            self._broker, worker_threads=count, worker_timeout=_IDLE
        )
        if not dramatiq.worker.DELAY_QUEUE_PREFETCH:
            self._worker.delay_prefetch = _DELAYED
        self._worker.start()
        start_thread(self._tick, "unblock-jobs-tick")

    def _enqueue(self, message: Any, *, delay: Optional[int] = None) -> Any:
        # Not to fail here: dramatiq would forget it while its heartbeat goes on.
        return _persist(lambda: self._engine.store.send(message, delay))

    def _tick(self) -> None:
        while not self._stopped.is_set():
            try:
                self._engine.clock()
            except JobStoreError as error:
                app_log.error("No jobs are taken for now: %s", error)
            except Exception:
                # Without this thread the others would take this process for dead.
                app_log.error("The jobs' clock failed", exc_info=True)
            self._stopped.wait(_TICK)

    def take_no_more(self) -> None:
        """Begin no more jobs; those that run go on."""
        for thread in self._worker.workers:
            thread.stop()

    def stop(self, seconds: float) -> None:
        """Begin no more jobs, and wait for those that run; then the rest goes back."""
        self.take_no_more()
        until = time.monotonic() + seconds
        for thread in self._worker.workers:
            thread.join(min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX))
        try:
            # The threads that fetch have to end before their connections are closed.
            self._worker.stop(timeout=4 * _IDLE)
            self._engine.store.forgive()
        except _AT_THE_END as error:
            app_log.error("What runs here is put back when this ends: %s", error)
        self._stopped.set()
        self._broker.close()


def check_threads(processes: bool) -> None:
    """Raise `ConfigurationError` if jobs are to run in processes."""
    if processes:
        raise ConfigurationError(
            "dramatiq's workers are threads: for jobs that compute start several of "
            "`python -m tornado_unblock jobs` with --workers 1"
        )


def _consume(broker: Any, *args: Any, **kwargs: Any) -> Any:
    """Begin to consume; the connection that declared the queue is not kept idle."""
    consumer = type(broker).consume(broker, *args, **kwargs)
    del broker.connection
    return consumer


def _persist(act: Callable[[], Any]) -> Any:
    """Do it, however often it takes: the message is unacknowledged meanwhile."""
    while True:
        try:
            return act()
        except JobStoreError as error:
            app_log.error("A worker waits for its store: %s", error)
            time.sleep(_TICK)


def _forget_parent() -> None:
    for store in members(_stores):
        store.forget_connection()


at_fork(Step.POOLS, _forget_parent)
