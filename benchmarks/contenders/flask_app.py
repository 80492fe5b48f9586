"""The Flask application that four servers serve."""

from __future__ import annotations

from flask import Flask

from benchmarks.contenders.bodies import answer
from benchmarks.contenders.by_hand import work

app = Flask(__name__)


@app.get("/trivial")
def trivial() -> str:
    """Answer."""
    return work()


@app.get("/wait/<seconds>")
def wait(seconds: str) -> str:
    """Answer after so many seconds."""
    return work(float(seconds))


@app.get("/body/<name>")
def body(name: str) -> str:
    """Do what users do."""
    return answer(name)
