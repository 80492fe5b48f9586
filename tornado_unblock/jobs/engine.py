"""huey, with acknowledgement: what it runs is written down when it has ended.

huey keeps the names of the functions, runs them, retries them, times them out, and its
consumer gives them threads and processes. The storage beside it does not forget what
was taken.

# Threads: any; each worker runs one job at a time.
# Guarantees:
# - the end of an attempt is written after it, with its retry, in one transaction;
# - a job whose name nobody knows, or whose data nobody can read, is on the dead list.
"""

from __future__ import annotations

import functools
import os
import signal
import time
from typing import Any, Callable, Optional, Union

from huey import Huey  # type: ignore[import-untyped]
from huey.consumer import (  # type: ignore[import-untyped]
    Consumer,
    Scheduler,
    Worker,
    WorkerRecycle,
)
from huey.exceptions import HueyException, RetryTask  # type: ignore[import-untyped]
from huey.registry import Message, Registry  # type: ignore[import-untyped]
from huey.serializer import Serializer  # type: ignore[import-untyped]
from tornado.log import app_log

from tornado_unblock.jobs.attempt import (
    BaseEngine,
    InterruptedJobError,
    check_signed,
    no_such_job,
    parked,
)
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.records import DEAD, FAILED, QUEUED, Outcome, Taken
from tornado_unblock.jobs.storage import Acknowledging
from tornado_unblock.jobs.values import Sealer

# How often an idle worker asks for work, in seconds: at first, and at last.
_FIRST, _LAST = 0.05, 0.25
# What an alarm can be set to, in seconds: three years.
_LONGEST = 1e8


class JSONSerializer(Serializer):  # type: ignore[misc]
    """huey's messages as JSON: who can write to the store cannot make us run code.

    Args:
        sealer: Writes the JSON, signed or not.
    """

    def __init__(self, sealer: Sealer) -> None:
        super().__init__()
        self._sealer = sealer

    def deserialize(self, data: str) -> Any:
        """Return the message: what we have written of it, and nothing else.

        Raises:
            ValueError: It is none of ours.
        """
        fields = self._sealer.open(data)
        try:
            positional, named = fields["args"]
            shown = [*positional], {**named}
            return Message(id=fields["id"], name=fields["name"], args=shown, kwargs={})
        except (TypeError, KeyError, ValueError):
            raise ValueError("it is no message") from None


class _Names(Registry):  # type: ignore[misc]
    """Functions by the names of their jobs."""

    def task_to_string(self, task_class: Any) -> str:
        """Return the job's name."""
        return str(task_class.job_name)

    def string_to_task(self, name: str) -> Any:
        """Return what runs the job.

        Raises:
            LookupError: There is none.
        """
        try:
            return super().string_to_task(name)
        except HueyException:
            raise no_such_job(name) from None


