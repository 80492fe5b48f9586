"""A job in a process of the server's: it is this process that has it in flight.

# Threads: the main thread of such a process; one more waits for the server's end.
# Guarantees:
# - signals to all of the server's processes end no job: the server decides;
# - without its server the process ends, after the job that it runs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.records import Taken

if TYPE_CHECKING:
    from tornado_unblock.jobs.app import Jobs

# Held while a job runs.
_busy = threading.Lock()


def run_in_child(module: str, taken: Taken, owner: str, settings: Any) -> None:
    """Run a job here that another process has taken.

    Args:
        module: Where its function is.
        taken: The job.
        owner: Who has taken it.
        settings: The arguments of `configure`.

    Raises:
        ConfigurationError: The module does not define the job any more.
    """
    _belong_to_server()
    with _busy:
        app = _app_of(module, taken.name)
        app.configure_as(settings)
        _run(app.engine, taken, owner)


def _run(engine: Any, taken: Taken, owner: str) -> None:
    task = engine.huey.deserialize_task(taken.data)
    task.taken = taken
    if not engine.store.adopt(taken, owner):
        return  # taken for dead on the way, and somebody else has it
    engine.huey._timeout_handler = alarm
    engine.huey.execute(task)
    with contextlib.suppress(JobStoreError):  # else with the next job
        engine.store.write_unwritten()


@functools.cache
def _belong_to_server() -> None:
    """Leave signals to the server, and end with it; once in each process."""
    server = multiprocessing.parent_process()
    if server is None:
        return  # a test's own
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    start_thread(functools.partial(_end_after, server), "unblock-jobs-parent")


def _end_after(server: Any) -> None:
    server.join()
    with _busy:
        os._exit(1)


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """End what runs in the main thread after so many seconds.

    Raises:
        huey.exceptions.TaskTimeout: They have passed.
    """
    from huey.exceptions import TaskTimeout  # type: ignore[import-untyped]

    def ring(number: int, frame: object) -> None:
        raise TaskTimeout(f"timeout ({seconds:g}s)")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _app_of(module: str, name: str) -> Jobs:
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, Job) and value.name == name:
            return value.app
    raise ConfigurationError(
        f"a process has found no job {name!r} at the top of module {module}: with "
        "processes=True jobs have to be defined there"
    )
