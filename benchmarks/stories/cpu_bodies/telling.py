"""What came of a run: table, charts, whether it is what was promised, and advice."""

from __future__ import annotations

from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.figures import duration
from benchmarks.harness.neighbour import Measured
from benchmarks.harness.story import Chart, Check, Story, Table, passed, versions
from benchmarks.stories.cpu_bodies.runner import Run
from benchmarks.stories.cpu_bodies.settings import (
    INLINE,
    LOKY,
    ONE_WORKER,
    PROCESSES,
    THREADS,
    Settings,
)

PROBLEM = (
    "A body computes in pure Python, so it holds the interpreter lock as long as it "
    "runs. Inline, every other route waits for all of it; on a thread, they wait for "
    "their turns at the lock. Threads share a core, they do not add one."
)
FIX = (
    'Give what computes to processes: configure("cpu", processes=2) '
    'and await run_in_executor(fn, ..., executor="cpu"). Where it has to stay in the '
    'process, one worker: configure("cpu", max_workers=1), '
    '@unblock(executor="cpu") and sys.setswitchinterval(0.0005).'
)
PACKAGES = ("tornado", "loky", "aiohttp")

ADVICE = (
    "Threads do not make computing faster. They only let the others have a turn.",
    "A thread that wants the lock waits up to the switch interval for each thread "
    "before it: fewer workers that compute, and a shorter interval, shorten the wait.",
    "Processes take the computing away; what is passed must be worth its pickling.",
)

# How many times sooner half of the pings are answered than inline, at least. What is
# measured is more; a busy machine takes some away.
SOONER = {THREADS: 2, ONE_WORKER: 4, PROCESSES: 4, LOKY: 4}


def tell(run: Run, settings: Settings) -> Story:
    """Return the story of a run."""
    checks = _checks(run)
    return Story(
        name="cpu_bodies",
        title="Bodies that compute: threads share a core, processes add some",
        problem=PROBLEM,
        fix=FIX,
        account=(),
        tables=[_table(run, settings)],
        charts=_charts(run),
        findings=[*map(str, checks), *_findings(run)],
        commands=[settings.command],
        versions=versions(PACKAGES),
        ok=passed(checks, settings.check),
    )


def _table(run: Run, settings: Settings) -> Table:
    rows = [["nothing to compute", *_pings(run.alone), "", ""]]
    for variant, result in run.results.items():
        rate, mean = f"{result.busy.rate:.1f}", duration(result.busy.mean)
        rows.append([variant.title, *_pings(result), rate, mean])
    caption = (
        f"{settings.connections} connections ask for {duration(settings.body)} of "
        "computing; /ping is the route beside it"
    )
    columns = ("variant", "ping median", "ping p99", "bodies per second", "body mean")
    return Table(caption, columns, rows)


def _pings(result: Measured) -> list[str]:
    return [duration(result.pings.quantile(share)) for share in (0.5, 0.99)]


def _charts(run: Run) -> list[Chart]:
    p99, rate = "The route beside it: p99", "Bodies per second"
    pings, rates = [], []
    for variant, result in run.results.items():
        latency = result.pings.quantile(0.99)
        pings.append(Bar(variant.title, latency, duration(latency)))
        rates.append(Bar(variant.title, result.busy.rate, f"{result.busy.rate:.1f}"))
    return [Chart(p99, bars(p99, pings)), Chart(rate, bars(rate, rates))]


def _checks(run: Run) -> list[Check]:
    failed = run.alone.failed + sum(result.failed for result in run.results.values())
    checks = [
        Check(
            f"all variants come to the same total; {failed} requests failed", not failed
        )
    ]
    base = run.results.get(INLINE)
    if base is None:
        return checks
    inline = base.pings.quantile(0.5)
    for variant, times in SOONER.items():
        if variant in run.results:
            found = run.results[variant].pings.quantile(0.5)
            text = (
                f"{variant.title}: half of the pings are answered within "
                f"{duration(found)}, inline within {duration(inline)}; "
                f"at least {times} times sooner"
            )
            checks.append(Check(text, found * times <= inline, timed=True))
    return checks


def _findings(run: Run) -> list[str]:
    loads = [(variant, result.load) for variant, result in run.results.items()]
    rates = [f"{variant.title} {load.rate:.1f}" for variant, load in loads if load]
    return [f"Bodies per second: {', '.join(rates)}.", *ADVICE]
