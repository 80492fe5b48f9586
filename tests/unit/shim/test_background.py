"""The process's own loop, and what is kept on loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tornado_unblock import (
    LoopThreadError,
    run_in_executor,
    shim,
    shutdown,
    testing,
)
from tornado_unblock._loop.per_loop import ClosedPerLoop
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim._crossing.background import (
    background_portal,
    close_background,
)


async def running() -> Any:
    return asyncio.get_running_loop()


def test_it_is_one_for_all_threads():
    """However many ask at once."""
    barrier = threading.Barrier(8)
    loops = []

    def ask() -> None:
        barrier.wait()
        loops.append(shim.wait(running()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loops) == 8
    assert len(set(loops)) == 1


def test_reset_ends_it():
    """`testing.reset` closes the loop; the next wait makes another one."""
    first = shim.wait(running())
    testing.reset()
    assert first.is_closed()
    assert shim.wait(running()) is not first


def test_closing_twice():
    """Closing what is not there does nothing."""
    loop = background_portal().loop
    close_background()
    close_background()
    assert loop.is_closed()


class Resource:
    """Something that belongs to a loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended = ""

    async def close(self) -> None:
        assert asyncio.get_running_loop() is self.loop
        await asyncio.sleep(0)
        self.ended += "closed"

    def drop(self) -> None:
        self.ended += "dropped"


resources: ClosedPerLoop[Resource] = ClosedPerLoop(
    Resource, Resource.close, Resource.drop
)


async def get() -> Resource:
    return resources.get()


def test_each_loop_has_its_own():
    """It is made once for each loop, and closed with the process's own."""
    kept = shim.wait(get())
    assert shim.wait(get()) is kept

    async def main() -> Resource:
        mine = resources.get()
        assert await run_in_executor(lambda: shim.wait(get())) is mine
        return mine

    other = asyncio.run(main())
    assert other is not kept
    assert other.ended == "dropped"
    testing.reset()
    assert kept.ended == "closed"


def test_closing_one():
    """Whoever wants it gone can close it; the next one who asks gets another."""

    async def main() -> None:
        await resources.close()
        first = resources.get()
        await resources.close()
        assert first.ended == "closed"
        second = resources.get()
        assert second is not first

    asyncio.run(main())


def test_a_loop_that_cannot_be_closed():
    """What it keeps stays until it is."""

    async def main() -> Resource:
        kept = resources.get()
        with pytest.raises(RuntimeError, match="running"):
            asyncio.get_running_loop().close()
        assert resources.get() is kept
        assert kept.ended == ""
        return kept

    assert asyncio.run(main()).ended == "dropped"


def test_shutdown_closes_them():
    """What is kept on a loop goes when the loop is drained."""

    async def main() -> str:
        kept = resources.get()
        assert await shutdown() == []
        return kept.ended

    assert asyncio.run(main()) == "closed"


@pytest.mark.expect_log("tornado.application", "failed while the loop closes")
def test_one_that_cannot_be_closed():
    """It is logged, and the others are closed."""

    async def main() -> list[str]:
        done: list[str] = []

        async def fail() -> None:
            raise ValueError

        async def close() -> None:
            done.append("closed")

        portal = current_portal()
        portal.before_close += [close, fail]
        await portal.release()
        return done

    assert asyncio.run(main()) == ["closed"]


def test_reset_drops_what_open_loops_keep():
    """A test's loop may live on; what was kept on it does not."""

    async def main() -> str:
        mine = resources.get()
        await run_in_executor(int)
        testing.reset()
        return mine.ended

    assert asyncio.run(main()) == "dropped"


def test_it_needs_a_loop():
    """Elsewhere there is nothing to keep it on."""
    with pytest.raises(LoopThreadError, match="no event loop runs"):
        resources.get()
