"""What the page of several processes says, in words and tables.

# Threads: any.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from typing import Optional

from tornado_unblock.status.group import is_stopped
from tornado_unblock.status.processes import Process
from tornado_unblock.status.snapshot import Executor
from tornado_unblock.status.sums import sum_of_endpoints, sum_of_executors
from tornado_unblock.status.tables import (
    BUSY,
    LATE,
    Alarm,
    Cell,
    Column,
    Section,
    busy_cell,
    count,
    endpoints_section,
    jobs_section,
    percent,
    seconds,
    short,
    stalled_alarm,
    time_cell,
    waiting_alarm,
    waits_long,
)

_COLUMNS = (
    Column("Process"),
    Column("State"),
    Column("Busy", True, "Share of the last seconds in which its loop ran something"),
    Column("Lag", True, "What an event waits until the loop comes to it"),
    Column("Workers busy", True),
    Column("Waiting", True),
    Column("Oldest waits", True),
    Column("Stalls", True),
    Column("Abandoned", True),
    Column("Up", True, "Since it began to serve this page"),
)


def alarms(processes: Iterable[Process]) -> tuple[Alarm, ...]:
    """Return what stands at the head of the page."""
    processes = tuple(processes)
    found = [a for one in processes for a in _alarms(one)]
    if any(alarm.kind == "stalled" for alarm in found):
        return tuple(sorted(found, key=lambda alarm: alarm.kind != "stalled"))
    return (*found, _of_loops_that_answer(processes))


def _of_loops_that_answer(processes: tuple[Process, ...]) -> Alarm:
    if any(one.known and not one.watched for one in processes):
        return Alarm(
            "unwatched",
            "Nobody watches the event loop in some of the processes",
            text="Whether they are stalled, and by what, is not known.",
            advice="call tornado_unblock.watch() when the program starts",
        )
    number = sum(one.loops for one in processes)
    if not number:
        return Alarm("unwatched", "No process runs an event loop that is watched")
    which = (
        "The event loop answers" if number == 1 else f"All {number} event loops answer"
    )
    return Alarm("fine", f"{which}, in {len(processes)} processes")


def _alarms(one: Process) -> Iterable[Alarm]:
    href = f"p/{one.process}/"
    if one.silent is not None:
        yield silent_alarm(one.process, one.silent)
        return
    for stalled in one.stalled:
        alarm = stalled_alarm(stalled)
        title = f"Process {one.process}: {alarm.title}"
        yield dataclasses.replace(alarm, title=title, href=href)
    if waits_long(one):
        yield waiting_alarm(f"Process {one.process}", one, href=href)


def silent_alarm(process: int, silent: Optional[float]) -> Alarm:
    """Return what to say of a process that does not answer.

    Args:
        process: Its number.
        silent: Since when, in seconds, if that is known.
    """
    since = "" if silent is None else f" for {seconds(silent)}"
    title = f"Process {process} has not answered{since}"
    if is_stopped(process):
        return Alarm(
            "stalled",
            title,
            text="A signal has stopped it, such as SIGSTOP, or a debugger.",
            advice=f"kill -CONT {process}",
        )
    return Alarm(
        "stalled",
        title,
        text="None of its threads comes to run: C code holds the interpreter, or the "
        "machine is overloaded.",
        advice=f"py-spy dump --native --pid {process}",
    )


def gone_alarm() -> Alarm:
    """Return what to say of a process that is not there any more."""
    return Alarm(
        "gone",
        "This process is gone",
        text="It has ended, was killed, or serves no page any more.",
        href="../../",
    )


def sections(processes: Iterable[Process]) -> tuple[Section, ...]:
    """Return the tables of the page."""
    processes = tuple(processes)
    known = [one.jobs for one in processes if one.jobs is not None]
    parents = {one.parent for one in processes}
    rows = tuple(_quietly(one, _row(one, one.process in parents)) for one in processes)
    table = Section(
        "processes", "Processes", _summary(processes), _COLUMNS, rows, "None answers."
    )
    return (
        table,
        _executors(sum_of_executors(processes)),
        endpoints_section(sum_of_endpoints(processes)),
        # They have one store: who knows most of it has asked it.
        *jobs_section(max(known, key=len, default=None)),
    )


def _executors(executors: tuple[Executor, ...]) -> Section:
    rows = tuple(
        (
            Cell(one.name),
            busy_cell(one.borrowed_tokens, one.total_tokens),
            count(one.waiting, "bad"),
            time_cell(one.oldest_waiter, "bad"),
            time_cell(None) if one.threads is None else count(one.threads),
        )
        for one in executors
    )
    columns = (
        Column("Executor"),
        Column("Workers busy", True),
        Column("Waiting", True),
        Column("Oldest waits", True),
        Column("Threads", True),
    )
    empty = "No executor has been used yet."
    return Section("executors", "Executors of all", "", columns, rows, empty)


def _summary(processes: tuple[Process, ...]) -> str:
    busy = sum(one.borrowed_tokens for one in processes)
    workers = sum(one.total_tokens for one in processes)
    waiting = sum(one.waiting for one in processes)
    return f"{len(processes)}: {busy} of {workers} workers busy, {waiting} waiting"


def _row(one: Process, is_parent: bool) -> tuple[Cell, ...]:
    note = "parent" * is_parent if one.child is None else f"child {one.child}"
    name = Cell(str(one.process), one.process, note=note, href=f"p/{one.process}/")
    if not one.known:  # that is not nothing
        return (name, _state(one), *[time_cell(None)] * (len(_COLUMNS) - 2))
    up = None if one.began_at is None else max(0.0, time.time() - one.began_at)
    return (
        name,
        _state(one),
        *_of_loops(one),
        _workers(one),
        count(one.waiting, "bad"),
        time_cell(one.oldest_waiter, "bad"),
        count(one.stalls, "bad"),
        count(one.abandoned, "bad"),
        time_cell(up),
    )


def _quietly(one: Process, row: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return the row so that what a silent process once said does not shine."""
    if one.silent is None:
        return row
    muted = [dataclasses.replace(cell, kind="muted") for cell in row[2:]]
    return (*row[:2], *muted)


def _of_loops(one: Process) -> tuple[Cell, Cell]:
    if not one.loops:
        return (time_cell(None), time_cell(None))
    busy = -1.0 if one.utilization is None else one.utilization
    lag = max([one.lag, *(stalled.seconds for stalled in one.stalled)])
    return (
        Cell(percent(one.utilization), busy, "bad" if busy >= BUSY else ""),
        time_cell(lag, "bad" if lag >= LATE else ""),
    )


def _workers(one: Process) -> Cell:
    if not one.total_tokens:
        return time_cell(None)
    return busy_cell(one.borrowed_tokens, one.total_tokens)


def _state(one: Process) -> Cell:
    """Return how it is; what is worse is sorted first."""
    if one.silent is not None:
        note = "stopped by a signal" if is_stopped(one.process) else ""
        return Cell(f"no answer for {seconds(one.silent)}", 0.0, "bad", note)
    if not one.known:
        return Cell("answers", 2.0, "muted", "of another version")
    if one.stalled:
        worst = max(one.stalled, key=lambda stalled: stalled.seconds)
        at = worst.at
        place = "" if at is None else f" at {short(at.file)}:{at.line}"
        text = f"stalled for {seconds(worst.seconds)}"
        return Cell(text, 1.0, "bad", f"{worst.endpoint}{place}")
    if one.watched and not one.loops:
        return Cell("no loop", 4.0, "muted")
    return Cell("answers", 3.0, note="" if one.watched else "its loop is not watched")
