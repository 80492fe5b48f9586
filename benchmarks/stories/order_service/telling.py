"""What is left of a run: tables, a sentence, charts, and numbers for the JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.figures import duration
from benchmarks.harness.story import Chart, Story, Table, passed
from benchmarks.harness.story import versions as of_packages
from benchmarks.harness.terminal import writing
from benchmarks.stories.order_service import account, results
from benchmarks.stories.order_service.load import version
from benchmarks.stories.order_service.results import Run, StageResult
from benchmarks.stories.order_service.settings import Settings

PACKAGES = ("tornado", "requests", "PyMySQL", "psycopg2-binary")
PROBLEM = (
    "Each order waits for a database, for a logistics API, now and then for a retry, "
    "and for two files. In a plain handler the whole service waits with it: one order "
    "at a time, however many ask, and a ping that needs nothing waits in the queue."
)
FIX = (
    "One @unblock line before the handler. What is left to gain after it, the later "
    "stages collect one by one."
)
COLUMNS = ("orders/s", "mean", "p99", "max", "success", "ping median", "ping max")
ACCOUNT_COLUMNS = (
    *("orders/s", "of stage before", "of first stage"),
    *("theirs: orders/s", "of their first", "mean", "max"),
)


def tell(run: Run, settings: Settings) -> Story:
    """Return the run as a story; its chart has been written meanwhile."""
    checks = account.checks(run.results, settings)
    return Story(
        name="order_service",
        title="The order service: one line, then the rest",
        problem=PROBLEM,
        fix=FIX,
        account=account.published(),
        tables=tables(run.results, heading(settings, run.database)),
        charts=charts(run.results),
        findings=[
            *([results.sentence(run.results)] if len(run.results) > 1 else []),
            *map(str, checks),
            f"Chart: {settings.chart.resolve()}",
        ],
        commands=[settings.command],
        versions=versions(run, settings),
        ok=passed(checks, settings.check),
    )


def heading(settings: Settings, database: str) -> str:
    """Say what is about to be measured."""
    stages = len(settings.stages)
    return (
        f"{settings.connections} connections ask for orders, {settings.seconds} s "
        f"for each of {stages} stage{'s' if stages > 1 else ''}: {database}, and a "
        f"logistics API that takes {duration(settings.delay)}; "
        f"requests by {settings.load}."
    )


def tables(measured: Sequence[StageResult], caption: str) -> list[Table]:
    """Return the numbers, and the gains beside those of the published account."""
    numbers = [_row(result) for result in measured]
    shown = [Table(caption, ("stage", *COLUMNS), numbers)]
    if len(measured) > 1:
        beside = _account_rows(measured)
        columns = ("stage", *ACCOUNT_COLUMNS)
        shown.append(Table(account.ABOUT, columns, beside))
    return shown


def _row(result: StageResult) -> list[str]:
    load = result.load
    times = (load.mean, load.p99, load.max)
    pings = (result.ping_median, result.ping_max)
    return [
        result.stage.title,
        f"{load.rate:.1f}",
        *map(duration, times),
        f"{load.success:.0f} %",
        *map(duration, pings),
    ]


def _account_rows(measured: Sequence[StageResult]) -> list[list[str]]:
    rows = []
    first = before = measured[0].load.rate
    for result in measured:
        rate = result.load.rate
        ours = [f"{rate:.1f}", times(rate / before), times(rate / first)]
        rows.append([result.stage.title, *ours, *_published(result)])
        before = rate
    return rows


def _published(result: StageResult) -> list[str]:
    step = account.figures(result.stage)
    if step is None:
        return [""] * 4
    gain = times(step.rate / account.FIRST.rate)
    return [f"{step.rate}", gain, duration(step.mean), duration(step.max)]


def times(ratio: float) -> str:
    """Write a gain: `"5.8 x"`, or `"48 x"`."""
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.1f} x"


def rates(measured: Sequence[StageResult]) -> str:
    """Return an SVG image: a bar for each stage, as long as the stage is fast."""
    shown = [
        Bar(
            r.stage.title,
            r.load.rate,
            f"{r.load.rate:,.1f}, p99 {duration(r.load.p99)}",
        )
        for r in measured
    ]
    return bars("Orders per second", shown)


def gains(measured: Sequence[StageResult]) -> str:
    """Return an SVG image: what each stage gained, beside the published account."""
    shown = []
    for result in measured:
        gain = result.load.rate / measured[0].load.rate
        shown.append(Bar(result.stage.title, gain, times(gain)))
        step = account.figures(result.stage)
        if step:
            theirs = step.rate / account.FIRST.rate
            shown.append(Bar(f"account: {step.step}", theirs, times(theirs), "b"))
    legend = (("measured here", "a"), ("published account", "b"))
    return bars("Times the first stage's orders", shown, legend)


def charts(measured: Sequence[StageResult]) -> list[Chart]:
    """Return the pictures of a run."""
    found = [Chart("Orders per second", rates(measured))]
    if len(measured) > 1:
        found.append(Chart("Times the first stage's orders", gains(measured)))
    return found


def draw(measured: Sequence[StageResult], path: Path) -> None:
    """Write the picture of what has been measured so far.

    Raises:
        DemoError: The file cannot be written.
    """
    with writing(path):
        path.write_text(rates(measured), encoding="utf-8")


def details(run: Run, settings: Settings) -> dict[str, Any]:
    """Return the numbers themselves and what they depend on."""
    return {
        "settings": {
            "seconds": settings.seconds,
            "connections": settings.connections,
            "logistics_delay": settings.delay,
        },
        "stages": [result.as_dict() for result in run.results],
        "times_faster": results.faster(run.results),
    }


def versions(run: Run, settings: Settings) -> dict[str, Any]:
    """Return the versions of all that takes part; None for what is not installed."""
    load = f"{settings.load} {version(settings.load)}"
    return {**of_packages(PACKAGES), "database": run.database, "load": load}
