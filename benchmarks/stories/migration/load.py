"""Clients that book seats, and pings beside them."""

from __future__ import annotations

import asyncio
import itertools
import time

import aiohttp

from benchmarks.harness.client import keep_busy
from benchmarks.harness.figures import Load
from benchmarks.harness.neighbour import Measured, beside
from benchmarks.stories.migration.schema import BIG

FORM = {"show": BIG, "seats": "1"}


async def loaded(url: str, connections: int, seconds: float) -> Measured:
    """Keep `connections` clients booking, and ping meanwhile."""
    return await beside(url, seconds, book(url, connections, seconds))


async def book(url: str, connections: int, seconds: float) -> Load:
    """Keep `connections` busy; what is under way at the end does not count."""
    numbers = itertools.count()

    async def ask(session: aiohttp.ClientSession) -> float | None:
        begun = time.perf_counter()
        headers = {"X-Request-Id": f"load-{next(numbers)}"}
        try:
            async with session.post(f"{url}/book", data=FORM, headers=headers) as done:
                await done.read()
        except (aiohttp.ClientError, asyncio.TimeoutError):
            return None
        return time.perf_counter() - begun if done.status == 200 else None

    return await keep_busy(ask, connections, seconds)
