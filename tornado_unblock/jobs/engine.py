"""huey, with acknowledgement: what it runs is written down when it has ended.

huey keeps the names of the functions, runs them, retries them, times them out, and its
consumer gives them threads and processes. The storage beside it does not forget what
was taken.

# Threads: any; each worker runs one job at a time.
# Guarantees:
# - the end of an attempt is written after it, with its retry, in one transaction;
# - whatever a function raises ends its attempt, and not its worker;
# - a job whose name nobody knows, or whose data nobody can read, is on the dead list.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
import traceback
import types
import uuid
from typing import Any, Callable, Optional, Union

from huey import Huey  # type: ignore[import-untyped]
from huey.exceptions import HueyException, RetryTask  # type: ignore[import-untyped]
from huey.registry import Message, Registry  # type: ignore[import-untyped]
from huey.serializer import Serializer  # type: ignore[import-untyped]
from tornado.log import app_log

from tornado_unblock._errors import (
    BodyExitError,
    JobArgumentError,
    JobCancelledError,
    JobStoreError,
)
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.records import (
    CANCELLED,
    DEAD,
    DONE,
    FAILED,
    NewJob,
    Outcome,
    State,
    Taken,
)
from tornado_unblock.jobs.running import Running, run_as
from tornado_unblock.jobs.storage import Acknowledging
from tornado_unblock.jobs.values import Sealer, check, plain_text

_OURS = (__file__, run_as.__code__.co_filename)


class JSONSerializer(Serializer):  # type: ignore[misc]
    """huey's messages as JSON: who can write to the store cannot make us run code.

    Args:
        sealer: Writes the JSON, signed or not.
    """

    def __init__(self, sealer: Sealer) -> None:
        super().__init__()
        self._sealer = sealer

    def serialize(self, data: Any) -> str:
        """Return a message as text."""
        return self._sealer.seal(
            {"id": data.id, "name": data.name, "args": data.args, "kwargs": data.kwargs}
        )

    def deserialize(self, data: str) -> Any:
        """Return the message.

        Raises:
            ValueError: It is none of ours.
        """
        fields = self._sealer.open(data)
        if not isinstance(fields, dict):
            raise ValueError("it is no message")
        return Message(**fields)


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
            raise LookupError(
                f"no job here is called {name!r}; deploy the code that has it, then "
                "jobs.retry(id)"
            ) from None


class AcknowledgingHuey(Huey):  # type: ignore[misc]
    """huey on a storage that waits for the end of what it gives.

    Args:
        store: The storage.
        sealer: Writes the messages.
        clock: Called about once a second, where a scheduler runs.
    """

    def __init__(
        self, store: Acknowledging, sealer: Sealer, clock: Callable[[], object]
    ) -> None:
        self._store, self._clock, self._sealer = store, clock, sealer
        super().__init__(store.name, results=False, serializer=JSONSerializer(sealer))
        self._registry = _Names()

    def create_storage(self) -> Acknowledging:
        """The one that is given."""
        return self._store

    def add(self, job: Job[Any, Any]) -> None:
        """Have a job's function run under its name."""

        def body(*args: Any, task: Any, **kwargs: Any) -> Any:
            positional, named = args
            return self._run(job, task, functools.partial(job.fn, *positional, **named))

        body.__module__ = job.module
        self.task(
            name=job.name,
            context=True,
            timeout=job.options.timeout,
            job_name=job.name,
        )(body)

    def remove(self, job: Job[Any, Any]) -> None:
        """Forget a job's function; another one takes its name."""
        self._registry.unregister(self._registry.string_to_task(job.name))

    def message(self, job: Job[Any, Any], id: str, args: Any, kwargs: Any) -> str:
        """Return what is kept of a job: its name and its arguments."""
        task = self._registry.string_to_task(job.name)((list(args), kwargs), {}, id=id)
        return self.serialize_task(task)  # type: ignore[no-any-return]

    # -- called by huey's workers --------------------------------------------------

    def dequeue(self) -> Any:
        """Take the next job that can be run; None without one."""
        while True:
            taken = self._store.take()
            if taken is None:
                return None
            try:
                task = self.deserialize_task(taken.data)
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

    def _run(self, job: Job[Any, Any], task: Any, call: Callable[[], Any]) -> Any:
        running = Running(task.taken, job.options.timeout, self._store)
        try:
            value = run_as(running, call)
        except Exception as error:
            self._failed(job, task, running, error)
        except BaseException as error:
            if _is_interrupt(error):
                raise
            exit_error = BodyExitError(f"{job.name} raised {error!r}; only it ends")
            exit_error.__cause__ = error
            self._failed(job, task, running, exit_error)
        else:
            task.outcome = Outcome(DONE, self._result(job, value))

    def _failed(
        self, job: Job[Any, Any], task: Any, running: Running, error: BaseException
    ) -> None:
        """Say what becomes of an attempt that failed: huey asks for an exception."""
        taken: Taken = task.taken
        outcome: Outcome = task.outcome
        # Whatever goes wrong from here on, it is not run for ever.
        outcome.state = DEAD
        outcome.error = plain_text(f"{type(error).__name__}: {_said(error)}")
        lines = traceback.format_exception(type(error), error, _from_the_job(error))
        outcome.traceback = plain_text("".join(lines))
        if isinstance(error, JobCancelledError) and not running.timed_out():
            outcome.state = CANCELLED
            return
        pause = job.options.pause(taken.failures + 1, error)
        if pause is None:
            raise error
        outcome.state, outcome.run_at = FAILED, time.time() + pause
        app_log.warning(
            "Job %s (%s): attempt %d failed with %s; the next one in %.3g s",
            *(taken.id, job.name, taken.attempt, outcome.error, pause),
        )
        raise RetryTask(delay=pause) from error

    def _result(self, job: Job[Any, Any], value: object) -> Optional[str]:
        try:
            check(value, f"the result of {job.name}")
        except JobArgumentError as error:
            # It has done its work: to do it again would not help.
            app_log.warning("%s; it is not kept", error)
            return None
        return self._sealer.seal(value)

    def _acknowledge(self, taken: Taken, outcome: Outcome) -> None:
        try:
            if outcome.state is None:  # Ctrl-C
                self._store.put_back(taken)
            else:
                self._store.finish(taken, outcome)
        except JobStoreError as error:
            if outcome.state is not None:
                self._store.unwritten.append((taken, outcome))
            app_log.error(
                "The end of job %s (%s) is not written yet: %s",
                *(taken.id, taken.name, error),
            )

    def _park(self, taken: Taken, error: Exception) -> None:
        reason = plain_text(f"it cannot be run here: {error}")
        app_log.error(
            "Job %s (%s) is on the dead list: %s", taken.id, taken.name, reason
        )
        self._acknowledge(taken, Outcome(DEAD, error=reason))


