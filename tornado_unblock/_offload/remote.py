"""An offload to an executor that pickles what it is given: processes, a cluster.

# Threads: `_put` runs on the loop thread, `_submit` in a thread that may wait for
# processes, `_take` in a thread of the executor's own.
"""

from __future__ import annotations

import concurrent.futures
import functools
import pickle
import re
import time
from typing import Any

from tornado_unblock._errors import AbandonedError, LoopClosedError, crossing_error
from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.processes import submitters
from tornado_unblock._offload.offload import Offload

# The latter is what Python 3.13 says of a function in a function.
_is_about_pickling = re.compile("(?i)pickl|get local object").search


class RemoteOffload(Offload):
    """An offload to an executor that pickles what it is given."""

    def _put(self) -> bool:
        # Not here: starting a process takes long, reaching a cluster longer.
        submitters().submit(self._submit)
        return True

    def _submit(self) -> None:
        call = self._fn
        assert isinstance(call, functools.partial)
        self.started_at = self.ended_at = time.monotonic()
        try:
            if self.revoked is not None:
                raise AbandonedError(self.revoked)
            job = self.executor.submit(call.func, *call.args, **call.keywords)
        except BaseException as error:
            self._error = error
            try:
                self.portal.call_soon(self._refuse)
            except LoopClosedError:
                self._error = None
        else:
            job.add_done_callback(functools.partial(self._take, call))

    def _refuse(self) -> None:
        """End it: its executor did not take it; loop thread."""
        error = self._error
        assert error is not None
        if isinstance(error, concurrent.futures.BrokenExecutor):
            error = RuntimeError(
                f"{error}; an executor made by configure(name, processes=...) or "
                "configure(name, factory=...) is made again when it breaks"
            )
        if type(error) is RuntimeError:
            self._refused(str(error))
        else:
            self._end_unstarted(crossing_error(error, self.endpoint.name), True)

    def _take(self, call: Any, job: concurrent.futures.Future[Any]) -> None:
        # Runs in a thread of the executor's own, or in the one that submits.
        self.ended_at = time.monotonic()
        if job.cancelled():
            self._error = concurrent.futures.CancelledError(
                "the executor was shut down"
            )
        else:
            self._error = job.exception()
            if self._error is None:
                self._value = job.result()
            elif self.revoked and isinstance(
                self._error, concurrent.futures.BrokenExecutor
            ):
                self._error = AbandonedError(self.revoked)
            elif _is_about_pickling(f"{type(self._error).__name__} {self._error}"):
                self._error = _name_unpicklable(call, self._error)
        self._post_end()


def _name_unpicklable(call: Any, error: BaseException) -> BaseException:
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
