"""The minutes of the incident, one after the other."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from tornado.httpclient import AsyncHTTPClient

from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.ports import free_port
from benchmarks.harness.processes import Children, address
from benchmarks.stories.incident import reading
from benchmarks.stories.incident.customers import Answers, Customers
from benchmarks.stories.incident.database import SECONDS, Database, prepared

SERVICE = (sys.executable, "-m", "benchmarks.stories.incident.service")
#: How long, beyond its time, a minute may wait for what is to be seen in it.
PATIENCE = 60.0
LOOK = 0.1  # seconds between looks at the page
WIDTH = 88

Snapshot = reading.Snapshot


class Minute(NamedTuple):
    """What happens at a minute.

    Attributes:
        seconds: What an order takes in the database from now on.
        text: What that is.
        shows: Whether the page shows it, given the page now and at the minute before.
        expected: The same in words.
    """

    seconds: float
    text: str
    shows: Callable[[Snapshot, Snapshot], bool]
    expected: str


def _is_calm(now: Snapshot, before: Snapshot) -> bool:
    ended = _more("completed", now, before)
    return bool(ended) and not (
        now["abandoned"] or reading.executor(now, "db")["waiting"]
    )


def _is_busy(now: Snapshot, before: Snapshot) -> bool:
    return bool(reading.executor(now, "db")["borrowed_tokens"])


def _turns_away(now: Snapshot, before: Snapshot) -> bool:
    return reading.rejected(now) > reading.rejected(before) and not now["abandoned"]


def _hangs(now: Snapshot, before: Snapshot) -> bool:
    return bool(_more("timed_out", now, before) and now["abandoned"])


def _more(field: str, now: Snapshot, before: Snapshot) -> int:
    return sum(row[field] for row in now["endpoints"]) - sum(
        row[field] for row in before["endpoints"]
    )


MINUTES = (
    Minute(SECONDS, "A night like any other.", _is_calm, "nobody waits"),
    Minute(0.25, "An order takes 0.25 s in the database.", _is_busy, "busy workers"),
    Minute(1.2, "It takes 1.2 s.", _turns_away, "requests turned away"),
    Minute(1.2, "Somebody is called.", _turns_away, "requests turned away"),
    Minute(5.0, "A lock: no order in less than 5 s.", _hangs, "abandoned bodies"),
    Minute(5.0, "They look for who holds the lock.", _hangs, "abandoned bodies"),
    Minute(SECONDS, "The lock is gone.", _is_calm, "nobody waits"),
    Minute(SECONDS, "Everybody goes back to bed.", _is_calm, "nobody waits"),
)  # fmt: skip


class Seen(NamedTuple):
    """What there was to be seen at a minute."""

    number: int
    minute: Minute
    before: Snapshot
    page: Snapshot
    answers: dict[str, Answers]


class Look(NamedTuple):
    """Who looks at the page.

    Attributes:
        seconds: What a minute takes.
        tell: Called with what is seen at each.
        picture: Called with a minute's number and the page's address, if given.
    """

    seconds: float
    tell: Callable[[Seen], object]
    picture: Optional[Callable[[int, str], Any]] = None


def run(url: Optional[str], interrupts: Interrupts, look: Look) -> None:
    """Let it happen.

    Args:
        url: The database; None for an SQLite file that is deleted afterwards.
        interrupts: What lets Ctrl-C through.
        look: Who looks.

    Raises:
        DemoError: Something did not start, or the page does not show what it should.
    """
    with tempfile.TemporaryDirectory(prefix="incident-") as name:
        folder = Path(name)
        with prepared(url or f"sqlite://{folder}/shop.sqlite", interrupts) as database:
            with Children(folder / "processes") as children:
                port = free_port()
                command = [*SERVICE, database.url, database.prefix, str(port)]
                shop = children.start("shop", command)
                with interrupts.allowed():
                    page = f"http://127.0.0.1:{port}/"
                    asyncio.run(_minutes(database, address(shop), page, look))


async def _minutes(database: Database, shop: str, page: str, look: Look) -> None:
    customers = Customers(shop)
    tasks = [asyncio.ensure_future(each) for each in customers.all()]
    try:
        await asyncio.sleep(look.seconds)  # the first connections take longer
        customers.since()
        before = await _read(page)
        for number, minute in enumerate(MINUTES):
            await asyncio.to_thread(database.take, minute.seconds)
            await asyncio.sleep(look.seconds)
            now = await _see(page, minute, before)
            look.tell(Seen(number, minute, before, now, customers.since()))
            if look.picture is not None:
                await asyncio.to_thread(look.picture, number, page)
            before = now
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _see(page: str, minute: Minute, before: Snapshot) -> Snapshot:
    deadline = time.monotonic() + PATIENCE
    now = await _read(page)
    while not minute.shows(now, before):
        if time.monotonic() > deadline:
            raise DemoError(f"{minute.text} But the page shows no {minute.expected}.")
        await asyncio.sleep(LOOK)
        now = await _read(page)
    return now


async def _read(page: str) -> Snapshot:
    response = await AsyncHTTPClient().fetch(f"{page}status.json")
    found: Snapshot = json.loads(response.body)
    return found


def told(seen: Seen) -> Iterator[str]:
    """Yield the lines about a minute."""
    yield f"03:{seen.number:02}  {seen.minute.text}"
    for line in reading.lines(seen.page, seen.before):
        yield f"       {line}"
    for path, answers in seen.answers.items():
        yield f"       customers    {path}: {_told(answers)}"
    conclusion = reading.conclusion(seen.page, seen.before)
    yield textwrap.fill(f"    => {conclusion}", WIDTH, subsequent_indent=" " * 7)


def _told(answers: Answers) -> str:
    codes = ", ".join(
        f"{count} got {code}" for code, count in sorted(answers.codes.items())
    )
    took = f", {answers.median() * 1000:.0f} ms" if answers.seconds else ""
    return f"{codes or 'no answer'}{took}"
