"""Put each variant under the three loads, in server processes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children
from benchmarks.harness.processes import address as address_of
from benchmarks.harness.terminal import printer
from benchmarks.harness.variant import Variant
from benchmarks.stories.sql_review import cases, checker
from benchmarks.stories.sql_review.cases import Measured, Say
from benchmarks.stories.sql_review.checker import Checker
from benchmarks.stories.sql_review.settings import VARIANTS, Settings

GRACE = 30.0  # seconds that a service may take to leave
SERVICE = (sys.executable, "-m", "benchmarks.stories.sql_review.service")


@dataclass(frozen=True)
class Run:
    """A whole run.

    Attributes:
        checker: The name and version of the checker.
        results: What was measured, by variant, in the order of measuring.
    """

    checker: str
    results: dict[Variant, Measured]


def measured(settings: Settings, interrupts: Interrupts, console: Console) -> Run:
    """Set everything up, measure, and clean everything up.

    Raises:
        DemoError: Something is missing, or does not work.
    """
    say = printer(console)
    with tempfile.TemporaryDirectory(prefix="sql_review_") as name:
        folder = Path(name)
        with Children(folder / "checker") as children:
            found = checker.find(settings.checker, children, interrupts)
            say(
                f"A check takes {settings.seconds['check']:g} s. Checker: {found.title}"
            )
            results = {
                variant: _measure(variant, found, settings, interrupts, folder, say)
                for variant in VARIANTS
            }
    return Run(found.title, results)


def _measure(
    variant: Variant,
    found: Checker,
    settings: Settings,
    interrupts: Interrupts,
    folder: Path,
    say: Say,
) -> Measured:
    def say_of_it(text: str) -> None:
        say(f"{variant.title}: {text}")

    with started(variant, found.url, settings, interrupts, folder) as url:
        with interrupts.allowed():
            return asyncio.run(cases.measure(url, settings, say_of_it))


@contextlib.contextmanager
def started(
    variant: Variant,
    checker_url: str,
    settings: Settings,
    interrupts: Interrupts,
    folder: Path,
) -> Iterator[str]:
    """Start `variant`, provide its address, and wait until all of it is gone.

    Raises:
        DemoError: It did not start, or does not do what it is there for.
    """
    options = ["--variant", variant.name, "--seconds", json.dumps(settings.seconds)]
    with Children(folder / variant.name) as children:
        child = children.start("service", [*SERVICE, *options], CHECKER=checker_url)
        try:
            with interrupts.allowed():
                address = address_of(child)
                if not asyncio.run(cases.gives_verdict(address)):
                    raise DemoError(
                        f"The variant {variant.title!r} does not give the checker's "
                        f"verdict.{child.complaint()}"
                    )
            yield address
        finally:
            # Its processes leave when their input ends. A signal would end only the
            # one that forked the others.
            child.finish(GRACE)
