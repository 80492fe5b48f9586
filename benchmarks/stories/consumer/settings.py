"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import command


@dataclass(frozen=True)
class Settings(command.Settings):
    """The options of a run.

    Attributes:
        requests: How many are sent; each asks for a job.
        workers: How many jobs run at a time.
        connections: How many clients send them.
    """

    requests: int = 1000
    workers: int = 20
    connections: int = 20
