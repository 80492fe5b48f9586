"""aiohttp, with `run_in_executor` in each handler: `aiohttp_executor PORT WORKERS`."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from aiohttp import web

from benchmarks.contenders import BACKLOG
from benchmarks.contenders.bodies import answer
from benchmarks.contenders.by_hand import work

POOL = web.AppKey("pool", ThreadPoolExecutor)


async def on_a_thread(request: web.Request, fn: Callable[..., str], *args: Any) -> Any:
    """Run a function in the pool, and answer with what it returns."""
    loop = asyncio.get_running_loop()
    return web.Response(text=await loop.run_in_executor(request.app[POOL], fn, *args))


async def trivial(request: web.Request) -> web.Response:
    """Answer."""
    response: web.Response = await on_a_thread(request, work)
    return response


async def wait(request: web.Request) -> web.Response:
    """Answer after so many seconds."""
    seconds = float(request.match_info["seconds"])
    response: web.Response = await on_a_thread(request, work, seconds)
    return response


async def body(request: web.Request) -> web.Response:
    """Do what users do."""
    name = request.match_info["name"]
    response: web.Response = await on_a_thread(request, answer, name)
    return response


def main() -> None:
    """Serve."""
    app = web.Application()
    app[POOL] = ThreadPoolExecutor(int(sys.argv[2]))
    app.router.add_get("/trivial", trivial)
    app.router.add_get("/wait/{seconds}", wait)
    app.router.add_get("/body/{name}", body)
    port = int(sys.argv[1])
    web.run_app(
        app,
        host="127.0.0.1",
        port=port,
        backlog=BACKLOG,
        access_log=None,
        print=lambda *_: None,
    )


if __name__ == "__main__":
    main()
