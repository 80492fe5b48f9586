"""Each executor has one limiter on each loop, kept as long as it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc

from tests.unit.limits.conftest import counts
from tornado_unblock import (
    run_in_executor,
    statistics,
)


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
