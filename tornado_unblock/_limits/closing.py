"""A shutdown under way, as those see it who ask for a worker.

# Threads: the loop thread only.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Optional, Protocol

from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal


class Request(Protocol):
    """A request that had a worker and is not over."""

    @property
    def task(self) -> Optional[asyncio.Task[object]]:
        """The task that serves it."""


class Closing(Protocol):
    """A shutdown that is under way."""

    def admits(self, nested: bool) -> bool:
        """Whether what asks now may have a worker; ``nested`` if a body asks."""

    def ended(self) -> None:
        """Something has ended; maybe it was the last."""


class LoopEnd:
    """What decides when one loop's work has ended."""

    __slots__ = ("between_hops", "closing")

    def __init__(self) -> None:
        self.closing: Optional[Closing] = None
        # Not a `weakref.WeakSet`: that takes four frames, and each request comes by.
        self.between_hops: set[weakref.ref[Request]] = set()


loop_end: PerLoop[LoopEnd] = PerLoop(LoopEnd)


def requests_between_hops(portal: Portal) -> set[weakref.ref[Request]]:
    """Return the requests that had a worker, and are not over; loop thread only."""
    return loop_end.of(portal).between_hops


def tell_closing(portal: Portal) -> None:
    """Say that something has ended, in case a shutdown waits for it."""
    closing = loop_end.of(portal).closing
    if closing is not None:
        closing.ended()
