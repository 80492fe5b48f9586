"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

QUICK_SCALE = 0.1


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    Attributes:
        checker: "auto", "stand-in", or the URL of a MySQL server.
        scale: What all the checker's seconds are multiplied by.
        json: The JSON file to write, if any.
        command: What was typed, without the JSON file.
    """

    checker: str = "auto"
    scale: float = 1.0
    json: Path | None = None
    command: str = "python -m examples.sql_review"

    @property
    def seconds(self) -> dict[str, float]:
        """How long the checker takes for each task."""
        return {"check": 2 * self.scale, "space": 2 * self.scale, "execute": 0.0}

    @property
    def patience(self) -> float:
        """How long the clients wait before they give up, in seconds."""
        return max(2.0, 40 * self.scale)
