"""Where an offload runs, and the limiter that stands before it.

# Threads: the loop thread only: limiters are kept per loop, and hold no lock.
"""

from __future__ import annotations

import concurrent.futures
import weakref
from typing import Any, NamedTuple, Optional

from tornado_unblock._errors import RejectedError
from tornado_unblock._executors.registry import executor_name, is_named, options_of
from tornado_unblock._limits.limiter import Closing, Endpoint, Limiter
from tornado_unblock._limits.queue_timeout import QueueTimeouts
from tornado_unblock._limits.statistics import watch
from tornado_unblock._loop.portal import Portal

# Keys of what is kept per loop, in `Portal.locals`.
_FOREIGN = "limiters of foreign executors"
_LIMITERS = "all limiters"
_CLOSING = "closing"
_BETWEEN = "requests between hops"


class ExecutorLimiter(Limiter):
    """The limiter before one executor on one loop, and what is set for it."""

    def __init__(self, executor: concurrent.futures.Executor) -> None:
        options = self.options = options_of(executor)
        super().__init__(
            options.max_workers, options.max_waiting, options.endpoint_share
        )
        self.name = executor_name(executor)
        # For those that wait; None: they do for ever.
        self.queue_timeouts: Optional[QueueTimeouts] = None

    def rejection(self, endpoint: Endpoint, what: str, reason: str) -> RejectedError:
        """Return the error for a request without a worker: it names when to come again.

        Args:
            endpoint: Whose request.
            what: What is the matter.
            reason: One of the `REASONS` that are counted.
        """
        return RejectedError(
            f"{endpoint.name}: executor {self.name!r} has no worker for it: {what}",
            reason=reason,
            retry_after=endpoint.retry_after(),
        )


class Placement(NamedTuple):
    """Where an offload runs, and as what; the same for many of them."""

    executor: concurrent.futures.Executor
    limiter: ExecutorLimiter
    endpoint: Endpoint
    timeout: Optional[float]


def placement(
    portal: Portal,
    executor: concurrent.futures.Executor,
    endpoint: str,
    timeout: Optional[float],
) -> Placement:
    """Return the site of ``endpoint`` on the portal's loop; loop thread only.

    Args:
        portal: The way to the loop.
        executor: Where it runs.
        endpoint: What errors and statistics call it.
        timeout: Seconds it may run; None means the executor's timeout.
    """
    limiter = _limiter_for(portal, executor)
    if timeout is None:
        timeout = limiter.options.timeout
    return Placement(executor, limiter, limiter.endpoint(endpoint), timeout)


def limiters(portal: Portal) -> list[ExecutorLimiter]:
    """Return every limiter of the portal's loop; loop thread only."""
    return list(portal.locals.get(_LIMITERS, ()))


def close_limiters(portal: Portal, closing: Closing) -> None:
    """Have ``closing`` decide on what is admitted to any executor from now on."""
    portal.locals[_CLOSING] = closing
    for limiter in limiters(portal):
        limiter.closing = closing


def requests_between_hops(portal: Portal) -> set[weakref.ref[Any]]:
    """Return the requests that had a worker, and are not over; loop thread only.

    Not a `weakref.WeakSet`: that takes four frames, and each request comes by.
    """
    requests: Optional[set[weakref.ref[Any]]] = portal.locals.get(_BETWEEN)
    if requests is None:
        requests = portal.locals[_BETWEEN] = set()
    return requests


def tell_closing(portal: Portal) -> None:
    """Say that something has ended, in case a shutdown waits for it."""
    closing: Optional[Closing] = portal.locals.get(_CLOSING)
    if closing is not None:
        closing.ended()


def _limiter_for(
    portal: Portal, executor: concurrent.futures.Executor
) -> ExecutorLimiter:
    limiter: Optional[ExecutorLimiter] = portal.locals.get(executor)
    if limiter is not None:
        return limiter
    kept: Any = portal.locals
    if not is_named(executor):
        # Who made it may drop it any time: this must not keep it alive.
        kept = portal.locals.setdefault(_FOREIGN, weakref.WeakKeyDictionary())
        limiter = kept.get(executor)
    if limiter is None:
        limiter = kept[executor] = _open(portal, executor)
    return limiter


def _open(portal: Portal, executor: concurrent.futures.Executor) -> ExecutorLimiter:
    limiter = ExecutorLimiter(executor)
    limiter.closing = portal.locals.get(_CLOSING)
    seconds = limiter.options.queue_timeout
    if seconds is not None:
        limiter.queue_timeouts = QueueTimeouts(seconds, portal.loop.call_later)
    portal.locals.setdefault(_LIMITERS, weakref.WeakSet()).add(limiter)
    watch(portal.loop, executor, limiter.name, limiter)
    return limiter
