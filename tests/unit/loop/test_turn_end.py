"""Who is to be woken is, once, when the loop has nothing else to do in this turn."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from tornado_unblock._loop.turn_end import Turns


class Sleeper:
    """Notes when it is woken."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def wake(self) -> None:
        self.log.append("woken")


def run(script: Any) -> list[str]:
    """Run ``script(turns, sleeper, log)`` on a loop; return what was logged."""
    log: list[str] = []

    async def main() -> None:
        await asyncio.sleep(0)
        await script(Turns(asyncio.get_running_loop()), Sleeper(log), log)

    asyncio.run(main())
    return log


def test_at_once_where_nothing_is_left():
    """A loop that would wait for its sockets next has no later moment."""

    async def script(turns: Turns, sleeper: Sleeper, log: list[str]) -> None:
        turns.wake_at_end(sleeper)
        log.append("next")

    assert run(script) == ["woken", "next"]


def test_after_what_is_left():
    """Others have their turn first; however often it is asked for, it comes once."""

    async def script(turns: Turns, sleeper: Sleeper, log: list[str]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(log.append, "callback")
        for _ in range(3):
            turns.wake_at_end(sleeper)
        log.append("asked")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert run(script) == ["asked", "callback", "woken"]


def test_end_of_what_is_under_way():
    """What runs as one, and has begun, wakes when it ends."""

    async def script(turns: Turns, sleeper: Sleeper, log: list[str]) -> None:
        assert turns.begin()
        assert not turns.begin()
        turns.wake_at_end(sleeper)
        log.append("under way")
        turns.end()
        assert turns.begin()
        turns.end()

    assert run(script) == ["under way", "woken"]


def test_loop_that_does_not_say_what_is_left():
    """Of uvloop it is not known: another callback is the end."""
    uvloop = pytest.importorskip("uvloop")
    log: list[str] = []

    async def main() -> None:
        turns = Turns(asyncio.get_running_loop())
        turns.wake_at_end(Sleeper(log))
        log.append("asked")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    assert log == ["asked", "woken"]


def test_no_context_is_kept():
    """The callback runs in a context of its own: a request's would live on in it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[Any] = []

    class Looks(Sleeper):
        def wake(self) -> None:
            seen.append(variable.get("none"))

    async def script(turns: Turns, sleeper: Sleeper, log: list[str]) -> None:
        variable.set("a request's")
        asyncio.get_running_loop().call_soon(int)
        turns.wake_at_end(Looks(log))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(script)
    assert seen == ["none"]
