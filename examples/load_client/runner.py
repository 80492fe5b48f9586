"""One case after the other, in each one server after the other."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from examples.load_client.client import Outcome
from examples.load_client.crowd import GRACE, HEAD_START, Crowd
from examples.load_client.display import Progress
from examples.load_client.results import Tally
from examples.load_client.settings import FEW, Case, Settings, Way
from examples.order_service.interrupts import Interrupts
from examples.order_service.processes import Child, Children

SERVER = (sys.executable, "-m", "examples.load_client.server")


def measured(
    settings: Settings, interrupts: Interrupts, progress: Progress
) -> list[Tally]:
    """Start the clients and have them ask every server.

    Raises:
        DemoError: A process does not start or end.
    """
    tallies = []
    with tempfile.TemporaryDirectory(prefix="load_client_") as folder:
        with Children(Path(folder)) as children, progress:
            crowd = Crowd(children, max(case.clients for case in settings.cases))
            with interrupts.allowed():
                crowd.wait_until_ready()
            for case in settings.cases:
                progress.say(f"{case.title}:")
                for way in settings.ways:
                    tally = _measure(settings, case, way, crowd, interrupts, progress)
                    tallies.append(tally)
    return tallies


def _measure(
    settings: Settings,
    case: Case,
    way: Way,
    crowd: Crowd,
    interrupts: Interrupts,
    progress: Progress,
) -> Tally:
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="load_client_") as folder:
        with Children(Path(folder)) as children:
            server = _start(settings, case, way, children)
            with interrupts.allowed():
                port = int(server.first_line())
            with (
                progress.way(way.title, case.clients) as one_more,
                interrupts.allowed(),
            ):
                begun = time.monotonic()
                for seen in crowd.run(case, port):
                    outcomes += seen
                    one_more()
                seconds = time.monotonic() - begun - HEAD_START
            server.finish(GRACE)
    tally = Tally(case, way, outcomes, seconds)
    progress.ended(tally)
    return tally


def _start(settings: Settings, case: Case, way: Way, children: Children) -> Child:
    workers = case.few if way == FEW else case.workers
    size = ["--workers", str(workers), "--processes", str(settings.processes)]
    return children.start(
        "server", [*SERVER, "--way", way.name, "--body", str(case.body), *size]
    )
