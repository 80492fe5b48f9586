"""An offload to an executor that pickles what it is given: processes, a cluster.

# Threads: `send` is called on the loop thread, `_submit` runs in a thread that may
# wait for processes, `_take` in a thread of the executor's own.
# Guarantees: an offload that was sent ends once, whatever becomes of its executor.
"""

from __future__ import annotations

import concurrent.futures
import functools
import pickle
import re
import time
from typing import TYPE_CHECKING

from tornado_unblock._errors import AbandonedError
from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.processes import submitters

if TYPE_CHECKING:
    from tornado_unblock._offload.offload import Offload

# The latter is what Python 3.13 says of a function in a function.
_ABOUT_PICKLING = "(?i)pickl|get local object"


def send(offload: Offload) -> None:
    """Have the executor of ``offload`` run it; loop thread."""
    # Not here: starting a process takes long, reaching a cluster longer.
    submitters().submit(_submit, offload, offload.call)


def _submit(offload: Offload, call: functools.partial[object]) -> None:
    offload.started_at = time.monotonic()
    try:
        if offload.revoked is not None:
            raise AbandonedError(offload.revoked)
        job = offload.executor.submit(call.func, *call.args, **call.keywords)
    except concurrent.futures.BrokenExecutor as error:
        offload.refuse_elsewhere(
            RuntimeError(
                f"{error}; an executor made by configure(name, processes=...) or "
                "configure(name, factory=...) is made again when it breaks"
            )
        )
    except BaseException as error:
        offload.refuse_elsewhere(error)
    else:
        job.add_done_callback(functools.partial(_take, offload, call))


def _take(
    offload: Offload,
    call: functools.partial[object],
    job: concurrent.futures.Future[object],
) -> None:
    # Runs in a thread of the executor's own, or in the one that submits.
    if job.cancelled():
        gone = concurrent.futures.CancelledError("the executor was shut down")
        offload.end_elsewhere(None, gone)
        return
    error = job.exception()
    if error is None:
        offload.end_elsewhere(job.result(), None)
        return
    if offload.revoked and isinstance(error, concurrent.futures.BrokenExecutor):
        error = AbandonedError(offload.revoked)
    elif re.search(_ABOUT_PICKLING, f"{type(error).__name__} {error}"):
        error = _name_unpicklable(call, error)
    offload.end_elsewhere(None, error)


def _name_unpicklable(
    call: functools.partial[object], error: BaseException
) -> BaseException:
    parts = [("the function", call.func)]
    parts += [(f"positional argument {i}", a) for i, a in enumerate(call.args, 1)]
    parts += [(f"argument {name!r}", a) for name, a in call.keywords.items()]
    for name, part in parts:
        try:
            pickle.dumps(part)
        except Exception as cause:
            named = TypeError(
                f"{describe(call.func)}: {name} ({type(part).__name__}) cannot be "
                f"pickled for an executor of processes: {cause}; pass plain data, "
                "or use an executor of threads"
            )
            named.__cause__ = error
            return named
    return error
