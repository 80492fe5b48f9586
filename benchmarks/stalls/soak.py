"""Reports that are false: `python -m benchmarks.stalls.soak [--seconds N]`.

A loop that only has short callbacks, on a machine where more processes compute than
there are processors, and with threads of its own that want the interpreter. Whatever is
reported is false. The longest turn is told, so that it shows whether there was any.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Optional

import tornado_unblock

_BURN = "while True: pass"


async def turn(seconds: float) -> None:
    """Go round every few milliseconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(0.002)
        sum(range(2000))


def soak(seconds: float, threads: int) -> None:
    """Run, and say what was reported."""
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(500))

    burners = [threading.Thread(target=burn) for _ in range(threads)]
    for thread in burners:
        thread.start()

    async def main() -> None:
        with_watch = tornado_unblock.watch(0.1)
        await turn(seconds)
        (loop,) = tornado_unblock.loop_statistics()
        print(
            f"{threads} threads: {loop.stalls} reports in {loop.watched:.0f} s; "
            f"longest turn {loop.longest:.3f} s, {loop.starved:.1f} s starved in all"
        )
        with_watch.stop()

    asyncio.run(main())
    stop.set()
    for thread in burners:
        thread.join()


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Load the machine, and soak with and without threads."""
    parser = argparse.ArgumentParser("python -m benchmarks.stalls.soak")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args(arguments)
    burners = [
        subprocess.Popen([sys.executable, "-c", _BURN])
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        for threads in (0, 4):
            soak(given.seconds, threads)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


if __name__ == "__main__":
    main()
