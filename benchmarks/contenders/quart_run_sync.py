"""Quart's `run_sync`, under Hypercorn."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from quart import Quart
from quart.utils import run_sync

from benchmarks.contenders.bodies import answer
from benchmarks.contenders.by_hand import work

app = Quart(__name__)


@app.before_serving
async def begin() -> None:
    """Let the loop have as many threads as the other contenders."""
    workers = int(os.environ.get("BENCH_WORKERS", "50"))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(workers))


@app.get("/trivial")
async def trivial() -> str:
    """Answer."""
    return str(await run_sync(work)())


@app.get("/wait/<seconds>")
async def wait(seconds: str) -> str:
    """Answer after so many seconds."""
    return str(await run_sync(work)(float(seconds)))


@app.get("/body/<name>")
async def body(name: str) -> str:
    """Do what users do."""
    return str(await run_sync(answer)(name))
