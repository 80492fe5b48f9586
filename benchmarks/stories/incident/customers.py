"""Who asks the shop, again and again, and what they get."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient

from benchmarks.stories.incident.database import ORDERS

#: How many ask for each path, and what they pause between two requests, in seconds.
CUSTOMERS = {"/orders": (20, 0.5), "/catalog": (1, 0.2), "/health": (1, 0.2)}
PATIENCE = 30.0


class Answers(NamedTuple):
    """What the customers of one path got.

    Attributes:
        codes: How often each status came; 599 is no answer.
        seconds: What each answer with a 200 took.
    """

    codes: Counter[int]
    seconds: list[float]

    def median(self) -> float:
        """Return the median of the seconds."""
        return sorted(self.seconds)[len(self.seconds) // 2]


class Customers:
    """All customers, from `start` on.

    Args:
        address: The shop.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count()
        self._client: Any = None
        self._answers = self._none()

    def all(self) -> list[Coroutine[Any, Any, None]]:
        """Return what each customer does, for ever."""
        self._client = AsyncHTTPClient(force_instance=True, max_clients=100)
        return [
            self._ask(path, pause, pause * number / customers)
            for path, (customers, pause) in CUSTOMERS.items()
            for number in range(customers)
        ]

    def since(self) -> dict[str, Answers]:
        """Return what they got since the last call, by path."""
        found, self._answers = self._answers, self._none()
        return found

    def _none(self) -> dict[str, Answers]:
        return {path: Answers(Counter(), []) for path in CUSTOMERS}

    async def _ask(self, path: str, pause: float, first: float) -> None:
        await asyncio.sleep(first)
        while True:
            number = next(self._numbers) % ORDERS
            url = self._address + (f"{path}/{number}" if path == "/orders" else path)
            began = time.monotonic()
            response = await self._client.fetch(
                url, raise_error=False, request_timeout=PATIENCE
            )
            answers = self._answers[path]
            answers.codes[response.code] += 1
            if response.code == 200:
                answers.seconds.append(time.monotonic() - began)
            await asyncio.sleep(pause)
