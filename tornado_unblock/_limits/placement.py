"""Where an offload runs, and the limiter that stands before it.

# Threads: the loop thread only: limiters are kept per loop, and hold no lock.
"""

from __future__ import annotations

import concurrent.futures
import weakref
from typing import NamedTuple, Optional

from tornado_unblock._errors import RejectedError
from tornado_unblock._executors.registry import executor_name, is_named, options_of
from tornado_unblock._limits.closing import Closing, loop_end
from tornado_unblock._limits.limiter import Endpoint, Limiter
from tornado_unblock._limits.queue_timeout import QueueTimeouts
from tornado_unblock._limits.statistics import watch
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal


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
    # Whether asyncio is to say in its worker that the loop runs there.
    shows_loop: bool = False


def placement(
    portal: Portal,
    executor: concurrent.futures.Executor,
    endpoint: str,
    timeout: Optional[float],
    shows_loop: bool = False,
) -> Placement:
    """Return the placement of ``endpoint`` on the portal's loop; loop thread only.

    Args:
        portal: The way to the loop.
        executor: Where it runs.
        endpoint: What errors and statistics call it.
        timeout: Seconds it may run; None means the executor's timeout.
        shows_loop: Whether it finds the loop running; then it cannot run its own.
    """
    limiter = limiter_of(portal, executor)
    if timeout is None:
        timeout = limiter.options.timeout
    return Placement(executor, limiter, limiter.endpoint(endpoint), timeout, shows_loop)


class _LoopLimiters:
    """The limiters of one loop."""

    def __init__(self) -> None:
        self.named: dict[concurrent.futures.Executor, ExecutorLimiter] = {}
        # Who made one of these may drop it any time: this must not keep it alive.
        self.foreign: weakref.WeakKeyDictionary[
            concurrent.futures.Executor, ExecutorLimiter
        ] = weakref.WeakKeyDictionary()

    def all(self) -> list[ExecutorLimiter]:
        return [*self.named.values(), *self.foreign.values()]


_limiters: PerLoop[_LoopLimiters] = PerLoop(_LoopLimiters)


def limiter_of(
    portal: Portal, executor: concurrent.futures.Executor
) -> ExecutorLimiter:
    """Return the limiter before ``executor`` on the portal's loop; loop thread only."""
    kept = _limiters.of(portal)
    limiter = kept.named.get(executor)
    if limiter is not None:
        return limiter
    if is_named(executor):
        limiter = kept.named[executor] = _open(portal, executor)
        return limiter
    limiter = kept.foreign.get(executor)
    if limiter is None:
        limiter = kept.foreign[executor] = _open(portal, executor)
    return limiter


def limiters(portal: Portal) -> list[ExecutorLimiter]:
    """Return every limiter of the portal's loop; loop thread only."""
    return _limiters.of(portal).all()


def close_limiters(portal: Portal, closing: Closing) -> None:
    """Have ``closing`` decide on what is admitted to any executor from now on."""
    loop_end.of(portal).closing = closing
    for limiter in limiters(portal):
        limiter.closing = closing


def _open(portal: Portal, executor: concurrent.futures.Executor) -> ExecutorLimiter:
    limiter = ExecutorLimiter(executor)
    limiter.closing = loop_end.of(portal).closing
    seconds = limiter.options.queue_timeout
    if seconds is not None:
        limiter.queue_timeouts = QueueTimeouts(seconds, portal.loop.call_later)
    watch(portal.loop, executor, limiter.name, limiter)
    return limiter
