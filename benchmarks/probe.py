"""Measurements that need no server: `python -m benchmarks.probe WHAT CONTENDER`.

Each runs in a fresh process and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import gc
import importlib.util
import json
import sys
import threading
import time
from typing import Any

Figures = dict[str, float]

DEPTHS = (10, 100, 1_000, 10_000)
IDLE_WORKERS = 100


def imports(contender: str, quick: bool) -> Figures:
    """Time `import tornado_unblock` after `import tornado.web`; in seconds.

    `foreign` counts the third-party modules it brought, its own dependency aside. It is
    compiled before, as pip does when it installs.
    """
    compile_package("tornado_unblock")
    begun = time.perf_counter()
    __import__("tornado.web")
    base = time.perf_counter()
    before = set(sys.modules)
    __import__("tornado_unblock")
    end = time.perf_counter()
    own = ("tornado", "tornado_unblock", "wrapt")
    names = {name.partition(".")[0] for name in set(sys.modules) - before}
    foreign = [n for n in names if n not in own and _is_third_party(n)]
    return {"seconds": end - base, "tornado": base - begun, "foreign": len(foreign)}


def compile_package(name: str) -> None:
    """Write the bytecode of a package, also where Python is told to write none."""
    spec = importlib.util.find_spec(name)
    for folder in (spec and spec.submodule_search_locations) or ():
        compileall.compile_dir(folder, quiet=2)


def _is_third_party(name: str) -> bool:
    origin = getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None)
    return "-packages" in str(origin)  # site-packages, or Debian's dist-packages


def queue(contender: str, quick: bool) -> Figures:
    """Measure processor seconds per request, by how many are in flight at once.

    One worker; the first request keeps it until all the others are in line. Every
    tenth request waits a little, at any depth, so that each depth has the same mix.
    "bare" is without Python's cyclic garbage collector, whose full collections visit
    whatever is in flight.
    """
    return asyncio.run(_queue(contender, 1_000 if quick else 2_000))


async def _queue(contender: str, requests: int) -> Figures:
    line = Line(_application(contender, 1), contender != "native")
    for _ in range(20):
        await line.cpu(10, 10)
    figures: Figures = {}
    for depth in DEPTHS:
        figures[f"cpu-{depth}"] = await line.cpu(depth, requests)
    gc.disable()
    for depth in (DEPTHS[0], DEPTHS[-1]):
        figures[f"bare-{depth}"] = await line.cpu(depth, requests)
    return figures


class Line:
    """Requests that wait for one worker.

    Args:
        application: What answers them.
        queues: Whether they do have to wait.
    """

    def __init__(self, application: Any, queues: bool) -> None:
        self._application = application
        self._queues = queues
        self._pace = 0.001  # seconds that it takes to put one in line
        self._batches = self._late = 0

    async def cpu(self, depth: int, requests: int) -> float:
        """Return the seconds each takes of the processor, so many at once."""
        times = max(1, requests // depth)
        gc.collect()
        begun = time.process_time()
        for _ in range(times):
            await self._batch(depth)
        return (time.process_time() - begun) / (times * depth)

    async def _batch(self, depth: int) -> None:
        from benchmarks.harness.inprocess import all_well, request

        few = ["/wait/0.0001", *["/trivial"] * 9]
        first = f"/wait/{0.01 + 2 * depth * self._pace:.4f}"
        paths = [first, *few[1:], *few * (depth // 10 - 1)]
        begun = time.perf_counter()
        waiting = [request(self._application, path) for path in paths]
        await _begun()
        self._pace = (time.perf_counter() - begun) / depth
        self._batches += 1
        self._late += self._queues and any(one.done() for one in waiting)
        await all_well(waiting)
        # On a busy machine it may happen, but then the line is shorter than it says.
        if self._late > 1 + self._batches / 20:
            raise RuntimeError(f"{depth} requests could not be put in line in time")


def memory(contender: str, quick: bool) -> Figures:
    """Measure the bytes that an idle worker and a queued request take."""
    return asyncio.run(_memory(contender, 2_000 if quick else 5_000))


async def _memory(contender: str, queued: int) -> Figures:
    from benchmarks.harness.inprocess import all_well, request
    from benchmarks.harness.usage import own_memory

    app = _application(contender, IDLE_WORKERS)
    await all_well([request(app, "/trivial") for _ in range(IDLE_WORKERS)])
    before, had = _settled(own_memory), threading.active_count()
    await all_well([request(app, "/wait/0.3") for _ in range(IDLE_WORKERS)])
    workers = threading.active_count() - had
    idle = _settled(own_memory) - before
    busy = [request(app, f"/wait/{queued * 0.001:.1f}") for _ in range(IDLE_WORKERS)]
    await _begun()
    before = _settled(own_memory)
    waiting = [request(app, "/trivial") for _ in range(queued)]
    await _begun()
    taken = own_memory() - before
    if any(one.done() for one in waiting):
        raise RuntimeError("a request that should wait was answered")
    await all_well(busy + waiting)
    return {
        "workers": workers,
        "worker": idle / max(1, workers),
        "queued": taken / queued,
    }


async def _begun() -> None:
    """Let the loop begin with all that was asked for."""
    for _ in range(5):
        await asyncio.sleep(0)


def _settled(figure: Any) -> int:
    gc.collect()
    found: int = figure()
    return found


def _application(contender: str, workers: int) -> Any:
    from benchmarks.contenders import contender_named

    return contender_named(contender).load().application(workers)


PROBES = {"imports": imports, "queue": queue, "memory": memory}


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=PROBES)
    parser.add_argument("contender")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    print(json.dumps(PROBES[given.what](given.contender, given.quick)))


if __name__ == "__main__":
    main()
