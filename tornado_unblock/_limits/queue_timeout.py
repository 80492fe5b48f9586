"""Who has waited too long: one timer for all that wait before one executor.

# Threads: the loop thread only.
# Guarantees:
# - nobody is told before their time, and all soon after it;
# - what it costs does not depend on how many wait.
"""

from __future__ import annotations

import asyncio
import collections
import time
from typing import Callable, Optional, Protocol


class Queued(Protocol):
    """What does not wait for ever."""

    def give_up(self) -> None:
        """It has waited long enough."""


class QueueTimeouts:
    """Tells those that wait when they have waited for ``seconds``.

    All wait equally long, so who came first gives up first, and one timer for that one
    will do.

    Args:
        seconds: How long each waits.
        call_later: What starts a timer on the loop.
    """

    def __init__(
        self,
        seconds: float,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
    ) -> None:
        self.seconds = seconds
        self._call_later = call_later
        self._until: collections.OrderedDict[Queued, float] = collections.OrderedDict()
        # Not stopped when who it was started for leaves: it finds the next.
        self._timer: Optional[asyncio.TimerHandle] = None

    def add(self, waiter: Queued) -> None:
        """``waiter`` waits from now on."""
        self._until[waiter] = time.monotonic() + self.seconds
        if self._timer is None:
            self._timer = self._call_later(self.seconds, self._look)

    def discard(self, waiter: Queued) -> None:
        """``waiter`` does not wait any more, if it did."""
        self._until.pop(waiter, None)

    def _look(self) -> None:
        now = time.monotonic()
        self._timer = None
        while self._until:
            waiter, until = next(iter(self._until.items()))
            if until > now:
                self._timer = self._call_later(until - now, self._look)
                return
            del self._until[waiter]
            waiter.give_up()
