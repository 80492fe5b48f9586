"""What came of a run: table, charts, and whether it is what was promised."""

from __future__ import annotations

from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.figures import duration
from benchmarks.harness.neighbour import Measured
from benchmarks.harness.story import Chart, Check, Story, Table, passed, versions
from benchmarks.stories.migration.settings import Settings
from benchmarks.stories.migration.steps import INLINE, NATIVE, UNBLOCKED, Step

PROBLEM = (
    "A ticket desk asks a partner who takes his time, and books seats in a database. "
    "Its handlers block, and so do the models that they share with a nightly script. "
    "Nobody can rewrite all of that as async def in one go."
)
FIX = (
    "One @unblock line ends the stalling. From there the leaves change their colour "
    "one by one, then the models, then the handlers; after each step everything runs, "
    "the script unchanged."
)
PACKAGES = ("tornado", "requests", "aiohttp", "stamina", "cachetools")
DIFF = (
    "diff examples/migration/step1_inline/handlers.py "
    "examples/migration/step2_unblocked/handlers.py"
)

# What is measured is more; a busy machine takes some away.
TIMES, SOONER = 8, 5
# Two runs of one program differ by this much.
NEARLY = 0.9

Results = dict[Step, Measured]


def tell(results: Results, settings: Settings) -> Story:
    """Return the story of a run."""
    checks = _checks(results)
    return Story(
        name="migration",
        title="From blocking to async def in five steps",
        problem=PROBLEM,
        fix=FIX,
        account=(),
        tables=[_table(results, settings)],
        charts=_charts(results),
        findings=[*map(str, checks), *_findings(results)],
        commands=[settings.command, DIFF],
        versions=versions(PACKAGES),
        ok=passed(checks, settings.check),
    )


def _table(results: Results, settings: Settings) -> Table:
    first = next(iter(results.values())).busy.rate or 1.0
    rows = []
    for step, result in results.items():
        load = result.busy
        gain, p99 = f"{load.rate / first:.1f} x", duration(load.p99)
        pings = [duration(result.pings.quantile(share)) for share in (0.5, 0.99)]
        rows.append([step.title, f"{load.rate:.1f}", gain, p99, *pings])
    caption = (
        f"{settings.connections} clients book seats, the partner takes "
        f"{duration(settings.delay)}; /ping is the route beside it"
    )
    columns = (
        "step",
        "bookings per second",
        "gain",
        "bookings p99",
        "ping median",
        "ping p99",
    )
    return Table(caption, columns, rows)


def _charts(results: Results) -> list[Chart]:
    rate, p99 = "Bookings per second", "The route beside it: p99"
    rates, pings = [], []
    for step, result in results.items():
        latency = result.pings.quantile(0.99)
        rates.append(Bar(step.title, result.busy.rate, f"{result.busy.rate:.1f}"))
        pings.append(Bar(step.title, latency, duration(latency)))
    return [Chart(rate, bars(rate, rates)), Chart(p99, bars(p99, pings))]


def _checks(results: Results) -> list[Check]:
    failed = sum(result.failed for result in results.values())
    checks = [
        Check(
            f"all steps answer with the same bytes; {failed} requests failed",
            not failed,
        )
    ]
    inline, unblocked, native = map(results.get, (INLINE, UNBLOCKED, NATIVE))
    if inline and unblocked:
        checks += [_more(inline, unblocked), _sooner(inline, unblocked)]
    if unblocked and native:
        before, after = unblocked.busy.rate, native.busy.rate
        text = (
            f"native, {after:.0f} bookings per second instead of {before:.0f} "
            "unblocked: not fewer, give or take a tenth"
        )
        checks.append(Check(text, after >= NEARLY * before, timed=True))
    return checks


def _more(inline: Measured, unblocked: Measured) -> Check:
    before, after = inline.busy.rate, unblocked.busy.rate
    text = (
        f"unblocked, {after:.1f} bookings per second instead of {before:.1f}; "
        f"at least {TIMES} times as many"
    )
    return Check(text, after >= TIMES * before, timed=True)


def _sooner(inline: Measured, unblocked: Measured) -> Check:
    before, after = (r.pings.quantile(0.5) for r in (inline, unblocked))
    text = (
        f"unblocked, half of the pings are answered within {duration(after)} instead "
        f"of {duration(before)}; at least {SOONER} times sooner"
    )
    return Check(text, after * SOONER <= before, timed=True)


def _findings(results: Results) -> list[str]:
    return [
        "Unblocked, a booking holds a worker while the partner takes his time: the "
        "number of workers bounds what waits side by side. As async def it holds one "
        "for the transaction alone.",
        "Where clients are fewer than workers, there is little left to gain after "
        "the second step.",
    ]
