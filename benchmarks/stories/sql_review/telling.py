"""What came of a run: tables, charts, and whether it is what was promised."""

from __future__ import annotations

import math
from typing import Callable

from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.figures import duration
from benchmarks.harness.story import (
    Chart,
    Check,
    Published,
    Story,
    Table,
    passed,
    versions,
)
from benchmarks.harness.variant import Variant
from benchmarks.stories.sql_review.cases import (
    FEW_CHECKS,
    MANY_CHECKS,
    QUICK_CALLS,
    SLOW_CLIENTS,
    Measured,
)
from benchmarks.stories.sql_review.runner import Run
from benchmarks.stories.sql_review.settings import FORKED, INLINE, UNBLOCKED, Settings

PROBLEM = (
    "A work-order service has SQL checked by a server that speaks the MySQL protocol "
    "and takes seconds. While a handler waits for it, its process answers nobody: "
    "checks queue up, and quick calls queue up behind slow ones. Forked processes "
    "only make the queues shorter."
)
FIX = "One line, @unblock on the base class of the handlers."
ACCOUNT = (
    Published("three checks of 2 s at once, inline", "6.02 s"),
    Published("three checks of 2 s at once, fixed", "2.01 s"),
    Published("more checks than the 8 forked processes", "p99 of twice the work"),
    Published("37 quick calls while the space check is slow", "20 s instead of 0.2 s"),
)
PACKAGES = ("tornado", "PyMySQL", "aiohttp")

DIFF = (
    "diff examples/sql_review/variants/inline.py "
    "examples/sql_review/variants/unblocked.py"
)

# What a request costs beside the checker's seconds does not shrink with them.
OVERHEAD = 0.25  # seconds
QUICK_GOAL = 0.5  # seconds; as it is, whatever the scale
# Requests come a little apart, and a SLEEP may end a little early.
NEARLY = 0.9


def tell(run: Run, settings: Settings) -> Story:
    """Return the story of a run."""
    checks = _checks(run, settings)
    return Story(
        name="sql_review",
        title="SQL review: a checker that takes seconds",
        problem=PROBLEM,
        fix=FIX,
        account=ACCOUNT,
        tables=[_table(run, settings)],
        charts=_charts(run, settings),
        findings=[*map(str, checks), *_findings(run, settings)],
        commands=[settings.command, DIFF],
        versions={**versions(PACKAGES), "checker": run.checker},
        ok=passed(checks, settings.check),
    )


def seconds(value: float, settings: Settings) -> str:
    """Write a latency; one that never ended is longer than the patience."""
    if math.isinf(value):
        return f"> {duration(settings.patience)}"
    return duration(value)


def _table(run: Run, settings: Settings) -> Table:
    rows = [
        [
            variant.title,
            seconds(result.few.last, settings),
            seconds(result.many.quantile(0.5), settings),
            seconds(result.many.quantile(0.99), settings),
            f"{len(result.quick.after)} of {result.quick.asked}",
            seconds(result.quick.last, settings),
        ]
        for variant, result in run.results.items()
    ]
    work = duration(settings.seconds["check"])
    caption = (
        f"Checks and space checks of {work}; {QUICK_CALLS} quick calls, one after "
        f"the other, while {SLOW_CLIENTS} clients keep the space check busy"
    )
    columns = (
        "variant",
        f"{FEW_CHECKS} checks at once",
        f"{MANY_CHECKS} checks median",
        f"{MANY_CHECKS} checks p99",
        "quick calls answered",
        "last after",
    )
    return Table(caption, columns, rows)


def _charts(run: Run, settings: Settings) -> list[Chart]:
    def chart(title: str, find: Callable[[Measured], float]) -> Chart:
        shown = [
            Bar(
                variant.title,
                min(find(result), settings.patience),
                seconds(find(result), settings),
            )
            for variant, result in run.results.items()
        ]
        return Chart(title, bars(title, shown))

    return [
        chart(
            f"{FEW_CHECKS} checks at once: seconds until the last is answered",
            lambda result: result.few.last,
        ),
        chart(
            f"{MANY_CHECKS} checks at once: p99 in seconds",
            lambda result: result.many.quantile(0.99),
        ),
        chart(
            f"{QUICK_CALLS} quick calls beside slow ones: seconds until the last is "
            "answered",
            lambda result: result.quick.last,
        ),
    ]


def _checks(run: Run, settings: Settings) -> list[Check]:
    work = settings.seconds["check"]
    inline, forked, ours = (run.results[v] for v in (INLINE, FORKED, UNBLOCKED))
    goal = work + OVERHEAD
    wrong = sum(result.wrong for result in run.results.values())
    return [
        Check("no request was answered with an error or a wrong verdict", wrong == 0),
        Check(
            f"inline, {FEW_CHECKS} checks at once take {FEW_CHECKS} times the work",
            inline.few.complete and inline.few.last >= NEARLY * FEW_CHECKS * work,
            timed=True,
        ),
        Check(
            f"forked, the p99 of {MANY_CHECKS} checks is twice the work or more",
            forked.many.complete and forked.many.last >= NEARLY * 2 * work,
            timed=True,
        ),
        Check(
            f"unblocked, {FEW_CHECKS} checks at once take the work and at most "
            f"{duration(OVERHEAD)} more",
            ours.few.last <= goal,
            timed=True,
        ),
        Check(
            f"unblocked, so do {MANY_CHECKS}",
            ours.many.last <= goal,
            timed=True,
        ),
        Check(
            f"unblocked, {QUICK_CALLS} quick calls are answered within "
            f"{duration(QUICK_GOAL)} while the slow route is saturated",
            ours.quick.last <= QUICK_GOAL,
            timed=True,
        ),
    ]


def _findings(run: Run, settings: Settings) -> list[str]:
    def quick(variant: Variant) -> str:
        result = run.results[variant].quick
        answered = len(result.after)
        if result.complete:
            return f"all {answered} within {duration(result.last)}"
        return f"{answered} within {duration(settings.patience)}"

    return [
        f"Of {QUICK_CALLS} quick calls were answered: inline {quick(INLINE)}, by "
        f"forked processes {quick(FORKED)}, unblocked {quick(UNBLOCKED)}.",
        "Which process gets a connection is chance: with as many checks as processes, "
        "one may already have two of them, and another none.",
    ]
