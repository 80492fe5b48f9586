"""What is measured: each scenario, and who takes part in it."""

from __future__ import annotations

from benchmarks.contenders import CONTENDERS
from benchmarks.harness.kinds import Sanity, Scenario
from benchmarks.scenarios.bodies import BODIES
from benchmarks.scenarios.hop import HOP

GATE = Sanity(
    "sanity",
    "each server, and the same started by its command alone",
    tuple(contender.name for contender in CONTENDERS),
    gate=True,
    chart=False,
    absolute=True,
    shown="one",
)
SCENARIOS: tuple[Scenario, ...] = (GATE, *BODIES, *HOP)


def scenario_named(name: str) -> Scenario:
    """Return the scenario called `name`.

    Raises:
        KeyError: There is none.
    """
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
