"""`time`, with a `sleep` for both colours.

    from tornado_unblock.shim import time    # instead of: import time

    time.sleep(0.2)                          # in a worker, a script, a test
    await time.sleep.aio(0.2)                # in a coroutine

All else is the standard library's.
"""

from __future__ import annotations

import asyncio
import time as _time
from typing import Any

from tornado_unblock.shim._crossing.dual import pair


def _sleep(seconds: float) -> None:
    _time.sleep(seconds)


async def _sleep_aio(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    await asyncio.sleep(seconds)


sleep = pair(_sleep, _sleep_aio)
"""Wait so many seconds; ``await sleep.aio(seconds)`` in a coroutine."""


def __getattr__(name: str) -> Any:
    return getattr(_time, name)
