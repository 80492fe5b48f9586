"""Stalls added up, by endpoint and place; and as JSON, for other programs.

# Threads: the watcher counts; any thread reads. Guarded by `_lock`.
# Guarantees:
# - every stall is counted once;
# - no more than `MOST` pairs of endpoint and place are kept apart; what comes then is
#   counted under `OTHERS`;
# - who reads a file that is written here never sees half of it.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Optional

from tornado_unblock._limits.counts import BOUNDS, Times
from tornado_unblock._limits.statistics import Histogram
from tornado_unblock._stalls.records import Place, Stall, StallStatistics

MOST = 1000
OTHERS = "(others)"

Key = tuple[str, str, int]
"""Endpoint, file, line."""


class _Counts:
    __slots__ = ("latest", "longest", "times")

    def __init__(self, latest: Stall) -> None:
        self.latest = latest
        self.longest = 0.0
        self.times = Times()


class StallCounts:
    """All stalls of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Key, _Counts] = {}

    def add(self, stall: Stall) -> None:
        """Count ``stall``, which is over; any thread."""
        with self._lock:
            key = key_of(stall)
            if key not in self._kept and len(self._kept) >= MOST:
                key = (OTHERS, "", 0)
            counts = self._kept.setdefault(key, _Counts(stall))
            counts.latest = stall
            counts.longest = max(counts.longest, stall.seconds)
            counts.times.counts[bisect_left(BOUNDS, stall.seconds)] += 1
            counts.times.seconds += stall.seconds

    def get(self) -> tuple[StallStatistics, ...]:
        """Return them, those that took longest in all first; any thread."""
        with self._lock:
            rows = [_row(key, counts) for key, counts in self._kept.items()]
        return tuple(sorted(rows, key=lambda row: row.total, reverse=True))

    def clear(self) -> None:
        """Begin anew; any thread."""
        with self._lock:
            self._kept.clear()

    def after_fork(self) -> None:
        """Begin anew, in a forked child, where whoever held the lock is gone."""
        self._lock = threading.Lock()
        self.clear()


def key_of(stall: Stall) -> Key:
    """Return under what ``stall`` is counted, and logged."""
    place = stall.place
    return (stall.endpoint, place.file if place else "", place.line if place else 0)


def _row(key: Key, counts: _Counts) -> StallStatistics:
    latest, others = counts.latest, key[0] == OTHERS
    place: Optional[Place] = None if others else latest.place
    histogram = histogram_of(counts.times)
    return StallStatistics(
        endpoint=key[0],
        kind="" if others else latest.kind,
        cause="" if others else latest.cause,
        place=place,
        advice="" if others else latest.advice,
        count=histogram.count,
        total=histogram.seconds,
        longest=counts.longest,
        histogram=histogram,
    )


def histogram_of(times: Times) -> Histogram:
    """Return the filled histogram as a value."""
    buckets, reached = [], 0
    for bound, count in zip((*BOUNDS, math.inf), times.counts):
        reached += count
        buckets.append((bound, reached))
    return Histogram(tuple(buckets), times.seconds)


# -- for other programs ---------------------------------------------------------------


def rows(stalls: Iterable[StallStatistics]) -> list[dict[str, Any]]:
    """Return ``stalls`` as plain values, in the same order."""
    return [
        {
            "endpoint": stall.endpoint,
            "file": os.path.abspath(stall.place.file) if stall.place else "",
            "line": stall.place.line if stall.place else 0,
            "function": stall.place.function if stall.place else "",
            "count": stall.count,
            "total": round(stall.total, 6),
            "longest": round(stall.longest, 6),
            "kind": stall.kind,
            "cause": stall.cause,
        }
        for stall in stalls
    ]


def to_json(stalls: Iterable[StallStatistics]) -> str:
    """Return ``stalls`` as JSON: a list of objects, one for each."""
    return json.dumps(rows(stalls), indent=2) + "\n"


def write(stalls: Iterable[StallStatistics], path: str) -> None:
    """Write them to ``path``, so that a reader never sees half of it.

    Raises:
        OSError: It cannot be written.
    """
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(to_json(stalls))
    try:
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError:
        os.unlink(file.name)
        raise
