"""A shutdown under way decides who is let in, and hears of every end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tornado_unblock import RejectedError, run_in_executor
from tornado_unblock._limits.closing import (
    loop_end,
    requests_between_hops,
    tell_closing,
)
from tornado_unblock._limits.placement import close_limiters
from tornado_unblock._loop.portal import current_portal


class Doorkeeper:
    """A shutdown that admits what bodies ask for, and notes what it is told."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.told = 0

    def admits(self, nested: bool) -> bool:
        self.asked.append(nested)
        return nested

    def ended(self) -> None:
        self.told += 1


def test_nobody_to_tell():
    """Without a shutdown, an end is told to nobody."""

    async def main() -> None:
        portal = current_portal()
        tell_closing(portal)
        assert loop_end.of(portal).closing is None
        assert requests_between_hops(portal) == set()

    asyncio.run(main())


def test_every_executor_asks():
    """Those in use and those made later; what is nested is known as such."""
    keeper = Doorkeeper()

    def body() -> Any:
        return run_in_executor(int, "7", executor="later").result(10)

    async def main() -> None:
        running = run_in_executor(body)
        close_limiters(current_portal(), keeper)
        with pytest.raises(RejectedError, match="shutting down"):
            run_in_executor(int)
        with pytest.raises(RejectedError, match="shutting down"):
            run_in_executor(int, executor="another")
        assert await running == 7
        tell_closing(current_portal())

    asyncio.run(main())
    assert keeper.asked == [False, False, True]
    assert keeper.told >= 1


def test_each_loop_has_its_own():
    """A loop that closes says nothing of another."""
    keeper = Doorkeeper()

    async def closes() -> None:
        close_limiters(current_portal(), keeper)

    async def goes_on() -> int:
        return await run_in_executor(int, "7")

    asyncio.run(closes())
    assert asyncio.run(goes_on()) == 7
    assert keeper.asked == []
