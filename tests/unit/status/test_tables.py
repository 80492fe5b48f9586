"""What the page says, in words."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.status.test_history import LOOP
from tornado_unblock.status import tables
from tornado_unblock.status.history import History
from tornado_unblock.status.snapshot import (
    Body,
    Executor,
    Line,
    Route,
    Stalled,
    StallsAt,
    take,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.0002, "0.2 ms"),
        (0.0034, "3 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (9.994, "9.99 s"),
        (42.04, "42.0 s"),
        (250, "4 min 10 s"),
        (3599.7, "1 h 0 min"),
        (7380, "2 h 3 min"),
    ],
)
def test_seconds(value, text):
    """Times are said as people say them."""
    assert tables.seconds(value) == text


def test_percent():
    """What is not known is no nought."""
    assert tables.percent(0.256) == "26 %"
    assert tables.percent(None) == "?"


def test_chart():
    """A line from the left to the right, broken where nothing was known."""
    drawn = tables.chart((0.0, 1.0, None, 1.0, 0.0), "Busy", 1.0)
    assert drawn.lines == ("0.0,23.0 30.0,1.0", "90.0,1.0 120.0,23.0")
    assert tables.chart((1.0, None), "Busy") is None
    assert tables.chart((0.0, 0.0), "Waiting").lines == ("0.0,23.0 120.0,23.0",)


def stalled(**changes):
    values = {
        "loop": "MainThread",
        "seconds": 2.5,
        "endpoint": "Orders.get",
        "verb": "GET",
        "route": "/orders",
        "what": "a sleep",
        "at": Line("/srv/shop/orders.py", 7, "carrier"),
        "chain": (Line("/srv/shop/orders.py", 7, "carrier"),),
        "advice": "put @unblock on it",
    }
    return Stalled(**{**values, **changes})


def test_alarms():
    """What stalls stands first; else whether all is well, or nobody knows."""
    empty = take()
    assert tables.alarms(empty)[0].kind == "unwatched"
    watched = dataclasses.replace(empty, watched=True)
    assert tables.alarms(watched)[0].title == "No event loop runs that is watched"
    one = dataclasses.replace(watched, loops=(LOOP,))
    assert tables.alarms(one)[0].title == "The event loop answers"
    two = dataclasses.replace(watched, loops=(LOOP, LOOP))
    assert tables.alarms(two)[0].title == "2 event loops answer"
    three = dataclasses.replace(one, stalled=(stalled(), stalled(loop="", at=None)))
    first, second = tables.alarms(three)
    assert first.kind == "stalled"
    assert first.title == (
        "MainThread has been stalled for 2.50 s: Orders.get GET /orders"
    )
    assert first.at == "/srv/shop/orders.py:7 in carrier"
    assert first.path == "carrier (shop/orders.py:7)"
    assert second.title.startswith("A loop has been stalled")
    assert second.at == ""


def test_requests_that_wait():
    """They are told of at the head of the page, once they have waited for long."""
    full = Executor("db", 8, 7, 11, 1.28, 8)
    soon = Executor("default", 50, 50, 1, 0.4, 50)
    lost = Body("db", "Orders.get", 3.0, True, True, None, ())
    seen = dataclasses.replace(
        take(),
        watched=True,
        loops=(LOOP,),
        executors=(full, soon),
        abandoned=(lost, dataclasses.replace(lost, executor="default")),
    )
    first, second = tables.alarms(seen)
    assert first.kind == "waiting"
    assert first.title == "db: 11 requests wait for a worker, the oldest for 1.28 s"
    assert first.text == "7 of 8 workers busy, 1 with abandoned bodies."
    assert first.href == "#bodies"
    assert second.title == "The event loop answers"
    one = dataclasses.replace(full, waiting=1)
    first, second = tables.alarms(
        dataclasses.replace(seen, executors=(one,), abandoned=(), stalled=(stalled(),))
    )
    assert first.kind == "stalled"
    assert second.title == "db: 1 request waits for a worker, the oldest for 1.28 s"
    assert second.text == "7 of 8 workers busy."


def cells(section):
    return [[cell.text for cell in row] for row in section.rows]


def test_sections():
    """Each part is there, in the order in which people look, with what it knows."""
    route = Route("/x", "X", "GET", "loop", "worker", "default", "all of it is sync")
    seen = dataclasses.replace(
        take(),
        loops=(
            dataclasses.replace(LOOP, stalls=2, stalled=True, stalled_share=0.25),
            dataclasses.replace(LOOP, name="other", utilization=None, busy=None),
        ),
        executors=(
            Executor("cpu", 0, 0, 0, None, None),
            Executor("reports", 2, 2, 1, 3.0, 2),
        ),
        stalls=(StallsAt("X.get", "", None, 1, 2.0, 2.0, "do something"),),
        jobs={"queued": 2, "dead": 1, "oldest_waiting": 3.0},
        routes=(route, dataclasses.replace(route, body="loop", executor="")),
    )
    live = tables.live_sections(seen, History())
    assert [section.id for section in live] == [
        *("loops", "executors", "endpoints", "bodies", "abandoned", "stalls", "jobs"),
    ]
    loops, executors, _, _, _, stalls, jobs = live
    assert cells(loops)[0][1:] == ["100 %", "100 ms", "200 ms", "2", "25 %"]
    assert loops.rows[0][0].note == "stalled now"
    assert cells(loops)[1][1] == "?"
    assert cells(executors)[0] == ["cpu", "0 of 0", "0", "-", "-", "-"]
    assert cells(executors)[1] == ["reports", "2 of 2", "1", "3.00 s", "-", "2"]
    assert executors.rows[1][1].kind == "bad"
    assert cells(stalls) == [
        ["X.get", "not seen", "?", "1", "2.00 s", "2.00 s", "do something"]
    ]
    assert cells(jobs) == [["2", "1", "3.00 s"]]
    routes, configuration, versions = tables.fixed_sections(seen)
    assert cells(routes)[0] == [
        *("/x", "X.get", "loop", "worker", "default", "all of it is sync"),
    ]
    assert cells(routes)[1][4] == "-"
    assert configuration.rows == ()
    assert cells(versions)[0][0] == "tornado-unblock"
    assert all(len(row) == len(s.columns) for s in live for row in s.rows)


def test_jobs_that_are_not_known():
    """A store that has not answered leaves the section, and says so."""
    (section,) = tables.live_sections(dataclasses.replace(take(), jobs={}), History())[
        -1:
    ]
    assert (section.id, section.rows) == ("jobs", ())
    assert "has not answered" in section.empty
