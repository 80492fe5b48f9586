"""For the tests of code that uses this library."""

from __future__ import annotations

from tornado_unblock._executors.registry import forget_executors
from tornado_unblock._limits.statistics import forget_statistics
from tornado_unblock._loop.portal import forget_locals
from tornado_unblock._stalls.checks import no_stalls
from tornado_unblock._stalls.watching import forget_stalls
from tornado_unblock.shim._crossing.background import close_background
from tornado_unblock.status.server import stop_servers

__all__ = ["no_stalls", "reset"]


def reset(timeout: float = 5.0) -> None:
    """Forget every executor and its options, and wait for their threads to end.

    Status pages are served no more. A watch for stalls ends, and what it has found is
    forgotten. The loop that the process keeps for threads without one ends, too.

    Call it between tests, when no body runs, from any thread but a worker.

    Args:
        timeout: Seconds to wait for a worker whose body still runs; then it is
            left to itself.
    """
    stop_servers()
    forget_stalls()
    close_background(timeout)
    forget_locals()
    forget_executors(timeout)
    forget_statistics()