class AcknowledgingHuey(Huey):  # type: ignore[misc]
    """huey on a storage that waits for the end of what it gives.

    Args:
        engine: Has the storage, and knows how an attempt ends.
        clock: Called about once a second, where a scheduler runs.
    """

    def __init__(self, engine: Engine, clock: Callable[[], object]) -> None:
        self._engine, self._clock = engine, clock
        self._store: Acknowledging = engine.store
        super().__init__(
            self._store.name, results=False, serializer=JSONSerializer(engine.sealer)
        )
        self._registry = _Names()

    def create_storage(self) -> Acknowledging:
        """The one that is given."""
        return self._store

    def add(self, job: Job[Any, Any]) -> None:
        """Have a job's function run under its name."""

        def body(positional: Any, named: Any, *, task: Any) -> Any:
            return self._run(job, task, functools.partial(job.fn, *positional, **named))

        body.__module__ = job.module
        self.task(name=job.name, context=True, job_name=job.name)(body)

    def remove(self, job: Job[Any, Any]) -> None:
        """Forget a job's function; another one takes its name."""
        self._registry.unregister(self._registry.string_to_task(job.name))

    # -- called by huey's workers --------------------------------------------------

    def dequeue(self) -> Any:
        """Take the next job that can be run; None without one."""
        while True:
            taken = self._store.take()
            if taken is None:
                return None
            try:
                task = self.deserialize_task(taken.data)
                check_signed(taken, task.id, type(task).job_name)
            except Exception as error:
                self._park(taken, error)
            else:
                task.taken = taken
                return task

    def execute(self, task: Any, timestamp: Any = None) -> None:
        """Run a job, and write how that ended."""
        task.outcome = Outcome()
        try:
            super().execute(task, timestamp)
        finally:
            self._acknowledge(task.taken, task.outcome)

    def add_schedule(self, task: Any) -> None:
        """The retry of a job: what `_run` has said is written with its end."""

    def read_schedule(self, timestamp: Any = None) -> list[Any]:
        """Do what is to be done once a second; what is due moves in the store."""
        self._clock()
        return []

    def read_periodic(self, timestamp: Any) -> list[Any]:
        """Nothing: the store knows what is due, for all processes."""
        return []

    # ------------------------------------------------------------------------------

    def _limited(self, timeout: float, call: Callable[[], Any]) -> Any:
        """Call it, and end it after its timeout where huey can.

        By huey's own means an alarm would come while the result is being kept, too.
        """
        with self._timeout_handler(min(timeout, _LONGEST)):
            return call()

    def _run(self, job: Job[Any, Any], task: Any, call: Callable[[], Any]) -> None:
        outcome: Outcome = task.outcome
        timeout = job.options.timeout
        if timeout is not None and self._timeout_handler is not None:
            task.timeout = timeout  # for huey's log
            call = functools.partial(self._limited, timeout, call)
        error = self._engine.attempt(job, task.taken, outcome, call)
        if error is not None and outcome.state == DEAD:
            raise error
        if outcome.state == FAILED:
            raise RetryTask(delay=outcome.run_at - time.time()) from error

    def _acknowledge(self, taken: Taken, outcome: Outcome) -> None:
        if outcome.state is None:
            outcome = Outcome(DEAD, error="it could not be begun; the log has why")
        try:
            if outcome.state == QUEUED:
                self._store.put_back(taken)
            else:
                self._store.finish(taken, outcome)
        except Exception as error:
            if outcome.state != QUEUED:
                self._store.unwritten.append((taken, outcome))
            app_log.error(
                "The end of job %s (%s) is not written yet: %s",
                *(taken.id, taken.name, error),
            )

    def _park(self, taken: Taken, error: Exception) -> None:
        self._acknowledge(taken, parked(taken, error))


class _OfConsumer:
    """A loop of huey's that ends with the process that has begun it."""

    def __init__(self, **kwargs: Any) -> None:
        self._consumer = os.getpid()
        super().__init__(**kwargs)

    def initialize(self) -> None:
        """Called first, where it runs."""
        own: Any = super()
        own.initialize()
        if os.getpid() != self._consumer:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: object) -> None:
        own: Any = self
        if own.huey._tasks_in_flight:
            raise InterruptedJobError

    def loop(self, now: Any = None) -> None:
        """Called again and again."""
        if self._consumer not in (os.getpid(), os.getppid()):
            raise WorkerRecycle  # a process whose consumer was killed
        own: Any = super()
        own.loop(now)


class _Worker(_OfConsumer, Worker):  # type: ignore[misc]
    pass


class _Scheduler(_OfConsumer, Scheduler):  # type: ignore[misc]
    pass


class _Consumer(Consumer):  # type: ignore[misc]
    worker_class = _Worker
    scheduler_class = _Scheduler


class Engine(BaseEngine):
    """A store, and huey on it.

    Args:
        store: Where the jobs are.
        secret: Signs what is kept there.
        clock: Called about once a second, where a scheduler runs.
        settings: Of what it was made; a process of the server's makes the same.
    """

    def __init__(
        self,
        store: Acknowledging,
        secret: Optional[Union[str, bytes]],
        clock: Callable[[], object],
        settings: Any = None,
    ) -> None:
        super().__init__(store, secret, settings)
        self.huey = AcknowledgingHuey(self, clock)
        self.add, self.remove = self.huey.add, self.huey.remove

    def consume(self, workers: int, processes: bool, deadline: float) -> None:
        """Run jobs until a signal comes; the main thread.

        Args:
            workers: How many at a time.
            processes: Whether each has a process of its own.
            deadline: Seconds for which SIGTERM lets those go on that run.
        """
        with self.store.db():
            pass  # says at once if it cannot be reached
        consumer = _Consumer(
            self.huey,
            workers=workers,
            worker_type="process" if processes else "thread",
            periodic=False,
            initial_delay=_FIRST,
            max_delay=_LAST,
            health_check_interval=1,
            shutdown_timeout=deadline,
            graceful_signal="TERM",
        )
        consumer.run()
        self.store.forgive()

    def run_next(self) -> Optional[str]:
        """Run the next job that is due, here; return its id, or None without one."""
        task = self.huey.dequeue()
        if task is None:
            return None
        self.huey.execute(task)
        return str(task.id)

    def for_child(self, task: Any) -> tuple[str, Taken, str]:
        """Return what a process of the server's needs to run a job that was taken."""
        return task.__module__, task.taken, self.store.owner
