"""Each executor has one limiter on each loop, kept as long as it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
from typing import Any

from tests.unit.limits.conftest import counts
from tornado_unblock import (
    configure,
    run_in_executor,
    statistics,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import limiter_of, limiters, placement
from tornado_unblock._loop.portal import current_portal


def test_foreign_executors():
    """They go by the name of their class, and are not kept alive for it."""

    async def main() -> None:
        for _ in range(2):
            with concurrent.futures.ThreadPoolExecutor(2) as executor:
                await asyncio.gather(
                    run_in_executor(int, executor=executor),
                    run_in_executor(int, executor=executor),
                )
                seen = statistics()["ThreadPoolExecutor"]
                assert seen.threads in (1, 2)
                assert seen.total_tokens == 2
            del executor
            await asyncio.sleep(0)
            gc.collect()
        seen = statistics()["ThreadPoolExecutor"]
        assert (seen.total_tokens, seen.threads) == (0, 0)
        assert counts(seen.endpoints["int"]) == {"completed": 4}

    asyncio.run(main())


def test_one_limiter_for_each_loop_and_executor():
    """Kept for as long as both live; an endpoint is counted once, however asked for."""

    async def main() -> Any:
        portal = current_portal()
        first = placement(portal, get_executor("reports"), "Orders.get", None)
        again = placement(portal, get_executor("reports"), "Orders.get", None)
        other = placement(portal, get_executor(), "Orders.get", None)
        assert first.limiter is again.limiter is not other.limiter
        assert first.endpoint is again.endpoint is not other.endpoint
        assert set(limiters(portal)) == {first.limiter, other.limiter}
        return first.limiter

    assert asyncio.run(main()) is not asyncio.run(main())


def test_timeout_of_the_executor_or_its_own():
    """What says nothing has the executor's."""
    configure("reports", timeout=30.0)

    async def main() -> Any:
        portal, executor = current_portal(), get_executor("reports")
        return [placement(portal, executor, "it", t).timeout for t in (None, 5.0)]

    assert asyncio.run(main()) == [30.0, 5.0]


def test_executor_that_is_dropped_is_forgotten():
    """Whoever made one may drop it any time; its limiter goes too."""

    async def main() -> None:
        portal = current_portal()
        executor = concurrent.futures.ThreadPoolExecutor(1)
        assert limiter_of(portal, executor) is limiter_of(portal, executor)
        assert len(limiters(portal)) == 1
        executor.shutdown()
        del executor
        gc.collect()
        assert limiters(portal) == []

    asyncio.run(main())
