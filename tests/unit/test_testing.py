"""`testing.reset`: nothing is left for the next test."""

from __future__ import annotations

import asyncio
import threading

from tornado_unblock import run_in_executor, testing


def test_reset_does_not_wait_for_ever():
    """A body that never ends is left to itself."""
    gate, held = threading.Event(), threading.Event()

    def body() -> bool:
        held.set()
        return gate.wait(10)

    async def main() -> None:
        future = run_in_executor(body)
        assert held.wait(10)
        testing.reset(timeout=0.01)
        gate.set()
        assert await future

    asyncio.run(main())
