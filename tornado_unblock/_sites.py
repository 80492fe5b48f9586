"""Where an offload runs, and the limiter that stands before it.

# Threads: the loop thread only: limiters are kept per loop, and hold no lock.
"""

from __future__ import annotations

import concurrent.futures
from typing import NamedTuple, Optional

from tornado_unblock._executors import options_of
from tornado_unblock._limiter import Limiter, Route
from tornado_unblock._portal import Portal


class Site(NamedTuple):
    """Where an offload runs, and as what; the same for many of them."""

    executor: concurrent.futures.Executor
    limiter: Limiter
    route: Route
    timeout: Optional[float]


def site(
    portal: Portal,
    executor: concurrent.futures.Executor,
    route: str,
    timeout: Optional[float],
) -> Site:
    """Return the site of ``route`` on the portal's loop; loop thread only.

    Args:
        portal: The way to the loop.
        executor: Where it runs.
        route: What errors and statistics call it.
        timeout: Seconds it may run; None means the executor's timeout.
    """
    limiter = _limiter_for(portal, executor)
    if timeout is None:
        timeout = options_of(executor).timeout
    return Site(executor, limiter, limiter.route(route), timeout)


def _limiter_for(portal: Portal, executor: concurrent.futures.Executor) -> Limiter:
    limiter: Optional[Limiter] = portal.locals.get(executor)
    if limiter is None:
        options = options_of(executor)
        limiter = portal.locals[executor] = Limiter(
            options.max_workers, options.max_waiting, options.max_route_share
        )
    return limiter
