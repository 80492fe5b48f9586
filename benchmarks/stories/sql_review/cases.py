"""Three loads on one service, and what came of them.

    a few checks at once        three, as in the account
    more checks than processes  twelve, where eight processes were forked
    quick beside slow           37 quick calls, one after the other, while 60 clients
                                keep the slow route busy

Every request has a connection of its own, as they come from a proxy with nginx's
defaults: which of several processes gets it is decided anew each time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

import aiohttp

from benchmarks.stories.sql_review.settings import Settings

FEW_CHECKS = 3
MANY_CHECKS = 12
QUICK_CALLS = 37
SLOW_CLIENTS = 60
BATCH = "ALTER TABLE orders ADD COLUMN note TEXT; UPDATE orders SET note = ''"
# In units of the slow work: the slow clients come one after the other, or the first
# process that is free would be given all of them; the quick calls begin after that.
ARRIVAL = 4
HEAD_START = 5

Say = Callable[[str], None]


@dataclass(frozen=True)
class Answers:
    """What came of some requests.

    Attributes:
        asked: How many there were.
        wrong: How many were answered with something else than the verdict.
        after: Seconds until the others were answered, those that were answered at
            all; in a sequence they count from its beginning.
    """

    asked: int
    wrong: int
    after: tuple[float, ...]

    @property
    def complete(self) -> bool:
        """Whether all were answered, and rightly."""
        return len(self.after) == self.asked

    @property
    def last(self) -> float:
        """When the last one was answered; infinity if not all were."""
        return max(self.after) if self.complete else math.inf

    def quantile(self, share: float) -> float:
        """When so many were answered; infinity if not that many were."""
        number = math.ceil(share * self.asked)
        return sorted(self.after)[number - 1] if number <= len(self.after) else math.inf


@dataclass(frozen=True)
class Measured:
    """What one variant made of the three loads.

    Attributes:
        few: Three checks.
        many: More checks than there are processes.
        quick: Quick calls while the slow route is busy.
        slow: The slow ones beside them.
    """

    few: Answers
    many: Answers
    quick: Answers
    slow: Answers

    @property
    def wrong(self) -> int:
        """How many answers were wrong in all."""
        return sum(part.wrong for part in (self.few, self.many, self.quick, self.slow))


async def measure(url: str, settings: Settings, say: Say) -> Measured:
    """Put the three loads on the service at `url`, one after the other."""
    gap, patience = settings.seconds["check"] / 100, settings.patience
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        few = await at_once(session, "check", FEW_CHECKS, gap, patience)
        say(f"{FEW_CHECKS} checks at once: {outcome(few)}")
        many = await at_once(session, "check", MANY_CHECKS, gap, patience)
        say(f"{MANY_CHECKS} checks at once: {outcome(many)}")
        quick, slow = await quick_beside_slow(session, settings)
        say(f"{QUICK_CALLS} quick calls beside slow ones: {outcome(quick)}")
    return Measured(few, many, quick, slow)


async def gives_verdict(url: str) -> bool:
    """Tell whether the service at `url` does what it is there for."""
    async with aiohttp.ClientSession(url) as session:
        return await ask(session, "execute")


def outcome(answers: Answers) -> str:
    """Say in a few words what came of it."""
    if not answers.after:
        return "none answered"
    return (
        f"{len(answers.after)} of {answers.asked} answered, "
        f"the last after {max(answers.after):.2f} s"
    )


async def at_once(
    session: aiohttp.ClientSession, task: str, count: int, gap: float, patience: float
) -> Answers:
    """Make so many requests side by side, and wait `patience` seconds at most.

    They come `gap` seconds apart: of what comes in one millisecond, all may be given
    to one process.
    """
    log = Log(session, task)

    async def ask_after(pause: float) -> None:
        await asyncio.sleep(pause)
        await log.ask(time.perf_counter())

    tasks = [asyncio.create_task(ask_after(gap * number)) for number in range(count)]
    await _wait(tasks, patience)
    return log.answers(count)


async def in_turn(
    session: aiohttp.ClientSession, task: str, count: int, patience: float
) -> Answers:
    """Make so many requests one after the other, for `patience` seconds at most."""
    log = Log(session, task)

    async def ask_all() -> None:
        begun = time.perf_counter()
        for _ in range(count):
            await log.ask(begun)

    await _wait([asyncio.create_task(ask_all())], patience)
    return log.answers(count)


async def quick_beside_slow(
    session: aiohttp.ClientSession, settings: Settings
) -> tuple[Answers, Answers]:
    """Make quick calls while the slow route is busy; return what came of both."""
    slow = Log(session, "space")
    work = settings.seconds["space"]

    async def keep_asking(pause: float) -> None:
        await asyncio.sleep(pause)
        while await slow.ask(time.perf_counter()):
            pass  # asking a broken service again at once would be a busy loop

    tasks = [
        asyncio.create_task(keep_asking(ARRIVAL * work * number / SLOW_CLIENTS))
        for number in range(SLOW_CLIENTS)
    ]
    await asyncio.sleep(HEAD_START * work)
    quick = await in_turn(session, "execute", QUICK_CALLS, settings.patience)
    await _wait(tasks, 0)
    return quick, slow.answers(slow.asked)


class Log:
    """Requests for one task, and how long they took."""

    def __init__(self, session: aiohttp.ClientSession, task: str) -> None:
        self.asked = 0
        self._session = session
        self._task = task
        self._wrong = 0
        self._after: list[float] = []

    async def ask(self, begun: float) -> bool:
        """Hand in a batch; note the time since `begun`, if the verdict is right."""
        self.asked += 1
        right = await ask(self._session, self._task)
        if right:
            self._after.append(time.perf_counter() - begun)
        else:
            self._wrong += 1
        return right

    def answers(self, asked: int) -> Answers:
        """Return what there is, of so many that were to be asked."""
        return Answers(asked, self._wrong, tuple(self._after))


async def ask(session: aiohttp.ClientSession, task: str) -> bool:
    """Hand in a batch, and tell whether the verdict is the right one."""
    try:
        async with session.post(f"/{task}", data={"batch": BATCH}) as response:
            return response.status == 200 and await response.json() == verdict(task)
    except aiohttp.ClientError:
        return False


def verdict(task: str) -> dict[str, object]:
    """Return what the service has to answer."""
    return {"task": task, "stage": "done", "accepted": True}


async def _wait(tasks: Sequence[asyncio.Task[None]], patience: float) -> None:
    await asyncio.wait(tasks, timeout=patience)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):  # being cancelled is none
            raise outcome
