"""What a watch costs a request, in instructions: needs valgrind.

    python -m benchmarks.stalls.instructions

The same requests without sockets, watched and not, one by one under callgrind, with the
marks of `benchmarks.guard_scenario`. The watcher's own looks are left out: they come by
the clock, and callgrind makes everything but the clock some fifty times slower.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import tornado_unblock
from benchmarks.contenders import native
from benchmarks.guard import MARKER, environment
from benchmarks.guard_scenario import REQUESTS, serve
from tornado_unblock._stalls import watcher

# Requests before any is counted. To replace a method has the interpreter adapt the code
# around it again, which takes some two hundred of them.
WARM_UP = 400
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


async def scenario() -> None:
    """Serve, and then watched; no turn is a stall, however slow callgrind makes it."""
    application = native.application(1)
    await serve(application, WARM_UP)
    gc.collect()
    gc.disable()
    os.getppid()
    await serve(application, REQUESTS)
    os.getppid()
    watcher._LOOK = 3600.0
    kept = tornado_unblock.watch(3600.0)
    await serve(application, WARM_UP)
    os.getppid()
    await serve(application, REQUESTS)
    os.getppid()
    kept.stop()


def main() -> int:
    """Count, and say what it comes to."""
    with tempfile.TemporaryDirectory(prefix="stalls_") as folder:
        out = Path(folder) / "counts"
        options = ["--tool=callgrind", "--quiet", f"--dump-before={MARKER}"]
        program = [sys.executable, "-m", "benchmarks.stalls.instructions", "--scenario"]
        command = ["valgrind", *options, f"--callgrind-out-file={out}", *program]
        subprocess.run(command, env=environment(), check=True, timeout=900)
        files = sorted(Path(folder).glob("counts.*"))
        texts = [path.read_text() for path in files]
    _, plain, _, watched = (
        int(found[1]) / REQUESTS for found in map(_TOTALS.search, texts[:4]) if found
    )
    more = watched - plain
    print(f"{more:,.0f} instructions a request: {more / plain:+.1%} of {plain:,.0f}")
    return 0


if __name__ == "__main__":
    if "--scenario" in sys.argv:
        sys.setswitchinterval(1000)
        asyncio.run(scenario())
    else:
        sys.exit(main())
