"""A load on the route that computes, and the latency of the route beside it."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from dataclasses import dataclass

import aiohttp

from examples.order_service import client
from examples.order_service.results import Load

PINGS_PER_SECOND = 50


@dataclass(frozen=True)
class Pings:
    """What came of the pings; latencies in seconds.

    Attributes:
        latencies: Of those that were answered.
        failed: How many were not.
    """

    latencies: tuple[float, ...]
    failed: int

    def quantile(self, share: float) -> float:
        """Return the latency that such a share of those answered did not exceed."""
        ranked = sorted(self.latencies)
        if not ranked:
            return math.inf
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


@dataclass(frozen=True)
class Measured:
    """What one variant made of the load.

    Attributes:
        pings: The neighbour, meanwhile.
        load: The route that computes; None if it was left alone.
    """

    pings: Pings
    load: Load | None = None

    @property
    def failed(self) -> int:
        """How many requests failed in all."""
        return self.pings.failed + (self.load.failed if self.load else 0)


async def totals(url: str, count: int) -> set[object]:
    """Ask for the total `count` times at once, and return the different answers."""
    async with aiohttp.ClientSession(url, timeout=client.TIMEOUT) as session:
        return set(await asyncio.gather(*(_total(session) for _ in range(count))))


async def _total(session: aiohttp.ClientSession) -> object:
    async with session.get("/total") as response:
        if response.status != 200:
            return f"status {response.status}"
        return (await response.json())["total"]


async def alone(url: str, seconds: float) -> Measured:
    """Ping a service that has nothing else to do."""
    return Measured(await ping(url, seconds))


async def loaded(url: str, connections: int, seconds: float) -> Measured:
    """Keep `connections` clients asking for the total, and ping meanwhile."""
    pings, load = await asyncio.gather(
        ping(url, seconds),
        client.load(itertools.repeat(f"{url}/total"), connections, seconds),
    )
    return Measured(pings, load)


async def ping(url: str, seconds: float) -> Pings:
    """Ping at a steady pace, whether the last one was answered or not.

    Latencies count from when a ping was due: a stall delays all that were due in it.
    """
    connector = aiohttp.TCPConnector(limit=0)
    begun = time.perf_counter()
    moments = [
        begun + number / PINGS_PER_SECOND
        for number in range(max(1, int(seconds * PINGS_PER_SECOND)))
    ]
    async with aiohttp.ClientSession(
        connector=connector, timeout=client.TIMEOUT
    ) as session:
        outcomes = await asyncio.gather(
            *(_ping(session, f"{url}/ping", due) for due in moments)
        )
    latencies = tuple(latency for latency in outcomes if latency is not None)
    return Pings(latencies, outcomes.count(None))


async def _ping(session: aiohttp.ClientSession, url: str, due: float) -> float | None:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    answered = await client.timed_get(session, url)
    return None if answered is None else time.perf_counter() - due
