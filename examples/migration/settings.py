"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from examples.migration.steps import STEPS, Step

QUICK_SECONDS, QUICK_CONNECTIONS = 3.0, 60


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    Attributes:
        seconds: How long each step is measured.
        connections: How many clients book at once.
        delay: Seconds that the partner takes to answer.
        steps: What is measured, in this order; the first one is compared with.
        json: The JSON file to write, if any.
        command: What was typed, without the JSON file.
    """

    seconds: float = 10.0
    connections: int = 100
    delay: float = 0.3
    steps: tuple[Step, ...] = STEPS
    json: Path | None = None
    command: str = "python -m examples.migration"
