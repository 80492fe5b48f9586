"""What the guard counts: the same requests, native and through a hop, one by one.

Run under callgrind. `getppid`, which nothing else calls here, marks where a count
begins and ends: callgrind writes one down whenever it is entered.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys

from tornado.web import Application

from benchmarks.contenders import native, unblock
from benchmarks.harness.inprocess import request

WARM_UP = 60  # requests; the interpreter adapts its code to what it sees
REQUESTS = 300


async def serve(application: Application, times: int) -> None:
    """Answer so many requests, each when the last one is done."""
    for _ in range(times):
        status = await request(application, "/trivial")
        if status != 200:
            raise SystemExit(f"a request was answered with {status}")


async def main() -> None:
    """Warm up, then count."""
    applications = [native.application(1), unblock.application(1)]
    for application in applications:
        await serve(application, WARM_UP)
    gc.collect()
    gc.disable()
    os.getppid()
    for application in applications:
        await serve(application, REQUESTS)
        os.getppid()


if __name__ == "__main__":
    # The interpreter is handed over where one thread waits, and nowhere else.
    sys.setswitchinterval(1000)
    asyncio.run(main())
    print(REQUESTS)
