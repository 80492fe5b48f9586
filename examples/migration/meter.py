"""Clients that book seats, and pings beside them."""

from __future__ import annotations

import asyncio
import itertools
import time

import aiohttp

from examples.cpu_bodies.meter import Measured, ping
from examples.migration.schema import BIG
from examples.order_service.client import TIMEOUT, summary
from examples.order_service.results import Load

FORM = {"show": BIG, "seats": "1"}


async def loaded(url: str, connections: int, seconds: float) -> Measured:
    """Keep `connections` clients booking, and ping meanwhile."""
    pings, load = await asyncio.gather(
        ping(url, seconds), book(url, connections, seconds)
    )
    return Measured(pings, load)


async def book(url: str, connections: int, seconds: float) -> Load:
    """Keep `connections` busy; what is under way at the end does not count."""
    latencies: list[float] = []
    failed = 0
    numbers = itertools.count()

    async def book_on(session: aiohttp.ClientSession) -> None:
        nonlocal failed
        while True:
            latency = await _timed_booking(session, f"load-{next(numbers)}")
            if latency is None:
                failed += 1
                return  # asking a broken server again at once would be a busy loop
            latencies.append(latency)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(
        url, connector=connector, timeout=TIMEOUT
    ) as session:
        begun = time.perf_counter()
        tasks = [asyncio.create_task(book_on(session)) for _ in range(connections)]
        await asyncio.wait(tasks, timeout=seconds)
        elapsed = time.perf_counter() - begun
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return summary(latencies, failed, elapsed)


async def _timed_booking(session: aiohttp.ClientSession, caller: str) -> float | None:
    begun = time.perf_counter()
    headers = {"X-Request-Id": caller}
    try:
        async with session.post("/book", data=FORM, headers=headers) as response:
            await response.read()
    except (aiohttp.ClientError, asyncio.TimeoutError):
        return None
    return time.perf_counter() - begun if response.status == 200 else None
