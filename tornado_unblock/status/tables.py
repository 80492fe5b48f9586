"""What the page says of a snapshot, in words and tables; no markup yet but charts.

# Threads: any.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Protocol

from tornado_unblock.status.history import History, Series
from tornado_unblock.status.snapshot import (
    Body,
    Endpoint,
    Executor,
    Line,
    Setting,
    Snapshot,
    Stalled,
)

# Of a chart, in units of its own.
_WIDTH, _HEIGHT = 120, 24
# From these on a figure is drawn to the reader's attention.
BUSY = 0.8
LATE = 0.05
# So long a wait for a worker is said at the head of the page, in seconds.
LONG = 0.5


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What stands above it.
        number: Whether it holds numbers, so that sorting begins with the largest.
        help: What it means, if the title does not say.
    """

    title: str
    number: bool = False
    help: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """A line of the last ten minutes.

    Attributes:
        lines: The points of each piece without a gap, as SVG writes them.
        label: What it shows, for who cannot see it.
    """

    lines: tuple[str, ...]
    label: str


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says.
        sort: What it is sorted by; the text if None.
        kind: ``"code"``, ``"bad"``, ``"muted"`` or "".
        note: A second, smaller line.
        chart: Beside the text.
        share: How much of a bar below is full, from 0 to 1.
        stack: What can be unfolded.
        key: By which one that was unfolded is found again.
        href: Where it leads.
    """

    text: str
    sort: Optional[float] = None
    kind: str = ""
    note: str = ""
    chart: Optional[Chart] = None
    share: Optional[float] = None
    stack: tuple[str, ...] = ()
    key: str = ""
    href: str = ""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: Its anchor.
        title: Its heading.
        summary: Beside the heading: how many, say.
        columns: Of its table.
        rows: Of its table.
        empty: What stands there without rows.
        folded: Whether it is closed at first.
    """

    id: str
    title: str
    summary: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    folded: bool = False


@dataclasses.dataclass(frozen=True)
class Alarm:
    """The head of the page: what is the matter.

    Attributes:
        kind: ``"stalled"``, ``"fine"``, ``"unwatched"`` or ``"gone"``.
        title: In one line.
        at: A line of code.
        text: More of it.
        path: How the code came there.
        advice: What to do.
        href: Where there is more.
    """

    kind: str
    title: str
    at: str = ""
    text: str = ""
    path: str = ""
    advice: str = ""
    href: str = ""


def seconds(value: float) -> str:
    """Return a time as people say it: ``3 ms``, ``1.25 s``, ``4 min 10 s``."""
    if value < 0.0005:
        return "0 ms" if value < 0.00005 else f"{value * 1000:.1f} ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 10:
        return f"{value:.2f} s"
    if value < 99.5:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def percent(share: Optional[float]) -> str:
    """Return a share in percent, "?" where it is not known."""
    return "?" if share is None else f"{share * 100:.0f} %"


def chart(series: Series, label: str, top: float = 0.0) -> Optional[Chart]:
    """Return a chart, or None where there is too little to draw.

    Args:
        series: What to draw, the latest at the right.
        label: What it is.
        top: The least value of the upper edge.
    """
    known = [point for point in series if point is not None]
    if len(known) < 2:
        return None
    top = max(top, *known) or 1.0
    step = _WIDTH / (len(series) - 1)
    lines: list[list[str]] = [[]]
    for number, point in enumerate(series):
        if point is None:
            lines.append([])
            continue
        y = 1 + (_HEIGHT - 2) * (1 - point / top)
        lines[-1].append(f"{number * step:.1f},{y:.1f}")
    drawn = tuple(" ".join(line) for line in lines if len(line) > 1)
    return Chart(drawn, label)


def alarms(snapshot: Snapshot) -> tuple[Alarm, ...]:
    """Return what stands at the head of the page."""
    waits = [
        waiting_alarm(
            one.name, one, sum(b.executor == one.name for b in snapshot.abandoned)
        )
        for one in snapshot.executors
        if waits_long(one)
    ]
    if snapshot.stalled:
        return (*map(stalled_alarm, snapshot.stalled), *waits)
    return (*waits, _of_loops_that_answer(snapshot))


