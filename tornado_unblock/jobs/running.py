"""What a job knows of itself while it runs.

# Threads: the worker that runs the job, and threads it hands this to.
# Guarantees:
# - asking is cheap: the store is asked at most once a second, told of progress at most
#   five times.
"""

from __future__ import annotations

import contextvars
import time
from typing import Callable, Optional

from tornado_unblock._errors import ConfigurationError, JobCancelledError
from tornado_unblock._executors.options import is_number
from tornado_unblock._offload.current import cancelled as offload_is_cancelled
from tornado_unblock.jobs.records import Taken
from tornado_unblock.jobs.storage import Acknowledging

# Seconds between two questions to the store, and between two notes to it.
_ASK = 1.0
_NOTE = 0.2

_current: contextvars.ContextVar[Optional[Running]] = contextvars.ContextVar(
    "unblock_job", default=None
)


class Running:
    """The attempt that runs; see `current`.

    Attributes:
        id: The job's id.
        name: The function's name.
        attempt: 1 for the first.
    """

    def __init__(
        self, taken: Taken, timeout: Optional[float], store: Acknowledging
    ) -> None:
        self.id = taken.id
        self.name = taken.name
        self.attempt = taken.attempt
        self._store = store
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._asked_at = self._noted_at = float("-inf")
        self._unwanted = False

    def cancelled(self) -> bool:
        """Whether the job is to end: its timeout passed, or it is not wanted any more.

        Returns:
            True after its ``timeout``, after `cancel`, and when its server was shut
            down and did not wait longer.
        """
        return self.timed_out() or offload_is_cancelled() or self._is_unwanted()

    def check(self) -> None:
        """End the job if `cancelled`, by an exception.

        Raises:
            JobCancelledError: It is to end.
        """
        if self.cancelled():
            why = "is not wanted any more"
            if self.timed_out():
                why = f"has run longer than its timeout of {self._timeout:g} s"
            raise JobCancelledError(f"job {self.id} ({self.name}) {why}")

    def progress(self, done: float, of: Optional[float] = None) -> None:
        """Say how far the job is; any thread.

        Args:
            done: So much is done, in a unit of your own.
            of: Of so much in all, if that is known.

        Raises:
            ConfigurationError: These are no numbers, or not finite.
            JobStoreError: The store cannot be reached.
        """
        if not _is_finite(done) or not (of is None or _is_finite(of)):
            raise ConfigurationError(
                f"progress(done, of) takes numbers, not {done!r} and {of!r}"
            )
        now = time.monotonic()
        if now - self._noted_at >= _NOTE or done == of:
            self._noted_at = now
            total = None if of is None else float(of)
            self._store.set_progress(self.id, float(done), total)

    def timed_out(self) -> bool:
        """Whether its timeout has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _is_unwanted(self) -> bool:
        now = time.monotonic()
        if not self._unwanted and now - self._asked_at >= _ASK:
            self._asked_at = now
            self._unwanted = self._store.is_cancelled(self.id)
        return self._unwanted


def _is_finite(value: object) -> bool:
    return is_number(value) and abs(value) < 1e300  # type: ignore[arg-type]


def current() -> Optional[Running]:
    """Return the attempt of a job that runs here; None elsewhere than in a job."""
    return _current.get()


def run_as(running: Running, fn: Callable[[], object]) -> object:
    """Call ``fn`` with `current` set."""
    token = _current.set(running)
    try:
        return fn()
    finally:
        _current.reset(token)
