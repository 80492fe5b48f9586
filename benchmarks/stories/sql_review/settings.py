"""What a run is asked to do, and the variants."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import command
from benchmarks.harness.variant import Variant

_FOLDER = "examples.sql_review.variants"
INLINE = Variant("inline", "inline", _FOLDER)
FORKED = Variant("forked", "8 forked processes", _FOLDER)
UNBLOCKED = Variant("unblocked", "one @unblock line", _FOLDER)
VARIANTS = (INLINE, FORKED, UNBLOCKED)


@dataclass(frozen=True)
class Settings(command.Settings):
    """The options of a run.

    Attributes:
        checker: "auto", "stand-in", or the URL of a MySQL server.
        scale: What all the checker's seconds are multiplied by.
    """

    checker: str = "auto"
    scale: float = 1.0

    @property
    def seconds(self) -> dict[str, float]:
        """How long the checker takes for each task."""
        return {"check": 2 * self.scale, "space": 2 * self.scale, "execute": 0.0}

    @property
    def patience(self) -> float:
        """How long the clients wait before they give up, in seconds."""
        return max(2.0, 40 * self.scale)
