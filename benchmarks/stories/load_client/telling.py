"""What is left of a run: tables, charts, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from benchmarks.stories.load_client.client import ERROR, SUCCESS, TIMEOUT, TURNED_AWAY
from benchmarks.stories.load_client.results import Tally
from benchmarks.stories.load_client.settings import (
    FEW,
    FORKED,
    INLINE,
    UNBLOCK,
    Settings,
)

PROBLEM = (
    "Clients that wait three seconds ask a handler that takes one. Inline it answers "
    "one after the other: whoever is fourth in the queue has left before the answer "
    "comes, and the server goes on to work for those that have left. Forked processes "
    "only multiply the few that get through."
)
FIX = (
    "One @unblock line, and configure(max_workers=...) if more than 40 ask at once. "
    "With fewer workers than clients, bound the queue with max_waiting: whoever has "
    "no place in it hears so at once."
)
ACCOUNT = (
    Published("10 requests from 10 processes, 1 s bodies, 3 s time-out", "20 %"),
)
COLUMNS = (
    "server",
    "success",
    "503",
    "timed out",
    "errors",
    "wall time",
    "200 p50",
    "200 p99",
    "503 p50",
    "503 p99",
)
KINDS = (
    (SUCCESS, "succeeded", "good"),
    (TURNED_AWAY, "503 with Retry-After", "warn"),
    (TIMEOUT, "timed out", "bad"),
    (ERROR, "errors", "odd"),
)


def tell(tallies: Sequence[Tally], settings: Settings) -> Story:
    """Return the whole report."""
    checks = [check for tally in tallies for check in checks_of(tally)]
    return Story(
        name="load_client",
        title="Impatient clients: what share of the requests succeeds",
        problem=PROBLEM,
        fix=FIX,
        account=ACCOUNT,
        tables=tables(tallies),
        charts=charts(tallies),
        findings=[*map(str, checks), *_errors(tallies)],
        commands=[settings.command],
        versions=versions(["tornado"]),
        ok=passed(checks, settings.check),
    )


def _errors(tallies: Sequence[Tally]) -> list[str]:
    return [f"{t.way.title}: {error}" for t in tallies for error in t.errors()]


def details(tallies: Sequence[Tally], settings: Settings) -> dict[str, Any]:
    """Return the numbers themselves, for the JSON file."""
    return {"measured": [tally.as_dict() for tally in tallies]}


def checks_of(tally: Tally) -> list[Check]:
    """Return what must be true of one server, and whether it is."""
    where = f"{tally.case.requests:,} requests, {tally.way.title}"
    share = f"{where}: {percent(tally.share)} succeed"
    checks = [
        Check(f"{where}: {tally.lost} requests without an end", not tally.lost),
        Check(
            f"{where}: nobody waited longer than {duration(tally.longest)}",
            tally.longest < tally.case.timeout + 1,
            timed=True,
        ),
    ]
    if tally.way == INLINE:
        checks.append(_one_by_one(tally, share))
    if tally.way == FORKED:
        checks.append(Check(share, True))  # how many is chance
    if tally.way == UNBLOCK:
        all_of_them = tally.count(SUCCESS) == tally.case.requests
        checks.append(Check(share, all_of_them, timed=True))
    if tally.way == FEW:
        checks += _few(tally, share)
    # What went as it should is said once, by the sentence about the server.
    return [check for check in checks[:2] if not check.held] + checks[2:]


def _one_by_one(tally: Tally, share: str) -> Check:
    # While the clients' patience lasts, so many of them can have their turn.
    turns = 100 * tally.case.timeout / (tally.case.body * tally.case.clients)
    if turns >= 100:
        return Check(share, True)
    return Check(f"{share}, the others wait in vain", tally.share <= turns, True)


def _few(tally: Tally, share: str) -> list[Check]:
    ended = tally.count(SUCCESS) + tally.count(TURNED_AWAY)
    slowest = tally.percentile(TURNED_AWAY, 99)
    if slowest is None:
        return [Check(f"{share}, and none is turned away", False, timed=True)]
    others = tally.case.requests - ended
    return [
        Check(
            f"{share}, {tally.count(TURNED_AWAY):,} get a 503 with Retry-After, "
            f"99 of 100 of those within {duration(slowest)}; "
            f"{others or 'none'} timed out, failed or was lost",
            not others and slowest < tally.case.timeout / 2,
            timed=True,
        )
    ]


def percent(share: float) -> str:
    """Write a share with a decimal if it has one: `"0.3 %"`, `"100 %"`.

    Nearly all is not written as all, nor nearly none as none.
    """
    if 0 < share < 100:
        share = min(99.9, max(0.1, share))
    return f"{share:.1f}".replace(".0", "") + " %"


def tables(tallies: Sequence[Tally]) -> list[Table]:
    """Return a table for each case."""
    cases = list(dict.fromkeys(tally.case for tally in tallies))
    return [
        Table(case.title, COLUMNS, [_row(t) for t in tallies if t.case == case])
        for case in cases
    ]


def _row(tally: Tally) -> list[str]:
    latencies = [
        tally.percentile(kind, of_hundred)
        for kind in (SUCCESS, TURNED_AWAY)
        for of_hundred in (50, 99)
    ]
    return [
        tally.way.title,
        percent(tally.share),
        *(f"{tally.count(kind):,}" for kind in (TURNED_AWAY, TIMEOUT, ERROR)),
        f"{tally.seconds:.1f} s",
        *("" if latency is None else duration(latency) for latency in latencies),
    ]


def charts(tallies: Sequence[Tally]) -> list[Chart]:
    """Return a chart for each case: a bar for each server, by what came of it."""
    cases = list(dict.fromkeys(tally.case for tally in tallies))
    return [
        Chart(case.title, _chart([t for t in tallies if t.case == case]))
        for case in cases
    ]


def _chart(tallies: Sequence[Tally]) -> str:
    shown = []
    for tally in tallies:
        parts = [(_share(tally, kind), color) for kind, _, color in KINDS]
        name = f"{tally.way.title}: share that succeeded"
        whole = sum(share for share, _ in parts)
        shown.append(Bar(name, whole, percent(tally.share), parts=parts))
    return bars(tallies[0].case.title, shown, [(name, c) for _, name, c in KINDS])


def _share(tally: Tally, kind: str) -> float:
    return 100 * tally.count(kind) / tally.case.requests
