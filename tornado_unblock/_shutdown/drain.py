"""Ending the work of one loop: let in no more, wait, then abandon what is left.

# Threads: the loop thread only.
# Guarantees:
# - what a request, body or task under way still needs to end is let in;
# - nothing here blocks the loop;
# - after the deadline every request has its answer, whatever still runs.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from typing import NamedTuple, Optional

from tornado.http1connection import HTTP1ServerConnection
from tornado.log import app_log

from tornado_unblock._executors.options import check_seconds
from tornado_unblock._limits.closing import requests_between_hops
from tornado_unblock._limits.placement import (
    ExecutorLimiter,
    close_limiters,
    limiters,
)
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._offload.offload import WAITING, Offload

DEADLINE = 30.0
"""Seconds that `shutdown` waits unless told otherwise."""


class Abandoned(NamedTuple):
    """What a shutdown did not see end.

    Attributes:
        endpoint: The handler class and method, or the function.
        executor: The name of its executor.
        running: Whether its body runs on; else it waited for a worker, and
            will not start.
        seconds: How long it has been running, or waiting.
        stack: Where the body was; empty when it waited, or runs in another
            process.
    """

    endpoint: str
    executor: str
    running: bool
    seconds: float
    stack: str


class Drain:
    """The shutdown of one loop's executors."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._admits_none = False
        # Their next step may need a worker, though a new one's first may not.
        self._under_way: weakref.WeakSet[asyncio.Task[object]] = weakref.WeakSet(
            task
            for task in asyncio.all_tasks(portal.loop)
            if not _brings_requests(task)
        )
        self._waiting: list[asyncio.Future[None]] = []
        # The tasks that wait; a request need not wait for itself.
        self._callers: weakref.WeakSet[object] = weakref.WeakSet()

    def admits(self, nested: bool) -> bool:
        """Whether what asks for a worker now may have one."""
        if self._admits_none:
            return False
        return nested or asyncio.current_task() in self._under_way

    def ended(self) -> None:
        """Something has ended; maybe it was the last."""
        if self._waiting and self._is_idle():
            for future in self._waiting:
                future.set_result(None)
            self._waiting.clear()

    async def wait(self, seconds: Optional[float]) -> None:
        """Wait until nothing runs or waits, at most so many seconds."""
        self._callers.add(asyncio.current_task())
        # What a worker has just ended, Tornado finishes in this turn.
        await asyncio.sleep(0)
        if self._is_idle():
            return
        future = self._portal.loop.create_future()
        self._waiting.append(future)
        await asyncio.wait([future], timeout=seconds)

    def abandon(self) -> list[Abandoned]:
        """Let in nothing at all any more, and answer for what is left."""
        self._admits_none = True
        left = [
            (_describe(offload, limiter.name), offload)
            for limiter in limiters(self._portal)
            for offload in _left_on(limiter)
        ]
        for what, offload in left:
            offload.shut_down("the application shut down before it ended")
            if what.running:
                app_log.warning(
                    "%s: still running after %.3g s when the application shut down. "
                    "It is at\n%s",
                    what.endpoint,
                    what.seconds,
                    what.stack,
                )
        return [what for what, _ in left]

    def _is_idle(self) -> bool:
        between = [ref() for ref in tuple(requests_between_hops(self._portal))]
        return not any(
            limiter.running or limiter.waiting for limiter in limiters(self._portal)
        ) and all(
            request is None or request.task in self._callers for request in between
        )


def begin_drain() -> Drain:
    """Let in no new requests on the running loop from now on."""
    return _drain.get()


def _start() -> Drain:
    portal = current_portal()
    drain = Drain(portal)
    close_limiters(portal, drain)
    return drain


_drain: PerLoop[Drain] = PerLoop(_start)


def is_draining(portal: Portal) -> bool:
    """Whether new requests are let in no more on the portal's loop; loop thread."""
    return _drain.peek(portal) is not None


def check_deadline(deadline: object) -> None:
    """Raise `ConfigurationError` unless ``deadline`` is 0, None or more seconds."""
    if deadline != 0 or isinstance(deadline, bool):
        check_seconds("deadline", deadline)


async def shutdown(deadline: Optional[float] = DEADLINE) -> list[Abandoned]:
    """End the work of the running loop's executors; loop thread only.

    New requests get a 503. What is queued or running goes on, and so do tasks
    that were under way: what they ask for is still done. After the deadline the
    rest is answered with a 503; bodies that run on are abandoned and logged,
    with their stacks.

    Afterwards nothing gets a worker on this loop, and what the shim keeps on it, such
    as pooled connections, is closed. Other loops are not affected,
    so a new loop in the same process begins with nothing shut down. Idle
    threads end by themselves, and never keep the process alive.

    Args:
        deadline: Seconds to wait, 30 by default; 0 abandons at once, None waits
            for ever.

    Returns:
        What was abandoned; empty when all has ended in time.

    Raises:
        ConfigurationError: ``deadline`` is no number of seconds.
        LoopThreadError: No loop runs in this thread.
    """
    check_deadline(deadline)
    drain = begin_drain()
    await drain.wait(deadline)
    abandoned = drain.abandon()
    await current_portal().release()
    return abandoned


def _brings_requests(task: asyncio.Task[object]) -> bool:
    """Whether ``task`` serves a connection, and so each request that comes there."""
    name = getattr(task.get_coro(), "__qualname__", "")
    return name == HTTP1ServerConnection._server_request_loop.__qualname__


def _left_on(limiter: ExecutorLimiter) -> list[Offload]:
    """Return what waits or runs; also what a worker has just taken out of the line."""
    # First: a worker may take one out any moment.
    left = dict.fromkeys(limiter.all_waiting())
    for running in tuple(limiter.running):
        offload: Optional[Offload] = running
        while offload is not None:
            left[offload] = None
            offload = offload.successor
    return list(left)


def _describe(offload: Offload, executor: str) -> Abandoned:
    started = offload.state is not WAITING
    since = offload.started_at if started else offload.requested_at
    return Abandoned(
        offload.endpoint.name,
        executor,
        started,
        time.monotonic() - since,
        offload.stack(),
    )
