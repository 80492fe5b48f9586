"""One thread is held for as long as a block is open."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.patience import WAIT
from tests.unit.conftest import all_quiet
from tornado_unblock import RejectedError, configure, run_in_executor, statistics
from tornado_unblock.shim._crossing.held import held_lane
from tornado_unblock.shim._crossing.lane import Lane
from tornado_unblock.shim._crossing.wait import call_on


async def ident_on(lane: Lane) -> int:
    ident: int = await call_on(lane, threading.get_ident, "test")
    return ident


def borrowed() -> int:
    return statistics()["default"].borrowed_tokens


def test_all_steps_in_one_worker():
    """It lends its token in between, and has ended with the block."""

    async def main() -> None:
        async with held_lane("block") as lane:
            seen = {await ident_on(lane) for _ in range(5)}
            assert len(seen) == 1
            await all_quiet()
            # Others have workers of their own.
            assert await run_in_executor(threading.get_ident) not in seen
        assert borrowed() == 0
        assert statistics()["default"].endpoints["block"].completed == 1

    asyncio.run(main())


def test_inside_another():
    """The thread that is held already is the one."""
    configure(max_workers=1)

    async def main() -> None:
        async with held_lane("outer") as outer:
            with outer.current():
                async with held_lane("inner") as inner:
                    assert inner is outer
            # The inner one did not let it go.
            assert await ident_on(outer) == await ident_on(outer)

    asyncio.run(main())


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])
def test_let_go_however_the_block_ends(error):
    """An error in the block ends it as well, and is the block's."""

    async def main() -> None:
        with pytest.raises(error):
            async with held_lane("block"):
                raise error
        assert borrowed() == 0

    asyncio.run(main())


def test_no_timeout_of_one_body_applies():
    """However long it is held."""
    configure(timeout=0.001)

    async def main() -> Any:
        async with held_lane("block") as lane:
            outlasted = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.01, outlasted.set_result, None)
            await outlasted
            await ident_on(lane)
        return statistics()["default"].endpoints["block"]

    endpoint = asyncio.run(main())
    assert (endpoint.timed_out, endpoint.completed) == (0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_waiting": 0}, "max_waiting=0"), ({"queue_timeout": 0.01}, "within 0.01 s")],
)
def test_no_worker(options, message):
    """At once or after a while: the block is not entered."""
    configure(max_workers=1, **options)
    gate = threading.Event()

    async def main() -> None:
        holder = run_in_executor(gate.wait, WAIT)
        with pytest.raises(RejectedError, match=message):
            async with held_lane("block"):
                pytest.fail("entered")
        gate.set()
        assert await holder

    asyncio.run(main())


def test_cancelled_in_line():
    """Whoever gives up while it waits for a worker leaves the line."""
    configure(max_workers=1)
    gate = threading.Event()

    async def enter() -> None:
        async with held_lane("block"):
            pytest.fail("entered")

    async def main() -> None:
        holder = run_in_executor(gate.wait, WAIT)
        task = asyncio.ensure_future(enter())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert statistics()["default"].waiting == 0
        gate.set()
        assert await holder

    asyncio.run(main())
