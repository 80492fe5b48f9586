"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from examples.cpu_bodies.variants import VARIANTS, Variant

QUICK_SECONDS = 3.0


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    Attributes:
        seconds: How long each variant is measured.
        connections: How many clients ask for the total at once.
        body: Seconds that one core of this machine computes for it.
        variants: What is measured, in this order; the first one is compared with.
        json: The JSON file to write, if any.
        command: What was typed, without the JSON file.
    """

    seconds: float = 20.0
    connections: int = 4
    body: float = 0.2
    variants: tuple[Variant, ...] = VARIANTS
    json: Path | None = None
    command: str = "python -m examples.cpu_bodies"
