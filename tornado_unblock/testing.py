"""For the tests of code that uses this library."""

from __future__ import annotations

from tornado_unblock._executors import forget_executors
from tornado_unblock._portal import forget_locals
from tornado_unblock._statistics import forget_statistics

__all__ = ["reset"]


def reset(timeout: float = 5.0) -> None:
    """Forget every executor and its options, and wait for their threads to end.

    Call it between tests, when no body runs, from any thread but a worker.

    Args:
        timeout: Seconds to wait for a worker whose body still runs; then it is
            left to itself.
    """
    forget_locals()
    forget_executors(timeout)
    forget_statistics()
