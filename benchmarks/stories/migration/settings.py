"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import command
from benchmarks.stories.migration.steps import STEPS, Step


@dataclass(frozen=True)
class Settings(command.Settings):
    """The options of a run.

    Attributes:
        seconds: How long each step is measured.
        connections: How many clients book at once.
        delay: Seconds that the partner takes to answer.
        steps: What is measured, in this order; the first one is compared with.
    """

    seconds: float = 10.0
    connections: int = 100
    delay: float = 0.3
    steps: tuple[Step, ...] = STEPS
