"""How an attempt ends, whichever engine runs it; and what all engines have in common.

# Threads: any; each worker runs one job at a time.
# Guarantees:
# - whatever a function raises ends its attempt, and not its worker;
# - what has failed is not run for ever, whatever goes wrong with its error;
# - only the end of its worker puts a job back as if it had not been begun;
# - a process that a job has forked ends with the job's function.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import sys
import time
import traceback
import types
import uuid
from collections.abc import Sequence
from typing import Any, Callable, NoReturn, Optional, Union

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
    QUEUED,
    NewJob,
    Outcome,
    State,
    Taken,
)
from tornado_unblock.jobs.running import Running, run_as
from tornado_unblock.jobs.values import Sealer, check, plain_text

_OURS = os.path.dirname(__file__)


class InterruptedJobError(KeyboardInterrupt):
    """Raised where a job runs whose worker is to end now, by that worker's signal."""


class BaseEngine:
    """A store, and what the API asks for of any engine on it.

    Args:
        store: Where the jobs are.
        secret: Signs what is kept there.
        settings: Of what it was made; a process of the server's makes the same.
    """

    def __init__(
        self, store: Any, secret: Optional[Union[str, bytes]], settings: Any = None
    ) -> None:
        self.store: Any = store
        self.settings = settings
        self.sealer = Sealer(secret)

    def message(
        self, name: str, job_id: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> str:
        """Return what is kept of a job: its name and its arguments."""
        fields = {"id": job_id, "name": name, "args": [args, kwargs], "kwargs": {}}
        return self.sealer.seal(fields)

    def new_periodic(self, job: Job[[], Any], job_id: str = "") -> NewJob:
        """Return one more run of a periodic job, under an id if one is given."""
        job_id = job_id or str(uuid.uuid4())
        return NewJob(
            id=job_id,
            name=job.name,
            data=self.message(job.name, job_id, (), {}),
            max_attempts=job.options.attempts,
            priority=job.options.priority,
            key=f"every {job.name}",
            once=True,
        )

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
            opened = self.sealer.open(state.result, result_of=state.id)
        except ValueError as error:
            raise JobStoreError(
                f"the result of job {state.id} cannot be read: {error}"
            ) from None
        return dataclasses.replace(state, result=opened)

    # -- one attempt ---------------------------------------------------------------

    def attempt(
        self,
        job: Job[..., Any],
        taken: Taken,
        outcome: Outcome,
        call: Callable[[], object],
    ) -> Optional[BaseException]:
        """Call a job's function; write into ``outcome`` how that ended.

        Returns:
            What it raised, if it did.

        Raises:
            InterruptedJobError: Its worker is to end; the job goes back.
        """
        try:
            return self._attempted(job, taken, outcome, call)
        except InterruptedJobError:
            outcome.state = QUEUED
            raise

    def _attempted(
        self,
        job: Job[..., Any],
        taken: Taken,
        outcome: Outcome,
        call: Callable[[], object],
    ) -> Optional[BaseException]:
        running = Running(taken, job.options.timeout, self.store)
        process = os.getpid()
        try:
            value = run_as(running, call)
            if os.getpid() != process:  # pragma: no cover - in a fork
                _end_fork(None)
            outcome.result = self._result(job, taken, value)
            outcome.state = DONE
            return None
        except BaseException as error:
            if os.getpid() != process:  # pragma: no cover - in a fork
                _end_fork(error)
            failure = _failure_of(job, error)
        # Whatever goes wrong from here on, it is not run for ever.
        outcome.state = DEAD
        try:
            _failed(job, taken, outcome, running, failure)
        except Exception:
            app_log.error("Job %s (%s) is dead", taken.id, job.name, exc_info=True)
        return failure

    def _result(self, job: Job[..., Any], taken: Taken, value: object) -> Optional[str]:
        try:
            check(value, f"the result of {job.name}")
        except JobArgumentError as error:
            _refuse_unrun(job, value)
            # It has done its work: to do it again would not help.
            app_log.warning("%s; it is not kept", error)
            return None
        return self.sealer.seal(value, result_of=taken.id)


def check_signed(taken: Taken, job_id: object, name: object) -> None:
    """Raise unless a message is that of this very job: only the message is signed.

    Raises:
        ValueError: It is another's.
    """
    if (job_id, name) != (taken.id, taken.name):
        raise ValueError(
            f"it was asked for as the job {job_id} ({name}): somebody has put another "
            "name, or another job's arguments, to it"
        )


def _failed(
    job: Job[..., Any],
    taken: Taken,
    outcome: Outcome,
    running: Running,
    error: BaseException,
) -> None:
    """Say what becomes of an attempt that failed; nothing more unless said here."""
    outcome.error = plain_text(_named(error))
    lines = traceback.format_exception(type(error), error, _from_the_job(error))
    outcome.traceback = plain_text("".join(lines))
    if isinstance(error, JobCancelledError) and not running.timed_out():
        outcome.state = CANCELLED
        return
    pause = job.options.pause(taken.failures + 1, error)
    if pause is None:
        return
    outcome.state, outcome.run_at = FAILED, time.time() + pause
    app_log.warning(
        "Job %s (%s): attempt %d failed with %s; the next one in %.3g s",
        *(taken.id, job.name, taken.attempt, outcome.error, pause),
    )


def parked(taken: Taken, error: Exception) -> Outcome:
    """Return the end of a job that cannot be run: its name, or its data."""
    reason = plain_text(f"it cannot be run here: {error}")
    app_log.error("Job %s (%s) is on the dead list: %s", taken.id, taken.name, reason)
    return Outcome(DEAD, error=reason)


def no_such_job(name: str) -> LookupError:
    """Return what says that no job here has that name."""
    return LookupError(
        f"no job here is called {name!r}; deploy the code that has it, then "
        "jobs.retry(id)"
    )


def _from_the_job(error: BaseException) -> Optional[types.TracebackType]:
    """Return the traceback without what stands between the engine and the function."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code):
        trace = trace.tb_next
    return trace


def _is_ours(code: types.CodeType) -> bool:
    return os.path.dirname(code.co_filename) == _OURS


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {_said(error)}".rstrip(": ")


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except InterruptedJobError:
        raise
    except BaseException as failure:
        return f"(its str() raises {type(failure).__name__})"


def _refuse_unrun(job: Job[..., Any], value: object) -> None:
    """Raise if a result is work that nobody has done."""
    if inspect.isgenerator(value) or inspect.iscoroutine(value):
        value.close()  # or Python warns that it was never awaited
    elif not (inspect.isawaitable(value) or inspect.isasyncgen(value)):
        return
    raise TypeError(
        f"{job.name} returned an object of type {type(value).__qualname__}, and nobody "
        "awaits or iterates it: do that in the job, with asyncio.run(...) or list(...)"
    )


def _failure_of(job: Job[..., Any], error: BaseException) -> Exception:
    """Return what an attempt has failed with; raise what ends the worker, too."""
    if isinstance(error, InterruptedJobError):
        raise error
    if isinstance(error, Exception):
        return error
    failure = BodyExitError(f"{job.name} raised {_named(error)}; only it ends")
    failure.__cause__ = error
    return failure


def _end_fork(
    failure: Optional[BaseException],
) -> NoReturn:  # pragma: no cover - in a fork
    """End what a job has forked, as the interpreter would: it is no second worker."""
    status: object = 0
    if isinstance(failure, SystemExit):
        status = failure.code or 0
    elif failure is not None:
        app_log.error("A process that a job has forked failed", exc_info=failure)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status & 0xFF if isinstance(status, int) else 1)
