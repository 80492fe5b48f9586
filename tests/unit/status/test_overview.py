"""What the page of several processes says."""

from __future__ import annotations

import dataclasses

import pytest

from tornado_unblock.status import overview
from tornado_unblock.status.processes import Process
from tornado_unblock.status.snapshot import Executor, Line, Stalled

AT = Line("/srv/app/orders.py", 7, "load")
STALLED = Stalled(
    "MainThread", 3.0, "Orders.get", "GET", "/", "a sleep", AT, (), "do it"
)
WELL = Process(7, child=0, watched=True, loops=1, utilization=0.2, began_at=1.0)
BUSY = dataclasses.replace(
    WELL,
    process=8,
    utilization=0.9,
    lag=0.2,
    borrowed_tokens=9,
    total_tokens=10,
    waiting=3,
    oldest_waiter=2.0,
    stalls=4,
    abandoned=1,
    jobs={"queued": 3},
)
PARENT = Process(6, watched=True, jobs={})
SILENT = dataclasses.replace(WELL, process=9, silent=4.0)
STUCK = dataclasses.replace(WELL, process=10, stalled=(STALLED,))
OTHER = Process(11, known=False)
BLIND = Process(12)


def row_of(process):
    return overview.sections([process])[0].rows[0]


def test_sections():
    """A row for each, sums beside the heading, and the jobs of who knows them."""
    table, _, _, jobs = overview.sections([PARENT, WELL, BUSY])
    assert table.summary == "3: 9 of 10 workers busy, 3 waiting"
    assert [row[0].href for row in table.rows] == ["p/6/", "p/7/", "p/8/"]
    assert jobs.rows[0][0].text == "3"
    table, executors, endpoints = overview.sections([WELL, OTHER, BLIND])
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert not executors.rows
    assert not endpoints.rows


def test_sums():
    """What two have of one name is one row."""
    executors = tuple(Executor(n, 5, 2, 1, 0.5, None) for n in ("default", "reports"))
    parts = [dataclasses.replace(WELL, executors=executors[:n]) for n in (1, 2)]
    section = overview.sections(parts)[1]
    assert [[cell.text for cell in row] for row in section.rows] == [
        ["default", "4 of 10", "2", "500 ms", "-"],
        ["reports", "2 of 5", "1", "500 ms", "-"],
    ]
    assert {len(row) for row in section.rows} == {len(section.columns)}


@pytest.mark.parametrize(
    ("process", "state", "kind"),
    [
        (WELL, "answers", ""),
        (PARENT, "no loop", "muted"),
        (SILENT, "no answer for 4.00 s", "bad"),
        (STUCK, "stalled for 3.00 s", "bad"),
        (OTHER, "answers", "muted"),
        (BLIND, "answers", ""),
    ],
)
def test_states(process, state, kind):
    """What is the matter with each, in a word."""
    cell = row_of(process)[1]
    assert (cell.text, cell.kind) == (state, kind)


def test_notes(monkeypatch):
    """And in a few more."""
    assert row_of(STUCK)[1].note == "Orders.get at app/orders.py:7"
    nowhere = dataclasses.replace(STALLED, at=None)
    stuck = dataclasses.replace(STUCK, stalled=(nowhere,))
    assert row_of(stuck)[1].note == "Orders.get"
    assert row_of(BLIND)[1].note == "its loop is not watched"
    assert row_of(OTHER)[1].note == "of another version"
    assert row_of(SILENT)[1].note == ""
    monkeypatch.setattr(overview, "is_stopped", lambda process: True)
    assert row_of(SILENT)[1].note == "stopped by a signal"


def test_bad_numbers_stand_out():
    """What is late, full or waiting is marked, and nothing else."""
    assert [c.kind for c in row_of(BUSY)[2:9]] == ["bad"] * 7
    assert "bad" not in {c.kind for c in row_of(WELL)}
    assert row_of(STUCK)[3].text == "3.00 s"
    assert row_of(PARENT)[2].text == "-"


def test_what_is_not_known_is_not_nothing():
    """Of who has said nothing there are no zeros."""
    assert {cell.text for cell in row_of(OTHER)[2:]} == {"-"}
    unknown = dataclasses.replace(WELL, utilization=None)
    assert row_of(unknown)[2].text == "?"


def test_what_was_once_said_is_muted():
    """Of one that does not answer only that it does not is news."""
    row = row_of(dataclasses.replace(BUSY, silent=5.0))
    assert {cell.kind for cell in row[2:]} == {"muted"}
    assert row[5].text == "3"


def test_who_is_whose():
    """Children have their number, and one of the others may be their parent."""
    parent = Process(6, watched=True, parent=1)
    table = overview.sections([parent, dataclasses.replace(WELL, parent=6), OTHER])[0]
    assert [row[0].note for row in table.rows] == ["parent", "child 0", ""]


def test_what_is_the_matter_comes_first(monkeypatch):
    """Loops that stand, and processes that do not answer, with a way there."""
    silent, stalled = overview.alarms([WELL, SILENT, STUCK])
    assert silent.title == "Process 9 has not answered for 4.00 s"
    assert "py-spy" in silent.advice
    assert stalled.title.startswith(
        "Process 10: MainThread has been stalled for 3.00 s"
    )
    assert stalled.href == "p/10/"
    monkeypatch.setattr(overview, "is_stopped", lambda process: True)
    assert overview.silent_alarm(9, None).advice == "kill -CONT 9"
    assert overview.silent_alarm(9, None).title == "Process 9 has not answered"


def test_requests_that_wait():
    """They come after loops that stand, and before what answers."""
    busy = {"borrowed_tokens": 7, "total_tokens": 8}
    full = dataclasses.replace(WELL, waiting=11, oldest_waiter=1.5, **busy)
    waits, fine = overview.alarms([full])
    assert waits.title == (
        "Process 7: 11 requests wait for a worker, the oldest for 1.50 s"
    )
    assert (waits.href, waits.text) == ("p/7/", "7 of 8 workers busy.")
    assert fine.kind == "fine"
    assert [a.kind for a in overview.alarms([full, STUCK])] == ["stalled", "waiting"]


@pytest.mark.parametrize(
    ("processes", "kind", "title"),
    [
        ([PARENT, WELL], "fine", "The event loop answers, in 2 processes"),
        ([WELL, WELL], "fine", "All 2 event loops answer, in 2 processes"),
        ([WELL, BLIND], "unwatched", "Nobody watches the event loop in some"),
        ([PARENT], "unwatched", "No process runs an event loop"),
    ],
)
def test_when_all_is_well(processes, kind, title):
    """That is said as well, and where it is not known."""
    (alarm,) = overview.alarms(processes)
    assert alarm.kind == kind
    assert alarm.title.startswith(title)


def test_gone():
    """Of a process that was killed there is nothing but the way back."""
    assert overview.gone_alarm().href == "../../"
