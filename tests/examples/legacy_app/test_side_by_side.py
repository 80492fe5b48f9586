"""What a held request holds up: everything inline, nothing unblocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from examples.legacy_app.models import USERS
from tests.examples.legacy_app.support import Office, Visitor

CROWD = 20


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CROWD) as threads:
        yield threads


@pytest.mark.parametrize("unblocked", ["inline"], indirect=True)
def test_inline_a_report_holds_up_the_rest(
    office: Office, crowd: ThreadPoolExecutor
) -> None:
    """Its query keeps the loop thread, so nobody is answered before it ends."""
    alice, bob = office.visitor("alice"), office.visitor()
    with office.slow_report() as report:
        answer = crowd.submit(alice.get, "/report")
        report.wait_for(1)
        assert report.threads == [office.loop_thread]
        with pytest.raises(requests.ReadTimeout):
            bob.get("/ping", timeout=0.2)
        report.go_on.set()
        assert answer.result().status_code == 200
    assert bob.get("/ping").text == "pong"


@pytest.mark.parametrize("unblocked", ["unblocked"], indirect=True)
def test_unblocked_the_rest_goes_on(office: Office, crowd: ThreadPoolExecutor) -> None:
    """While three reports are held: pings, logins, pages, files, the chat."""
    visitors = [office.visitor(name) for name in USERS]

    async def talk() -> None:
        bob = await visitors[1].enter_chat()
        bob.say("Still waiting?")
        assert await bob.hear() == ("bob", "Still waiting?")
        await bob.leave()

    with office.slow_report() as report:
        answers = [crowd.submit(visitor.get, "/report") for visitor in visitors]
        report.wait_for(len(visitors))
        assert len({*report.threads, office.loop_thread}) == len(visitors) + 1
        guest = office.visitor("carol")
        assert guest.get("/ping").text == "pong"
        assert "Good day, carol" in guest.get("/").text
        assert guest.get("/static/app.css").status_code == 200
        asyncio.run(talk())
        assert not any(answer.done() for answer in answers)
        report.go_on.set()
        assert [answer.result().status_code for answer in answers] == [200] * 3


@pytest.mark.parametrize("unblocked", ["unblocked"], indirect=True)
def test_a_crowd(office: Office, crowd: ThreadPoolExecutor) -> None:
    """All log in at once, then all want the report; each gets what one gets."""
    names = [list(USERS)[number % len(USERS)] for number in range(CROWD)]
    start = threading.Barrier(CROWD)

    def visit(name: str, visitor: Visitor) -> list[str]:
        start.wait(20)
        visitor.log_in(name)
        start.wait(20)
        responses = [visitor.get("/report"), visitor.get("/api/summary")]
        assert [response.status_code for response in responses] == [200, 200]
        return [response.text for response in responses]

    visitors = [office.visitor() for _ in names]
    seen = list(crowd.map(visit, names, visitors))
    for name, (report, summary) in zip(names, seen):
        assert f'<span id="user">{name}</span>' in report
        assert report.partition("<h1>")[2] == seen[0][0].partition("<h1>")[2]
        assert summary == seen[0][1]
