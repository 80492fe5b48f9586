"""The published account of such a service, and how a run compares with it.

Its figures: 20 connections, an order from MySQL and two calls that take about 0.45 s
and 1 s. They are not ours and not from this machine: compare the gains, not the rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness.story import Check, Published
from benchmarks.harness.variant import Variant
from benchmarks.stories.order_service.results import StageResult
from benchmarks.stories.order_service.settings import STAGES, Settings

ONE_LINE_GAIN = 15
WHOLE_GAIN = 50
CONNECTIONS, DELAY = 20, 0.1  # what the two gains above are about
ABOUT = (
    "Times the orders, beside those of a published account of such a service, on "
    "MySQL and on another machine: compare the gains, not the rates"
)


@dataclass(frozen=True)
class Figures:
    """One step of the account.

    Attributes:
        step: What had been done by then.
        rate: Requests per second.
        mean: Mean latency in seconds.
        max: Longest latency in seconds.
    """

    step: str
    rate: float
    mean: float
    max: float


FIRST = Figures("as written", 3.2, 3.125, 8.237)
# By the position of the stage that does the same; it has no `@unblock` line, and
# nothing after the hidden blocking.
STEPS = {
    0: FIRST,
    2: Figures("async rewrite", 18.5, 1.082, 2.513),
    3: Figures("connection pool and cache", 87.3, 0.228, 0.834),
    4: Figures("hidden blocking removed", 152.4, 0.131, 0.412),
}


def figures(stage: Variant) -> Figures | None:
    """Return the step of the account that corresponds to a stage, if there is one."""
    return STEPS.get(STAGES.index(stage)) if stage in STAGES else None


def published() -> list[Published]:
    """Return all of the account's figures, as text."""
    return [
        Published(
            step.step,
            f"{step.rate} requests/s, mean {step.mean * 1000:,.0f} ms, "
            f"max {step.max * 1000:,.0f} ms",
        )
        for step in STEPS.values()
    ]


def checks(results: Sequence[StageResult], settings: Settings) -> list[Check]:
    """Return what should have been gained, as far as this run can tell."""
    rates = {result.stage: result.load.rate for result in results}
    if settings.connections < CONNECTIONS or settings.delay < DELAY:
        return []
    wanted = [(STAGES[1], ONE_LINE_GAIN)]
    if len(STAGES) > 2:
        wanted.append((STAGES[-1], WHOLE_GAIN))
    first = rates.get(STAGES[0])
    return [
        Check(
            f"{stage.title}: {rates[stage] / first:.0f} times the orders per second of "
            f"{STAGES[0].title} (at least {least} expected)",
            rates[stage] >= least * first,
            timed=True,
        )
        for stage, least in wanted
        if first and stage in rates
    ]
