"""What came of a run: table, charts, and whether it is what was promised."""

from __future__ import annotations

from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.figures import duration, quantile
from benchmarks.harness.story import Chart, Check, Story, Table, passed, versions
from benchmarks.stories.consumer.runner import Found
from benchmarks.stories.consumer.settings import Settings

PROBLEM = (
    "When the workers are exhausted, more threads do not help: the request has to be "
    "answered at once, and the work done by consumers whose number is set. A queue in "
    "the memory of the server loses everything with it."
)
FIX = (
    "A job: report.later(7) writes it into a file, the request is answered with 202, "
    "and python -m tornado_unblock jobs runs it, again if its worker was killed."
)
PACKAGES = ("tornado", "huey")
# A request does not wait for the work: the median is this share of all of it, at most.
AT_ONCE = 0.1


def tell(found: Found, settings: Settings) -> Story:
    """Return the story of a run."""
    checks = _checks(found, settings)
    return Story(
        name="consumer",
        title="Answer now, work later, lose nothing to kill -9",
        problem=PROBLEM,
        fix=FIX,
        account=(),
        tables=[_table(found, settings)],
        charts=_charts(found, settings),
        findings=[str(check) for check in checks],
        commands=[settings.command],
        versions=versions(PACKAGES),
        ok=passed(checks, settings.check),
    )


def _table(found: Found, settings: Settings) -> Table:
    killed = found.killed
    rows = [
        ("requests, all answered with 202", f"{settings.requests}"),
        ("seconds for all requests", f"{found.asked:.1f}"),
        ("one request, median", duration(quantile(found.times, 0.5))),
        ("one request, p99", duration(quantile(found.times, 0.99))),
        ("workers", f"{settings.workers}"),
        ("done when all was killed", f"{killed.done}"),
        ("in flight when all was killed", f"{killed.running}"),
        ("done in the end", f"{len(found.done)}"),
        ("done twice", f"{found.twice}"),
        ("seconds in all", f"{found.seconds:.1f}"),
    ]
    return Table("Each job takes 0.1 s", ("what", "how much"), rows)


def _charts(found: Found, settings: Settings) -> list[Chart]:
    when, jobs = "Seconds", "Jobs, when server and workers were killed"
    killed = found.killed
    waiting = settings.requests - killed.done - killed.running
    times = [
        Bar("all requests answered", found.asked, f"{found.asked:.1f} s"),
        Bar("all jobs done", found.seconds, f"{found.seconds:.1f} s", "b"),
    ]
    counts = [
        Bar("done", killed.done, f"{killed.done}", "good"),
        Bar("in flight, run again", killed.running, f"{killed.running}", "warn"),
        Bar("waiting", waiting, f"{waiting}", "b"),
        Bar("lost", 0, f"{settings.requests - len(found.done)}", "bad"),
    ]
    return [Chart(when, bars(when, times)), Chart(jobs, bars(jobs, counts))]


def _checks(found: Found, settings: Settings) -> list[Check]:
    done, twice, flying = len(found.done), found.twice, found.killed.running
    median = quantile(found.times, 0.5)
    return [
        Check(
            f"{done} of {settings.requests} jobs were done, with everything killed in "
            "the middle",
            done == settings.requests,
        ),
        Check(
            f"{twice} were done twice; no more than the {flying} that were in flight",
            twice <= flying,
        ),
        Check(
            f"half of the requests were answered within {duration(median)}, all the "
            f"work took {duration(found.seconds)}",
            median <= AT_ONCE * found.seconds,
            timed=True,
        ),
    ]
