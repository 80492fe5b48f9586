"""FastAPI's `def` endpoints, which it runs on threads, under uvicorn."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from benchmarks.contenders.bodies import answer
from benchmarks.contenders.by_hand import work
from benchmarks.contenders.starlette_def import lifespan

app = FastAPI(lifespan=lifespan)


@app.get("/trivial", response_class=PlainTextResponse)
def trivial() -> str:
    """Answer."""
    return work()


@app.get("/wait/{seconds}", response_class=PlainTextResponse)
def wait(seconds: float) -> str:
    """Answer after so many seconds."""
    return work(seconds)


@app.get("/body/{name}", response_class=PlainTextResponse)
def body(name: str) -> str:
    """Do what users do."""
    return answer(name)
