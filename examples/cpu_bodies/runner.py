"""Measure one variant after another, each in a server process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import aiohttp

from examples.cpu_bodies import meter
from examples.cpu_bodies.meter import Measured
from examples.cpu_bodies.settings import Settings
from examples.cpu_bodies.variants import INLINE, Variant
from examples.cpu_bodies.work import add_up, steps_for
from examples.order_service import servers
from examples.order_service.errors import DemoError, SetupError
from examples.order_service.interrupts import Interrupts
from examples.order_service.processes import Child, Children
from examples.order_service.results import duration

GRACE = 30.0  # seconds that a service may take to leave
SERVICE = (sys.executable, "-m", "examples.cpu_bodies.service")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A whole run.

    Attributes:
        alone: The neighbour of a body that is not asked for.
        results: What was measured, by variant, in the order of measuring.
    """

    alone: Measured
    results: dict[Variant, Measured]


def measured(settings: Settings, interrupts: Interrupts, say: Say) -> Run:
    """Set everything up, measure, and clean everything up.

    Raises:
        DemoError: Something is missing, or does not work.
    """
    for variant in settings.variants:
        if not variant.installed():
            raise SetupError(
                f"The variant {variant.name} needs {variant.package}, which is not "
                "installed: pip install 'tornado-unblock[examples]', or choose "
                "--variants without it"
            )
    with tempfile.TemporaryDirectory(prefix="cpu_bodies_") as name:
        runner = Runner(settings, interrupts, Path(name), say)
        say(
            f"{settings.connections} connections ask for what takes "
            f"{duration(settings.body)} of computing; {meter.PINGS_PER_SECOND} pings "
            "a second beside them"
        )
        return Run(
            runner.alone(),
            {variant: runner.loaded(variant) for variant in settings.variants},
        )


class Runner:
    """Measure the variants of one run.

    Args:
        settings: What to measure.
        interrupts: What lets Ctrl-C through while there is nothing to do but wait.
        folder: Where the processes' output goes.
        say: What takes a line of progress.
    """

    def __init__(
        self, settings: Settings, interrupts: Interrupts, folder: Path, say: Say
    ) -> None:
        self._settings = settings
        self._interrupts = interrupts
        self._folder = folder
        self._say = say
        self._steps = steps_for(settings.body)
        self._total = add_up(self._steps)

    def alone(self) -> Measured:
        """Measure the neighbour with nothing beside it."""
        with self._started(INLINE, self._folder / "alone") as url:
            with self._interrupts.allowed():
                result = asyncio.run(meter.alone(url, self._settings.seconds / 2))
        self._say(f"nothing to compute: {outcome(result)}")
        return result

    def loaded(self, variant: Variant) -> Measured:
        """Measure the neighbour of `variant` under load."""
        connections, seconds = self._settings.connections, self._settings.seconds
        with self._started(variant, self._folder / variant.name) as url:
            with self._interrupts.allowed():
                result = asyncio.run(meter.loaded(url, connections, seconds))
        self._say(f"{variant.title}: {outcome(result)}")
        return result

    @contextlib.contextmanager
    def _started(self, variant: Variant, folder: Path) -> Iterator[str]:
        command = [*SERVICE, "--variant", variant.name, "--steps", str(self._steps)]
        with Children(folder) as children:
            child = children.start("service", command)
            try:
                with self._interrupts.allowed():
                    url = servers.address(child)
                    self._check_totals(variant, child, url)
                yield url
            finally:
                # With its input it ends in good order, and its processes with it.
                child.finish(GRACE)

    def _check_totals(self, variant: Variant, child: Child, url: str) -> None:
        """Ask until all workers have started; all must come to the same total."""
        try:
            found = asyncio.run(meter.totals(url, self._settings.connections))
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise DemoError(
                f"The variant {variant.title!r} does not answer: {error}."
                f"{child.complaint()}"
            ) from error
        if found != {self._total}:
            raise DemoError(
                f"The variant {variant.title!r} answers {sorted(map(str, found))} "
                f"instead of {self._total}.{child.complaint()}"
            )


def outcome(result: Measured) -> str:
    """Say in a few words what came of it."""
    median, p99 = result.pings.quantile(0.5), result.pings.quantile(0.99)
    rate = f"; {result.load.rate:.1f} bodies/s" if result.load else ""
    return f"ping median {duration(median)}, p99 {duration(p99)}{rate}"
