"""Computing in pure Python: it holds the interpreter lock from beginning to end."""

from __future__ import annotations

import time

TRIAL = 100_000  # steps; some milliseconds
TRIALS = 20


def add_up(steps: int) -> int:
    """Compute for as long as `steps` take."""
    total = 0
    for step in range(steps):
        total = (total * 31 + step) % 1_000_003
    return total


def steps_for(seconds: float) -> int:
    """Return how many steps take so long on a core of this machine.

    The fastest of some trials counts: the others had to share their core.
    """
    return max(1, int(TRIAL * seconds / min(_trial() for _ in range(TRIALS))))


def _trial() -> float:
    begun = time.perf_counter()
    add_up(TRIAL)
    return time.perf_counter() - begun
