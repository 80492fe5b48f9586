"""FastAPI's `def` endpoints, which it runs on threads, under uvicorn."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from benchmarks.contenders.by_hand import work


def serve(listening: socket.socket, workers: int) -> None:
    """Serve until killed, on the same kind of event loop as Tornado's."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = workers
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/trivial", response_class=PlainTextResponse)
    def trivial() -> str:
        return work()

    @app.get("/wait/{seconds}", response_class=PlainTextResponse)
    def wait(seconds: float) -> str:
        return work(seconds)

    config = uvicorn.Config(app, log_level="error", access_log=False, loop="asyncio")
    uvicorn.Server(config).run(sockets=[listening])
