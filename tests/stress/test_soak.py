"""Chaos for as long as it takes to see what grows."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from tests.chaos import Chaos
from tornado_unblock import statistics

# The first rounds fill caches and pools.
FEWEST_ROUNDS = 6
PER_ROUND = 500
# What the allocator keeps varies from round to round; a leak of a few kilobytes for
# each request is far above it.
ALLOWED_GROWTH = 20_000_000


def resident() -> int:
    """Return the bytes of memory this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.quick
def test_soak(capsys, seed, go_on):
    """Round after round: one response each, tokens at zero, memory flat."""
    sizes, threads = [], []
    with capsys.disabled():
        chaos = Chaos(seed)
    try:
        while go_on() or len(sizes) < FEWEST_ROUNDS:
            chaos.run(PER_ROUND)
            chaos.settle()
            gc.collect()
            sizes.append(resident())
            threads.append(threading.active_count())
    finally:
        chaos.close()
    endpoints = statistics()["default"].endpoints.values()
    with capsys.disabled():
        print(f"{sum(r.completed for r in endpoints)} bodies; MB by round:")
        print(*(f"{size / 1e6:.0f}" for size in sizes))
    assert max(threads) < 80
    assert sizes[-1] - sizes[len(sizes) // 3] < ALLOWED_GROWTH
