"""A load on one route, and the latency of the route beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

import aiohttp

from benchmarks.harness import client
from benchmarks.harness.figures import Load, quantile

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
        return quantile(self.latencies, share)


@dataclass(frozen=True)
class Measured:
    """What one variant made of the load.

    Attributes:
        pings: The neighbour, meanwhile.
        load: The route that is asked; None if it was left alone.
    """

    pings: Pings
    load: Load | None = None

    @property
    def failed(self) -> int:
        """How many requests failed in all."""
        return self.pings.failed + (self.load.failed if self.load else 0)

    @property
    def busy(self) -> Load:
        """The load, where there was one."""
        assert self.load is not None
        return self.load


async def beside(url: str, seconds: float, load: Awaitable[Load]) -> Measured:
    """Ping the service at `url` while the load lasts."""
    pings, loaded = await asyncio.gather(ping(url, seconds), load)
    return Measured(pings, loaded)


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
