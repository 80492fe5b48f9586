"""The last ten minutes of a few figures, for the page's small charts.

# Threads: the thread of the loop that serves the page.
# Guarantees: what is kept is bounded by the number of loops and executors there are.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Optional

from tornado_unblock.status.snapshot import Figures, Loop

#: Seconds between two points, and how many points are kept: ten minutes.
INTERVAL = 5.0
POINTS = 120
# Of less time than this no rate is made; in seconds.
FRESH = 1.0

Series = tuple[Optional[float], ...]
"""Figures in order, the latest last; None where nothing was known."""
Key = tuple[str, str]
"""What is measured, and of which loop or executor."""


class History:
    """Keeps points, and makes rates of sums."""

    def __init__(self) -> None:
        self._series: dict[Key, collections.deque[Optional[float]]] = {}
        self._loops: dict[str, Loop] = {}
        self._completed: Mapping[str, int] = {}
        self._at: Optional[float] = None

    def add(self, figures: Figures) -> None:
        """Add a point of each series; once in `INTERVAL`."""
        points: dict[Key, Optional[float]] = {}
        for loop in figures.loops:
            before = self._loops.get(loop.name)
            points["utilization", loop.name] = _utilization(before, loop)
            points["lag", loop.name] = _lag(before, loop)
        passed = figures.taken_at - self._at if self._at is not None else 0.0
        for executor in figures.executors:
            name = executor.name
            points["borrowed", name] = executor.borrowed_tokens
            points["waiting", name] = executor.waiting
            more = figures.completed[name] - self._completed.get(name, 0)
            points["rate", name] = max(0, more) / passed if passed > 0 else None
        self._keep(points)
        self._loops = {loop.name: loop for loop in figures.loops}
        self._completed, self._at = figures.completed, figures.taken_at

    def _keep(self, points: dict[Key, Optional[float]]) -> None:
        for gone in self._series.keys() - points.keys():
            del self._series[gone]
        for key, point in points.items():
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = collections.deque(maxlen=POINTS)
            series.append(point)

    def of(self, what: str, name: str) -> Series:
        """Return a series.

        Args:
            what: ``utilization`` or ``lag`` of a loop; ``borrowed``, ``waiting`` or
                ``rate`` (bodies that end in a second) of an executor.
            name: Of which.
        """
        return tuple(self._series.get((what, name), ()))

    def utilization(self, loop: Loop) -> Optional[float]:
        """Return how busy the loop was since the last point."""
        known = self.of("utilization", loop.name)
        if known and not loop.stalled and self._is_fresh(loop):
            return known[-1]
        return _utilization(self._loops.get(loop.name), loop)

    def lag(self, loop: Loop) -> float:
        """Return what an event has waited since the last point, on average; seconds."""
        known = self.of("lag", loop.name)
        if known and known[-1] is not None and self._is_fresh(loop):
            return known[-1]
        return _lag(self._loops.get(loop.name), loop)

    def _is_fresh(self, loop: Loop) -> bool:
        """Whether the last point is so young that the time since tells little."""
        before = self._loops.get(loop.name)
        return before is not None and 0 <= loop.watched - before.watched < FRESH


def _utilization(before: Optional[Loop], now: Loop) -> Optional[float]:
    if now.stalled:  # what a turn takes is counted when it ends
        return 1.0
    if before is None or before.busy is None or now.busy is None:
        return now.utilization
    watched = now.watched - before.watched
    if watched <= 0:  # it is another loop of this name
        return now.utilization
    return min(1.0, max(0.0, now.busy - before.busy) / watched)


def _lag(before: Optional[Loop], now: Loop) -> float:
    if before is None or now.watched <= before.watched:
        return now.lag
    # Averages over all the time that a loop is watched, made one of the time since.
    waited = now.lag * now.watched - before.lag * before.watched
    return max(0.0, waited) / (now.watched - before.watched)
