"""Starlette's `def` endpoints, which it runs on threads, under uvicorn."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.contenders.bodies import answer
from benchmarks.contenders.by_hand import work


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Set how many threads there may be, as Starlette's documentation has it."""
    workers = int(os.environ.get("BENCH_WORKERS", "50"))
    anyio.to_thread.current_default_thread_limiter().total_tokens = workers
    yield


def trivial(request: Request) -> PlainTextResponse:
    """Answer."""
    return PlainTextResponse(work())


def wait(request: Request) -> PlainTextResponse:
    """Answer after so many seconds."""
    return PlainTextResponse(work(request.path_params["seconds"]))


def body(request: Request) -> PlainTextResponse:
    """Do what users do."""
    return PlainTextResponse(answer(request.path_params["name"]))


app = Starlette(
    routes=[
        Route("/trivial", trivial),
        Route("/wait/{seconds:float}", wait),
        Route("/body/{name}", body),
    ],
    lifespan=lifespan,
)
