"""Measure one variant after another, each in a server process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import aiohttp
from rich.console import Console

from benchmarks.harness import client, neighbour
from benchmarks.harness.computing import steps_for
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.figures import duration
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.neighbour import Measured
from benchmarks.harness.processes import Child, Children, address
from benchmarks.harness.terminal import printer
from benchmarks.harness.variant import Variant
from benchmarks.stories.cpu_bodies.settings import INLINE, Settings
from examples.cpu_bodies.work import add_up

GRACE = 30.0  # seconds that a service may take to leave
Say = Callable[[str], None]
SERVICE = (sys.executable, "-m", "benchmarks.stories.cpu_bodies.service")


@dataclass(frozen=True)
class Run:
    """A whole run.

    Attributes:
        alone: The neighbour of a body that is not asked for.
        results: What was measured, by variant, in the order of measuring.
    """

    alone: Measured
    results: dict[Variant, Measured]


def measured(settings: Settings, interrupts: Interrupts, console: Console) -> Run:
    """Set everything up, measure, and clean everything up.

    Raises:
        DemoError: Something is missing, or does not work.
    """
    say = printer(console)
    for variant in settings.variants:
        if not variant.installed():
            raise SetupError(
                f"The variant {variant.name} needs {variant.needs}, which is not "
                "installed: pip install 'tornado-unblock[examples]', or choose "
                "--variants without it"
            )
    with tempfile.TemporaryDirectory(prefix="cpu_bodies_") as name:
        runner = Runner(settings, interrupts, Path(name), say)
        say(
            f"{settings.connections} connections ask for what takes "
            f"{duration(settings.body)} of computing; "
            f"{neighbour.PINGS_PER_SECOND} pings a second beside them"
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
        self,
        settings: Settings,
        interrupts: Interrupts,
        folder: Path,
        say: Say,
    ) -> None:
        self._settings = settings
        self._interrupts = interrupts
        self._folder = folder
        self._say = say
        self._steps = steps_for(settings.body, add_up)
        self._total = add_up(self._steps)

    def alone(self) -> Measured:
        """Measure the neighbour with nothing beside it."""
        with self._started(INLINE, self._folder / "alone") as url:
            with self._interrupts.allowed():
                result = Measured(
                    asyncio.run(neighbour.ping(url, self._settings.seconds / 2))
                )
        self._say(f"nothing to compute: {outcome(result)}")
        return result

    def loaded(self, variant: Variant) -> Measured:
        """Measure the neighbour of `variant` under load."""
        connections, seconds = self._settings.connections, self._settings.seconds
        with self._started(variant, self._folder / variant.name) as url:
            with self._interrupts.allowed():
                result = asyncio.run(loaded(url, connections, seconds))
        self._say(f"{variant.title}: {outcome(result)}")
        return result

    @contextlib.contextmanager
    def _started(self, variant: Variant, folder: Path) -> Iterator[str]:
        command = [*SERVICE, "--variant", variant.name, "--steps", str(self._steps)]
        with Children(folder) as children:
            child = children.start("service", command)
            try:
                with self._interrupts.allowed():
                    url = address(child)
                    self._check_totals(variant, child, url)
                yield url
            finally:
                # With its input it ends in good order, and its processes with it.
                child.finish(GRACE)

    def _check_totals(self, variant: Variant, child: Child, url: str) -> None:
        """Ask until all workers have started; all must come to the same total."""
        try:
            found = asyncio.run(totals(url, self._settings.connections))
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


async def loaded(url: str, connections: int, seconds: float) -> Measured:
    """Keep `connections` clients asking for the total, and ping meanwhile."""
    asked = client.load(itertools.repeat(f"{url}/total"), connections, seconds)
    return await neighbour.beside(url, seconds, asked)


async def totals(url: str, count: int) -> set[object]:
    """Ask for the total `count` times at once, and return the different answers."""
    async with aiohttp.ClientSession(url, timeout=client.TIMEOUT) as session:
        return set(await asyncio.gather(*(_total(session) for _ in range(count))))


async def _total(session: aiohttp.ClientSession) -> object:
    async with session.get("/total") as response:
        if response.status != 200:
            return f"status {response.status}"
        return (await response.json())["total"]


def outcome(result: Measured) -> str:
    """Say in a few words what came of it."""
    median, p99 = result.pings.quantile(0.5), result.pings.quantile(0.99)
    rate = f"; {result.load.rate:.1f} bodies/s" if result.load else ""
    return f"ping median {duration(median)}, p99 {duration(p99)}{rate}"
