"""Start the two server processes that a stage needs."""

from __future__ import annotations

import sys
from pathlib import Path

from examples.order_service.database import Database
from examples.order_service.processes import Child, Children
from examples.order_service.stages import Stage

PYTHON = (sys.executable, "-m")


def start_logistics(children: Children, delay: float) -> Child:
    """Start the logistics API, which takes `delay` seconds to answer."""
    command = [*PYTHON, "examples.order_service.logistics", "--delay", str(delay)]
    return children.start("logistics", command)


def start_service(
    children: Children, stage: Stage, database: Database, logistics: str, log: Path
) -> Child:
    """Start `stage`; `logistics` is the API's address, `log` the file it logs to."""
    command = [*PYTHON, "examples.order_service.service", "--stage", stage.name]
    command += ["--prefix", database.prefix, "--log", str(log)]
    command += ["--logistics", f"{logistics}/track"]
    return children.start("service", command, DATABASE=database.url)


def address(server: Child) -> str:
    """Wait until `server` listens, and return where.

    Raises:
        DemoError: It did not start.
    """
    return f"http://127.0.0.1:{server.first_line()}"
