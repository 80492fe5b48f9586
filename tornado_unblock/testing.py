"""For the tests of code that uses this library."""

from __future__ import annotations

from tornado_unblock._executors import forget_executors
from tornado_unblock._portal import forget_locals
from tornado_unblock._statistics import forget_statistics

__all__ = ["reset"]


def reset() -> None:
    """Forget every executor and its options, and wait for their threads to end.

    Call it between tests, when no body runs, from any thread but a worker.
    """
    forget_locals()
    forget_executors()
    forget_statistics()
