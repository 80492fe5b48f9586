"""The Flask application that three servers serve."""

from __future__ import annotations

from flask import Flask

from benchmarks.contenders.by_hand import work


def application() -> Flask:
    """Return it."""
    app = Flask(__name__)

    @app.get("/trivial")
    def trivial() -> str:
        return work()

    @app.get("/wait/<seconds>")
    def wait(seconds: str) -> str:
        return work(float(seconds))

    return app