def _of_loops_that_answer(snapshot: Snapshot) -> Alarm:
    if not snapshot.watched:
        return Alarm(
            "unwatched",
            "Nobody watches the event loop",
            text="Whether it is stalled, and by what, is not known.",
            advice="call tornado_unblock.watch() when the program starts",
        )
    number = len(snapshot.loops)
    which = "The event loop answers" if number == 1 else f"{number} event loops answer"
    if not number:
        return Alarm("unwatched", "No event loop runs that is watched")
    return Alarm("fine", which)


class Workers(Protocol):
    """Workers, and who waits for one: of an executor, or of a process."""

    @property
    def waiting(self) -> int:
        """How many requests do."""

    @property
    def oldest_waiter(self) -> Optional[float]:
        """For how long the first of them does, in seconds."""

    @property
    def borrowed_tokens(self) -> int:
        """Workers that are busy."""

    @property
    def total_tokens(self) -> int:
        """Workers there may be."""


def waits_long(one: Workers) -> bool:
    """Whether somebody has waited for so long that it is said."""
    return (one.oldest_waiter or 0.0) >= LONG


def waiting_alarm(
    whose: str, one: Workers, lost: int = 0, href: str = "#bodies"
) -> Alarm:
    """Return what to say of requests that wait for a worker.

    Args:
        whose: The executor, or the process.
        one: Its workers.
        lost: How many of them are with abandoned bodies.
        href: Where there is more.
    """
    who = "1 request waits" if one.waiting == 1 else f"{one.waiting} requests wait"
    busy = f"{one.borrowed_tokens} of {one.total_tokens} workers busy"
    return Alarm(
        "waiting",
        f"{whose}: {who} for a worker, the oldest for "
        f"{seconds(one.oldest_waiter or 0.0)}",
        text=f"{busy}, {lost} with abandoned bodies." if lost else f"{busy}.",
        href=href,
    )


def stalled_alarm(stalled: Stalled) -> Alarm:
    """Return what to say of a loop that does not answer."""
    who = " ".join(filter(None, (stalled.endpoint, stalled.verb, stalled.route)))
    path = " > ".join(
        f"{line.function} ({short(line.file)}:{line.line})" for line in stalled.chain
    )
    return Alarm(
        "stalled",
        f"{stalled.loop or 'A loop'} has been stalled for "
        f"{seconds(stalled.seconds)}: {who}",
        at=str(stalled.at) if stalled.at is not None else "",
        text=stalled.what,
        path=path,
        advice=stalled.advice,
    )


def short(file: str) -> str:
    """Return the last two parts of a path."""
    return "/".join(file.replace(os.sep, "/").split("/")[-2:])


def live_sections(snapshot: Snapshot, history: History) -> tuple[Section, ...]:
    """Return what changes all the time."""
    return (
        _loops(snapshot, history),
        _executors(snapshot.executors, history),
        endpoints_section(snapshot.endpoints),
        _bodies(snapshot.bodies),
        _abandoned(snapshot.abandoned),
        _stalls(snapshot),
        *jobs_section(snapshot.jobs),
    )


def fixed_sections(snapshot: Snapshot) -> tuple[Section, ...]:
    """Return what stays as it was when the program began."""
    versions = tuple((Cell(k), Cell(v)) for k, v in snapshot.versions.items())
    return (
        _routes(snapshot),
        _configuration(snapshot.configuration),
        Section(
            "versions",
            "Versions",
            "",
            (Column("Of"), Column("Version")),
            versions,
            "",
        ),
    )


_NONE = Cell("-", -1.0, "muted")


def count(number: int, kind: str = "") -> Cell:
    """Return a number; ``kind`` is that of what is not 0."""
    return Cell(str(number), number, kind if number else "muted")


def time_cell(value: Optional[float], kind: str = "") -> Cell:
    """Return a time, or a dash where there is none."""
    return _NONE if value is None else Cell(seconds(value), value, kind)


def _place(line: Optional[Line]) -> Cell:
    if line is None:
        return Cell("not seen", kind="muted")
    return Cell(f"{short(line.file)}:{line.line}", kind="code", note=line.function)