def _from_the_job(error: BaseException) -> Optional[types.TracebackType]:
    """Return the traceback without what stands between huey and the function."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in _OURS:
        trace = trace.tb_next
    return trace


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:
        return f"(its str() raises {type(failure).__name__})"


def _is_interrupt(error: BaseException) -> bool:
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
    )


class Engine:
    """A store, huey on it, and what of both the API asks for.

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
        self.store: Any = store
        self.settings = settings
        self._sealer = Sealer(secret)
        self.huey = AcknowledgingHuey(store, self._sealer, clock)

    def state(self, job_id: str) -> Optional[State]:
        """Return how a job is."""
        row = self.store.row(job_id)
        return None if row is None else self._state(row)

    def states(self, state: str, limit: int) -> list[State]:
        """Return how the jobs in a state are."""
        return [self._state(row) for row in self.store.rows(state, limit)]

    def _state(self, row: tuple[Any, ...]) -> State:
        state = State(*row)
        if state.result is None:
            return state
        try:
            return dataclasses.replace(state, result=self._sealer.open(state.result))
        except ValueError as error:
            raise JobStoreError(
                f"the result of job {state.id} cannot be read: {error}"
            ) from None

    def new_periodic(self, job: Job[[], Any]) -> NewJob:
        """Return one more run of a periodic job."""
        job_id = str(uuid.uuid4())
        return NewJob(
            id=job_id,
            name=job.name,
            data=self.huey.message(job, job_id, (), {}),
            max_attempts=job.options.attempts,
            priority=job.options.priority,
            key=f"every {job.name}",
            once=True,
        )

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
