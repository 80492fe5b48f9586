"""A job in a process of the server's: it is this process that has it in flight."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tornado_unblock._errors import ConfigurationError
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.records import Taken

if TYPE_CHECKING:
    from tornado_unblock.jobs.app import Jobs


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
    app = _app_of(module, taken.name)
    app.configure_as(settings)
    engine = app.engine
    if not engine.store.adopt(taken, owner):
        return  # taken for dead on the way, and somebody else has it
    task = engine.huey.deserialize_task(taken.data)
    task.taken = taken
    engine.huey.execute(task)


def _app_of(module: str, name: str) -> Jobs:
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, Job) and value.name == name:
            return value.app
    raise ConfigurationError(
        f"a process has found no job {name!r} at the top of module {module}: with "
        "processes=True jobs have to be defined there"
    )
