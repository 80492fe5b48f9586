"""Computing in pure Python: it holds the interpreter lock from beginning to end."""

from __future__ import annotations


def add_up(steps: int) -> int:
    """Compute for as long as `steps` take."""
    total = 0
    for step in range(steps):
        total = (total * 31 + step) % 1_000_003
    return total
