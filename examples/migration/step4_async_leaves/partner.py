"""The partner who prints the tickets: an API that takes its time, or is busy."""

import os
from typing import Any

from tornado_unblock import shim
from tornado_unblock.shim import requests
from tornado_unblock.shim.cache import cached
from tornado_unblock.shim.retry import retry

from .context import request_id

ATTEMPTS = 3
PAUSE = 0.05  # seconds before the next attempt
KEEP = 60.0  # seconds for which a rate is good


def busy(error: Exception) -> bool:
    response = getattr(error, "response", None)
    return response is not None and response.status_code == 503


@cached(ttl=KEEP)
async def rate(currency: str) -> float:
    answer = await ask.aio("/rate", currency=currency)
    return float(answer["rate"])


@shim.dual
async def reserve(show: str, seats: int) -> str:
    answer = await ask.aio("/reserve", show=show, seats=seats)
    return str(answer["code"])


@retry(on=busy, attempts=ATTEMPTS, wait_initial=PAUSE, wait_jitter=0)
async def ask(path: str, **params: Any) -> Any:
    url = os.environ["TICKETS_PARTNER"] + path
    headers = {"X-Request-Id": request_id.get()}
    response = await requests.get.aio(url, params=params, headers=headers, timeout=30)
    response.raise_for_status()
    return response.json()
