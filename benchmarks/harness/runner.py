"""Measure the scenarios: rounds, in each of which the contenders take turns."""

# Threads: one.
#
# Guarantees:
# - in each round another contender begins, and all of them come;
# - a cell whose requests did not all succeed is named, and not measured again;
# - the servers are stopped whatever happens.

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Callable, TextIO

from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.kinds import RefusedError, Scenario
from benchmarks.harness.processes import Children
from benchmarks.harness.results import Results
from benchmarks.harness.servers import Command, Servers, Setup

World = Callable[[Path, Interrupts], "AbstractContextManager[dict[str, str]]"]
ROUNDS, QUICK_ROUNDS = 7, 3
START = 1.0  # and to start a server and warm it up


@dataclass(frozen=True)
class Plan:
    """What a run is asked for.

    Attributes:
        scenarios: What to measure.
        contenders: For whom.
        rounds: How often; 0: as often as usual.
        quick: Whether it must be quick.
        everyone: Whether all take part in all nevertheless.
    """

    scenarios: tuple[Scenario, ...]
    contenders: tuple[str, ...]
    rounds: int = 0
    quick: bool = False
    everyone: bool = False

    def taking_part(self, scenario: Scenario) -> list[str]:
        """Return who of the contenders takes part in it."""
        if self.quick and not self.everyone:
            if scenario.only_full:
                return []
            names = scenario.quick or scenario.contenders
        else:
            names = scenario.contenders
        return [name for name in names if name in self.contenders]

    def rounds_of(self, scenario: Scenario) -> int:
        """Return how often it is measured."""
        if scenario.gate:
            return 1
        if self.rounds:
            return self.rounds
        if self.quick:
            return scenario.quick_rounds or QUICK_ROUNDS
        return scenario.rounds or ROUNDS

    def seconds(self) -> float:
        """Return about how long it all takes."""
        total = 0.0
        for scenario in self.scenarios:
            turn = scenario.turn(self.quick)
            count = len(self.taking_part(scenario))
            total += count * (self.rounds_of(scenario) * turn + START)
        return total


class Progress:
    """A line for each round, on standard error.

    Args:
        plan: What is to come.
        out: Where to show it.
    """

    def __init__(self, plan: Plan, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._begun = time.monotonic()
        self._expected = plan.seconds()
        self._done = 0.0
        self._said = 0.0

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._out, flush=True)

    def step(self, seconds: float) -> None:
        """Note that so much of what was expected is done."""
        self._done += seconds

    def round(self, scenario: Scenario, number: int, rounds: int) -> None:
        """Say which round of what is done, and how long the rest may take.

        Rounds that follow within a second are passed over, but for the last.
        """
        gone = time.monotonic() - self._begun
        if gone - self._said < 1.0 and number < rounds:
            return
        self._said = gone
        left = (self._expected - self._done) * max(1.0, gone / (self._done or 1.0))
        self.say(
            f"[{gone / 60:5.1f} min, about {max(0.0, left) / 60:.1f} to go] "
            f"{scenario.title}: round {number} of {rounds}"
        )


class Runner:
    """Measure one plan.

    Args:
        plan: What to measure.
        interrupts: What lets Ctrl-C through while there is nothing to do but wait.
        command: What starts a contender; see `Servers`.
        world: Provides the environment of those who need what real bodies ask.
        progress: Where to show how far it is.
        results: Where the figures go.
    """

    def __init__(
        self,
        plan: Plan,
        interrupts: Interrupts,
        command: Command,
        world: World,
        progress: Progress,
        results: Results,
    ) -> None:
        self._plan = plan
        self._interrupts = interrupts
        self._command = command
        self._world = world
        self._progress = progress
        self._results = results
        self._refused: dict[str, str] = {}  # by a gate

    def run(self) -> None:
        """Measure all scenarios."""
        with tempfile.TemporaryDirectory(prefix="benchmarks_") as folder:
            groups = groupby(self._plan.scenarios, key=lambda one: one.setup)
            for number, (setup, scenarios) in enumerate(groups):
                self._run_setup(Path(folder) / str(number), setup, list(scenarios))

    def _run_setup(
        self, folder: Path, setup: Setup, scenarios: Sequence[Scenario]
    ) -> None:
        with contextlib.ExitStack() as stack:
            environment = {}
            if setup.world:
                self._progress.say("Filling the tables that real bodies ask.")
                block = self._world(folder / "world", self._interrupts)
                environment = stack.enter_context(block)
            children = stack.enter_context(Children(folder))
            servers = Servers(
                children, self._interrupts, setup, self._command, environment
            )
            self._run_group(servers, scenarios, environment)

    def _run_group(
        self,
        servers: Servers,
        scenarios: Iterable[Scenario],
        environment: Mapping[str, str],
    ) -> None:
        for scenario in scenarios:
            missing = [name for name in scenario.needs if name not in environment]
            if missing:
                self._progress.say(
                    f"Not measured: {scenario.title}. What it asks does not answer."
                )
                continue
            names = self._warm(servers, scenario)
            rounds = self._plan.rounds_of(scenario)
            for number in range(rounds):
                for name in rotated(names, number):
                    self._measure(servers, scenario, name)
                self._progress.round(scenario, number + 1, rounds)

    def _warm(self, servers: Servers, scenario: Scenario) -> list[str]:
        """Return who is ready."""
        names = []
        for name in self._plan.taking_part(scenario):
            self._progress.step(START)
            if name in self._refused:
                self._results.cell(scenario.name, name).problem = self._refused[name]
                continue
            try:
                scenario.warm_up(servers, name)
                names.append(name)
            except DemoError as error:
                self._refuse(scenario, name, str(error))
        return names

    def _measure(self, servers: Servers, scenario: Scenario, name: str) -> None:
        cell = self._results.cell(scenario.name, name)
        if cell.problem:
            return
        self._progress.step(scenario.turn(self._plan.quick))
        try:
            with self._interrupts.allowed():
                cell.rounds.append(scenario.measure(servers, name, self._plan.quick))
        except (RefusedError, DemoError) as error:
            self._refuse(scenario, name, str(error))

    def _refuse(self, scenario: Scenario, name: str, problem: str) -> None:
        self._results.cell(scenario.name, name).problem = problem
        if scenario.gate:
            self._refused[name] = problem
        self._progress.say(f"No number for {name} in {scenario.name}: {problem}")


def rotated(names: Sequence[str], by: int) -> list[str]:
    """Return the names, with another one first in each round."""
    begin = by % len(names) if names else 0
    return [*names[begin:], *names[:begin]]
