"""A body's stay on a worker, for whoever has to do with it."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Optional

from tornado_unblock._executors.registry import executor_name
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.lease import current_lease
from tornado_unblock._offload.offload import Offload

_numbers = itertools.count(1)
# Guards `Offload.hop_id`: the body may have handed its hop to other threads.
_lock = threading.Lock()


class Hop:
    """One body's stay on a worker; see `current_hop`. Any thread may use it."""

    __slots__ = ("_offload",)

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    @property
    def endpoint(self) -> str:
        """What errors and statistics call it."""
        return self._offload.endpoint.name

    @property
    def executor(self) -> str:
        """The name of the executor whose worker it has."""
        return executor_name(self._offload.executor)

    @property
    def id(self) -> int:
        """A number that no other hop of this process has; given when first asked for.

        For log records, to tell which of them belong together.
        """
        with _lock:
            return self._offload.hop_id or self._number()

    def _number(self) -> int:
        self._offload.hop_id = next(_numbers)
        return self._offload.hop_id

    @property
    def queue_time(self) -> float:
        """For how many seconds it has waited for its worker."""
        offload = self._offload
        return max(0.0, offload.started_at - offload.requested_at)

    @property
    def time_left(self) -> Optional[float]:
        """Seconds until its timeout; below 0 after it, None without one.

        A body may give it to what it calls: a query's or a client's own timeout.
        """
        offload = self._offload
        if offload.timeout is None:
            return None
        return offload.started_at + offload.timeout - time.monotonic()

    def cancelled(self) -> bool:
        """Whether its work is no longer wanted; as `cancelled`, from any thread.

        Returns:
            True once the client has left, or the request was answered without
            the body.
        """
        return self._offload.cancelled()


def current_hop() -> Optional[Hop]:
    """Return the hop that this thread runs; None where it is no worker.

    A body may hand it to threads of its own, which cannot ask
    `tornado_unblock.cancelled`.
    """
    lease = current_lease()
    return Hop(lease) if isinstance(lease, Offload) else None


def cancelled() -> bool:
    """Whether the work of this worker is no longer wanted; for bodies to ask.

    Returns:
        True once the client has left, or the request was answered without the
        body (a timeout, a cancelled caller, a shutdown). False elsewhere than in
        a worker.
    """
    lease = current_lease()
    return isinstance(lease, Offload) and lease.cancelled()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


at_fork(Step.LOOPS, _after_fork)
