"""What several looks at one stall come to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stalls.samples import OWN, library, owner, sample, step
from tornado_unblock import Stall
from tornado_unblock._stalls import story as module
from tornado_unblock._stalls.story import Story


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


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
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
