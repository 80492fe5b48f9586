"""Jobs that processes find: at the top of a module."""

from __future__ import annotations

import os

from tornado_unblock.jobs import Jobs

app = Jobs("computed")


@app.job
def process(n: int) -> list[int]:
    """Say who has done it."""
    return [n, os.getpid()]


@app.job
def hold(gate: str) -> None:
    """Wait until somebody opens a pipe, writes and closes it."""
    with open(gate) as pipe:
        pipe.read()
