"""One case after the other, in each one server after the other."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Child, Children
from benchmarks.harness.terminal import Bars
from benchmarks.harness.variant import Variant
from benchmarks.stories.load_client.client import Outcome
from benchmarks.stories.load_client.crowd import GRACE, HEAD_START, Crowd
from benchmarks.stories.load_client.results import Tally, sentence
from benchmarks.stories.load_client.settings import FEW, Case, Settings

SERVER = (sys.executable, "-m", "benchmarks.stories.load_client.service")


def measured(
    settings: Settings, interrupts: Interrupts, console: Console
) -> list[Tally]:
    """Start the clients and have them ask every server.

    Raises:
        DemoError: A process does not start or end.
    """
    tallies = []
    with tempfile.TemporaryDirectory(prefix="load_client_") as folder:
        bars = Bars(console, "clients done")
        with Children(Path(folder)) as children, bars as progress:
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
    way: Variant,
    crowd: Crowd,
    interrupts: Interrupts,
    progress: Bars,
) -> Tally:
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="load_client_") as folder:
        with Children(Path(folder)) as children:
            server = _start(settings, case, way, children)
            with interrupts.allowed():
                port = int(server.next_line())
            with (
                progress.bar(way.title, case.clients) as show,
                interrupts.allowed(),
            ):
                begun = time.monotonic()
                for number, seen in enumerate(crowd.run(case, port), 1):
                    outcomes += seen
                    show(number, "")
                seconds = time.monotonic() - begun - HEAD_START
            server.finish(GRACE)
    tally = Tally(case, way, outcomes, seconds)
    progress.say(f"  {way.title}: {sentence(tally)}")
    return tally


def _start(settings: Settings, case: Case, way: Variant, children: Children) -> Child:
    workers = case.few if way == FEW else case.workers
    size = ["--workers", str(workers), "--processes", str(settings.processes)]
    return children.start(
        "server", [*SERVER, "--way", way.name, "--body", str(case.body), *size]
    )