def _loops(snapshot: Snapshot, history: History) -> Section:
    rows = []
    stalled = {one.loop: one.seconds for one in snapshot.stalled}
    for loop in snapshot.loops:
        busy = history.utilization(loop)
        # What has come since a loop stalls waits for as long, at most.
        lag = max(history.lag(loop), stalled.get(loop.name, 0.0))
        name = loop.name
        busy_chart = chart(history.of("utilization", name), f"Busy, {name}", 1.0)
        lag_chart = chart(history.of("lag", name), f"Lag, {name}", LATE)
        share = percent(loop.stalled_share) if loop.stalls else "-"
        rows.append(
            (
                Cell(name, note="stalled now" if loop.stalled else loop.measured_by),
                Cell(
                    percent(busy),
                    -1.0 if busy is None else busy,
                    "bad" if (busy or 0) >= BUSY else "",
                    chart=busy_chart,
                ),
                Cell(seconds(lag), lag, "bad" if lag >= LATE else "", chart=lag_chart),
                time_cell(loop.longest or None),
                count(loop.stalls, "bad"),
                Cell(share, loop.stalled_share, "" if loop.stalls else "muted"),
            )
        )
    columns = (
        Column("Loop"),
        Column("Busy", True, "Share of the last seconds in which it ran something"),
        Column("Lag", True, "What an event waits until the loop comes to it"),
        Column("Longest turn", True),
        Column("Stalls", True),
        Column("Stalled", True, "Share of its time in which it could not answer"),
    )
    empty = "No loop is watched: call tornado_unblock.watch()."
    return Section("loops", "Event loop", "", columns, tuple(rows), empty)


def busy_cell(borrowed: int, total: int, drawn: Optional[Chart] = None) -> Cell:
    """Return how many workers of how many are busy."""
    share = borrowed / total if total else 0.0
    text, kind = f"{borrowed} of {total}", "bad" if share >= BUSY else ""
    return Cell(text, share, kind, chart=drawn, share=min(1.0, share))


def _executors(executors: Iterable[Executor], history: History) -> Section:
    rows = []
    for one in executors:
        total = float(one.total_tokens)
        busy = chart(history.of("borrowed", one.name), f"Busy, {one.name}", total)
        waiting = chart(history.of("waiting", one.name), f"Waiting, {one.name}", 1.0)
        rate = history.of("rate", one.name)
        latest = rate[-1] if rate else None
        rows.append(
            (
                Cell(one.name),
                busy_cell(one.borrowed_tokens, one.total_tokens, busy),
                dataclasses.replace(count(one.waiting, "bad"), chart=waiting),
                time_cell(one.oldest_waiter, "bad"),
                Cell(
                    "-" if latest is None else f"{latest:.1f}",
                    latest or 0.0,
                    chart=chart(rate, f"Bodies ended, {one.name}", 1.0),
                ),
                _NONE if one.threads is None else count(one.threads),
            )
        )
    columns = (
        Column("Executor"),
        Column("Workers busy", True),
        Column("Waiting", True),
        Column("Oldest waits", True),
        Column("Ended a second", True),
        Column("Threads", True),
    )
    empty = "No executor has been used yet."
    return Section("executors", "Executors", "", columns, tuple(rows), empty)


def endpoints_section(endpoints: tuple[Endpoint, ...]) -> Section:
    """Return the table of what endpoints have done so far."""
    rows = tuple(
        (
            Cell(e.name, kind="code", note=e.executor),
            count(e.running),
            count(e.waiting),
            count(e.completed),
            time_cell(e.mean_run_time if e.completed else None),
            time_cell(e.mean_queue_time if e.completed else None),
            time_cell(e.total_run_time if e.completed else None),
            count(e.failed, "bad"),
            count(e.timed_out, "bad"),
            dataclasses.replace(
                count(sum(e.rejected.values()), "bad"),
                note=", ".join(f"{n} {reason}" for reason, n in e.rejected.items()),
            ),
            count(e.abandoned, "bad"),
        )
        for e in endpoints
    )
    columns = (
        Column("Endpoint"),
        Column("Running", True),
        Column("Waiting", True),
        Column("Ended", True),
        Column("Mean run", True),
        Column("Mean wait", True),
        Column("Time in all", True),
        Column("Failed", True),
        Column("Timed out", True),
        Column("Rejected", True),
        Column("Abandoned", True),
    )
    empty = "Nothing has run on a worker yet."
    return Section("endpoints", "Endpoints", "", columns, rows, empty)


