"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from examples.order_service.stages import STAGES, Stage


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    Attributes:
        database: The database's URL; None for an SQLite file of the run's own.
        seconds: How long each stage is measured.
        connections: How many clients ask at once.
        delay: Seconds that the logistics API takes to answer.
        load: What makes the requests: "wrk" or "aiohttp".
        stages: What is measured, in this order.
        chart: The SVG file to write.
        json: The JSON file to write, if any.
        command: What was typed to get here.
    """

    database: str | None = None
    seconds: int = 10
    connections: int = 20
    delay: float = 0.3
    load: str = "aiohttp"
    stages: tuple[Stage, ...] = STAGES
    chart: Path = Path("build/order_service.svg")
    json: Path | None = None
    command: str = "python -m examples.order_service"
