"""What is logged, and how often."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.stalls.conftest import Reports
from tests.unit.stalls.test_counts import PLACE, STALL
from tornado_unblock import Place
from tornado_unblock._stalls import reports as module
from tornado_unblock._stalls.reports import Reporter, describe

FULL = dataclasses.replace(
    STALL,
    verb="GET",
    path="/orders/7",
    route=r"/orders/(\d+)",
    request_id="r-1",
    chain=(Place("web.py", 3, "Orders.get", "load()"), PLACE),
    shares=((PLACE, 0.7), (Place("db.py", 4, "query", ""), 0.3)),
)


def test_all_that_is_known() -> None:
    """One line for who, and one for each thing known of it."""
    assert describe(FULL).splitlines() == [
        r"Orders.get (GET /orders/7, route /orders/(\d+), request r-1)",
        "  at orders.py:7 in load: query()",
        "  through Orders.get (web.py:3) > load (orders.py:7)",
        "  time went to 70% orders.py:7, 30% db.py:4",
        "  it was a sleep",
        "  to do: put @unblock on class Orders",
    ]


def test_little_is_known() -> None:
    """What is not known is not made up."""
    unseen = dataclasses.replace(
        STALL, kind="unknown", endpoint="(unknown)", place=None, what="", advice=""
    )
    assert describe(unseen).splitlines() == [
        "(unknown)",
        "  at a place that was left before it could be seen",
    ]
    nowhere = dataclasses.replace(unseen, kind="handler")
    assert describe(nowhere) == "(unknown)"


@pytest.mark.parametrize(
    ("kind", "verb", "who"),
    [
        ("handler", "GET", "Orders.get (GET )"),
        ("task", "GET", "a task of Orders.get (GET )"),
        ("callback", "GET", "a callback of Orders.get (GET )"),
        ("callback", "", "Orders.get"),
        ("coroutine", "", "coroutine Orders.get"),
    ],
)
def test_who(kind: str, verb: str, who: str) -> None:
    """It says what kind of work it was."""
    stall = dataclasses.replace(STALL, kind=kind, verb=verb)
    assert describe(stall).splitlines()[0] == who


def test_long_chains() -> None:
    """The ends of a long chain are shown."""
    chain = tuple(Place("a.py", n, f"f{n}", "") for n in range(20))
    text = describe(dataclasses.replace(STALL, chain=chain))
    assert "f2 (a.py:2) > ... 14 more ... > f17 (a.py:17)" in text


def test_once_in_a_while(reports: Reports) -> None:
    """A place is reported once; the next report says what was left out."""
    reporter = Reporter(every=3600.0)
    assert reporter.during(dataclasses.replace(FULL, over=False))
    reporter.after(FULL, announced=True)
    for _ in range(3):
        assert not reporter.during(FULL)
        reporter.after(FULL, announced=False)
    reporter.after(dataclasses.replace(FULL, endpoint="Other.get"), announced=False)
    reports.next()
    assert "by now" in reports.text
    reports.next()
    assert reports.next().endpoint == "Other.get"
    reporter._every = 0.0
    reporter.after(FULL, announced=False)
    reports.next()
    assert reports.text.endswith("\n  3 more here since the last report")


def test_bounded(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place longest unheard of is forgotten first."""
    monkeypatch.setattr(module, "_MOST_PLACES", 2)
    reporter = Reporter(every=3600.0)
    for name in ("A", "B", "C"):
        reporter.after(dataclasses.replace(STALL, endpoint=name), announced=False)
    assert [key[0] for key in reporter._said] == ["B", "C"]


def test_the_record_has_the_stall(reports: Reports) -> None:
    """A handler of one's own gets the values, not only a text."""
    Reporter(every=0.0).after(FULL, announced=False)
    found: Any = reports.next()
    assert found is FULL