_BODY_COLUMNS = (
    Column("Endpoint"),
    Column("For", True),
    Column("At"),
    Column("Executor"),
)


def _bodies(bodies: tuple[Body, ...]) -> Section:
    rows = tuple(
        (
            Cell(b.endpoint, kind="code"),
            Cell(seconds(b.seconds), b.seconds),
            _place(b.at) if b.begun else Cell("about to begin", kind="muted"),
            Cell(b.executor),
        )
        for b in bodies
    )
    empty = "No body runs."
    return Section(
        "bodies", "Running bodies", str(len(rows)), _BODY_COLUMNS, rows, empty
    )


def _abandoned(bodies: tuple[Body, ...]) -> Section:
    rows = tuple(
        (
            Cell(b.endpoint, kind="code"),
            Cell(seconds(b.seconds), b.seconds, "bad"),
            dataclasses.replace(
                _place(b.at),
                stack=tuple(map(str, b.stack)),
                key=f"{b.executor} {b.endpoint} {number}",
            ),
            Cell(b.executor),
        )
        for number, b in enumerate(bodies)
    )
    empty = "None: everything that runs is waited for."
    return Section(
        "abandoned", "Abandoned bodies", str(len(rows)), _BODY_COLUMNS, rows, empty
    )


def _stalls(snapshot: Snapshot) -> Section:
    rows = tuple(
        (
            Cell(s.endpoint, kind="code"),
            _place(s.at),
            Cell(s.cause or "?"),
            count(s.count),
            time_cell(s.total),
            time_cell(s.longest),
            Cell(s.advice),
        )
        for s in snapshot.stalls
    )
    columns = (
        Column("Endpoint"),
        Column("Place"),
        Column("Cause"),
        Column("Times", True),
        Column("In all", True),
        Column("Longest", True),
        Column("To do"),
    )
    return Section("stalls", "Stalls by place", "", columns, rows, "None so far.")


def jobs_section(jobs: Optional[Mapping[str, Any]]) -> tuple[Section, ...]:
    """Return the table of jobs; none where they are not configured."""
    if jobs is None:
        return ()
    row: list[Cell] = []
    columns: list[Column] = []
    for name, value in jobs.items():
        columns.append(Column(name.replace("_", " ").capitalize(), True))
        bad = "bad" if name in ("dead", "failures") else ""
        is_time = name == "oldest_waiting"
        row.append(time_cell(value) if is_time else count(value, bad))
    rows = (tuple(row),) if row else ()
    empty = "The store of the jobs has not answered."
    return (Section("jobs", "Jobs", "", tuple(columns), rows, empty),)


def _routes(snapshot: Snapshot) -> Section:
    rows = tuple(
        (
            Cell(r.path, kind="code"),
            Cell(f"{r.handler}.{r.verb.lower()}", kind="code"),
            Cell(r.prepare),
            Cell(r.body),
            Cell(r.executor or "-", kind="" if r.executor else "muted"),
            Cell(r.why),
        )
        for r in snapshot.routes
    )
    columns = tuple(
        map(Column, ("Route", "Endpoint", "prepare", "Body", "Executor", "Why"))
    )
    empty = "No application was given: status.serve(app=app)."
    return Section(
        "routes", "What runs where", str(len(rows)), columns, rows, empty, folded=True
    )


def _configuration(settings: tuple[Setting, ...]) -> Section:
    rows = tuple((Cell(s.executor), Cell(s.option), Cell(s.value)) for s in settings)
    columns = tuple(map(Column, ("Executor", "Option", "Value")))
    return Section(
        "configuration",
        "Configuration",
        "",
        columns,
        rows,
        "All is as it comes.",
        folded=True,
    )
