"""HTTP clients that measure, run as processes of their own.

`load` keeps some connections busy with order requests for some seconds, each
asking again as soon as it is answered, and prints one line of JSON. `ping` asks
for one URL at a steady pace, whether the last one was answered or not, until its
standard input ends; it prints each latency, or "failed".
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Iterator
from typing import Callable

import aiohttp

from benchmarks.harness.figures import Load, summary

TIMEOUT = aiohttp.ClientTimeout(total=60)
PING_EVERY = 0.1  # seconds


async def timed_get(session: aiohttp.ClientSession, url: str) -> float | None:
    """Return how long it took to get `url`, or None if that did not succeed."""
    begun = time.perf_counter()
    try:
        async with session.get(url) as response:
            await response.read()
    except (aiohttp.ClientError, asyncio.TimeoutError):
        return None
    return time.perf_counter() - begun if response.status == 200 else None


async def load(urls: Iterator[str], connections: int, seconds: float) -> Load:
    """Keep `connections` busy; what is under way at the end does not count."""

    async def ask(session: aiohttp.ClientSession) -> float | None:
        return await timed_get(session, next(urls))

    return await keep_busy(ask, connections, seconds)


async def keep_busy(
    ask: Callable[[aiohttp.ClientSession], Awaitable[float | None]],
    connections: int,
    seconds: float,
) -> Load:
    """Have so many clients ask, each again as soon as it is answered.

    Args:
        ask: Makes a request, and returns how long it took, or None if it failed.
        connections: How many clients.
        seconds: For how long; what is under way then does not count.
    """
    latencies: list[float] = []
    failed = 0

    async def ask_on(session: aiohttp.ClientSession) -> None:
        nonlocal failed
        while True:
            latency = await ask(session)
            if latency is None:
                failed += 1
                return  # asking a broken server again at once would be a busy loop
            latencies.append(latency)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
        begun = time.perf_counter()
        tasks = [asyncio.create_task(ask_on(session)) for _ in range(connections)]
        await asyncio.wait(tasks, timeout=seconds)
        elapsed = time.perf_counter() - begun
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):  # being cancelled is none
            raise outcome
    return summary(latencies, failed, elapsed)


def orders(first: int, count: int, popular: int) -> Iterator[int]:
    """Yield what to ask for: nine times out of ten one of the popular orders."""
    for asked in itertools.count():
        yield first + (asked // 10 % count if asked % 10 == 9 else asked % popular)


async def ping(url: str) -> None:
    """Ask for `url` until the standard input ends, then wait for what is under way."""
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
        tasks: list[asyncio.Task[None]] = []
        while not tasks or not over.done():
            tasks.append(asyncio.create_task(_print_latency(session, url)))
            await asyncio.wait([over], timeout=PING_EVERY)
        await asyncio.gather(*tasks)


async def _print_latency(session: aiohttp.ClientSession, url: str) -> None:
    latency = await timed_get(session, url)
    print("failed" if latency is None else f"{latency:.6f}", flush=True)


def main() -> None:
    """Run one of the clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["load", "ping"])
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument(
        "--first", type=int, default=1, help="the first order to ask for"
    )
    parser.add_argument("--count", type=int, default=1, help="how many there are")
    parser.add_argument("--popular", type=int, default=1, help="how many of them")
    given = parser.parse_args()
    if given.what == "ping":
        asyncio.run(ping(given.url))
        return
    numbers = orders(given.first, given.count, given.popular)
    urls = (f"{given.url}?id={order}" for order in numbers)
    result = asyncio.run(load(urls, given.connections, given.seconds))
    print(json.dumps(dataclasses.asdict(result)), flush=True)


if __name__ == "__main__":
    main()
