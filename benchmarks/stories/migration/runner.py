"""Measure one step after another, each in server processes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from rich.console import Console

from benchmarks.harness.errors import DemoError
from benchmarks.harness.figures import duration
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.neighbour import Measured
from benchmarks.harness.processes import Children, address
from benchmarks.harness.terminal import printer
from benchmarks.stories.migration import calls, load, schema
from benchmarks.stories.migration.settings import Settings
from benchmarks.stories.migration.steps import Step

PYTHON = (sys.executable, "-m")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """A step that serves.

    Attributes:
        step: Which one.
        url: Where it serves.
        partner: Where its partner does.
        environment: What its scripts need to know.
    """

    step: Step
    url: str
    partner: str
    environment: dict[str, str]

    def outcome(self) -> tuple[list[bytes], str]:
        """Return all that this step must have in common with the others."""
        answered = calls.answers(self.url)
        return answered, calls.report(self.step, self.environment)


@contextlib.contextmanager
def started(step: Step, folder: Path, delay: float) -> Iterator[Running]:
    """Start `step` with a partner and a database of its own; stop it in the end.

    Raises:
        DemoError: One of them does not start.
    """
    with Children(folder) as children:
        database = folder / "tickets.sqlite"
        schema.create(database)
        command = [
            *PYTHON,
            "benchmarks.stories.migration.partner_api",
            "--delay",
            str(delay),
        ]
        partner = address(children.start("partner", command))
        environment = {"TICKETS_DATABASE": str(database), "TICKETS_PARTNER": partner}
        command = [*PYTHON, "benchmarks.stories.migration.service", "--step", step.name]
        service = children.start("service", command, **environment)
        yield Running(step, address(service), partner, environment)


def measured(
    settings: Settings, interrupts: Interrupts, console: Console
) -> dict[Step, Measured]:
    """Set everything up, measure, and clean everything up.

    Returns:
        What was measured, by step, in the order of measuring.

    Raises:
        DemoError: Something does not work, or the steps do not do the same.
    """
    say = printer(console)
    say(
        f"{settings.connections} clients book seats; the partner takes "
        f"{duration(settings.delay)} to answer"
    )
    with tempfile.TemporaryDirectory(prefix="migration_") as name:
        runner = Runner(settings, interrupts, Path(name), say)
        return {step: runner.measure(step) for step in settings.steps}


class Runner:
    """Measure the steps of one run.

    Args:
        settings: What to measure.
        interrupts: What lets Ctrl-C through while there is nothing to do but wait.
        folder: For databases and the processes' output.
        say: What takes a line of progress.
    """

    def __init__(
        self, settings: Settings, interrupts: Interrupts, folder: Path, say: Say
    ) -> None:
        self._settings = settings
        self._interrupts = interrupts
        self._folder = folder
        self._say = say
        self._expected: tuple[list[bytes], str] | None = None

    def measure(self, step: Step) -> Measured:
        """Ask `step` what all are asked, then measure it under load."""
        settings = self._settings
        with self._interrupts.allowed():
            with started(step, self._folder / step.name, settings.delay) as running:
                self._check(running)
                result = asyncio.run(
                    load.loaded(running.url, settings.connections, settings.seconds)
                )
        self._say(f"{step.title}: {outcome(result)}")
        return result

    def _check(self, running: Running) -> None:
        try:
            found = running.outcome()
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "")
            raise DemoError(f"{running.step.title}: {error} {said}") from error
        self._expected = self._expected or found
        if found != self._expected:
            raise DemoError(f"{running.step.title} does not answer as the first step")


def outcome(result: Measured) -> str:
    """Say in a few words what came of it."""
    return (
        f"{result.busy.rate:.1f} bookings/s, p99 {duration(result.busy.p99)}; "
        f"ping median {duration(result.pings.quantile(0.5))}, "
        f"p99 {duration(result.pings.quantile(0.99))}"
    )
