"""What several looks at one stall come to; what is logged of it, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stalls.conftest import Reports
from tests.unit.stalls.samples import OWN, library, owner, sample, step
from tests.unit.stalls.test_counts import PLACE, STALL
from tornado_unblock import Place, Stall
from tornado_unblock._stalls import reports as module
from tornado_unblock._stalls.reports import Reporter, Story, describe

FULL = STALL._replace(
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
    unseen = STALL._replace(
        kind="unknown", endpoint="(unknown)", place=None, what="", advice=""
    )
    assert describe(unseen).splitlines() == [
        "(unknown)",
        "  at a place that was left before it could be seen",
    ]
    nowhere = unseen._replace(kind="handler")
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
    stall = STALL._replace(kind=kind, verb=verb)
    assert describe(stall).splitlines()[0] == who


def test_long_chains() -> None:
    """The ends of a long chain are shown."""
    chain = tuple(Place("a.py", n, f"f{n}", "") for n in range(20))
    text = describe(STALL._replace(chain=chain))
    assert "f2 (a.py:2) > ... 14 more ... > f17 (a.py:17)" in text


def test_once_in_a_while(reports: Reports) -> None:
    """A place is reported once; the next report says what was left out."""
    reporter = Reporter(every=3600.0)
    assert reporter.during(FULL._replace(over=False))
    reporter.after(FULL, announced=True)
    for _ in range(3):
        assert not reporter.during(FULL)
        reporter.after(FULL, announced=False)
    reporter.after(FULL._replace(endpoint="Other.get"), announced=False)
    reports.next()
    assert "by now" in reports.text
    reports.next()
    assert reports.next().endpoint == "Other.get"
    reporter._every = 0.0
    reporter.after(FULL, announced=False)
    reports.next()
    assert reports.text.endswith("\n  3 more here since the last report")


def test_places_are_bounded(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place longest unheard of is forgotten first."""
    monkeypatch.setattr(module, "_MOST_SAID", 2)
    reporter = Reporter(every=3600.0)
    for name in ("A", "B", "C"):
        reporter.after(STALL._replace(endpoint=name), announced=False)
    assert [key[0] for key in reporter._said] == ["B", "C"]


def test_the_record_has_the_stall(reports: Reports) -> None:
    """A handler of one's own gets the values, not only a text."""
    Reporter(every=0.0).after(FULL, announced=False)
    found: Any = reports.next()
    assert found is FULL


# -- what was seen ------------------------------------------------------------------


def told(story: Story, seconds: float = 1.0, **values: Any) -> Stall:
    given = {"computing": False, "collecting": 0.0, "owner": None, **values}
    return story.tell(seconds, over=True, loop="loop", **given)


def test_where_the_time_went() -> None:
    """The place that took most is the stall's; others are told with their part."""
    story = Story(0.0)
    story.add(sample(step(OWN, "query", 3), library("pymysql")), 0.7, False)
    story.add(sample(step(OWN, "render", 9)), 1.0, False)
    stall = told(story)
    assert stall.place is not None
    assert (stall.place.line, stall.cause) == (3, "database")
    assert [part for _, part in stall.shares] == pytest.approx([0.7, 0.3])


def test_many_short_callbacks() -> None:
    """None of them took long: the turn did."""
    story = Story(0.0)
    for number in range(4):
        seen = sample(step(OWN, line=number), work=number)
        story.add(seen, (number + 1) / 4, False)
    stall = told(story)
    assert (stall.kind, stall.cause) == ("turn", "many")


def test_places_of_one_stall_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places that do not fit are counted with the first."""
    monkeypatch.setattr(module, "_MOST_PLACES", 2)
    story = Story(0.0)
    for number in range(5):
        story.add(sample(step(OWN, line=number)), float(number + 1), False)
    assert len(story._samples) == 2
    assert sum(story._seconds.values()) == 5.0


def test_in_the_collector() -> None:
    """What an object does when it goes is the collector's."""
    story = Story(0.0)
    story.add(sample(step(OWN), library("redis")), 1.0, True)
    assert told(story).cause == "gc"


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"computing": True}, "c-code"),
        ({"collecting": 0.9, "computing": True}, "gc"),
        ({}, ""),
    ],
)
def test_unseen(values: dict[str, Any], cause: str) -> None:
    """Without a look, the request that was begun in it is named."""
    stall = told(Story(0.0), owner=owner(), **values)
    assert (stall.kind, stall.cause) == ("unknown", cause)
    assert (stall.endpoint, stall.path) == ("Orders.get", "/orders/7")
    assert told(Story(0.0)).endpoint == "(unknown)"


def test_seen_from_c() -> None:
    """What was seen while the interpreter was held comes before what followed."""
    story = Story(0.0)
    story.add_all(sample(step(OWN, "after", 9)), 1.0, (step(OWN, "held", 3),), False)
    assert story.seen
    stall = told(story)
    assert stall.place is not None
    assert stall.place.line == 3


def test_more_work_than_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes then is no work of its own."""
    monkeypatch.setattr(module, "_MOST_PLACES", 2)
    story = Story(0.0)
    for number in range(4):
        story.add(sample(step(OWN), work=number), float(number + 1), False)
    assert len(story._work) == 2


def test_a_coroutine_of_libraries_only() -> None:
    """It goes by the coroutine's name; a callback by its function's."""
    story = Story(0.0)
    story.add(sample(library("redis"), task="Pool.refresh"), 1.0, False)
    stall = told(story)
    assert (stall.kind, stall.endpoint) == ("coroutine", "Pool.refresh")
    story = Story(0.0)
    story.add(sample(library("redis", "poll")), 1.0, False)
    assert told(story).endpoint == "poll"
