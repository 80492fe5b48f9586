"""What a run is asked to do, and the stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import command
from benchmarks.harness.variant import Variant

_FOLDER = "examples.order_service.stages"
STAGES = tuple(
    Variant(name, title, _FOLDER)
    for name, title in (
        ("as_written", "as written"),
        ("unblocked", "one @unblock line"),
        ("dual_leaves", "dual leaves, two at once"),
        ("pooled", "pooled and cached"),
        ("no_hidden_blocking", "no hidden blocking"),
        ("native", "native async handler"),
    )
)


@dataclass(frozen=True)
class Settings(command.Settings):
    """The options of a run.

    Attributes:
        database: The database's URL; None for an SQLite file of the run's own.
        seconds: How long each stage is measured.
        connections: How many clients ask at once.
        delay: Seconds that the logistics API takes to answer.
        load: What makes the requests: "wrk" or "aiohttp".
        stages: What is measured, in this order.
        chart: The SVG file to write.
    """

    database: str | None = None
    seconds: int = 10
    connections: int = 20
    delay: float = 0.3
    load: str = "aiohttp"
    stages: tuple[Variant, ...] = STAGES
    chart: Path = Path("build/order_service.svg")
