"""How much computing takes how long on a core of this machine."""

from __future__ import annotations

import time
from typing import Callable

TRIAL = 100_000  # steps; some milliseconds
TRIALS = 20


def steps_for(seconds: float, compute: Callable[[int], object]) -> int:
    """Return how many steps of `compute` take so long.

    The fastest of some trials counts: the others had to share their core.
    """
    fastest = min(_trial(compute) for _ in range(TRIALS))
    return max(1, int(TRIAL * seconds / fastest))


def _trial(compute: Callable[[int], object]) -> float:
    begun = time.perf_counter()
    compute(TRIAL)
    return time.perf_counter() - begun
