"""Flask on gunicorn's gthread worker: one process, a pool of threads."""

from __future__ import annotations

import socket
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from benchmarks.contenders.flask_app import application


class Gunicorn(BaseApplication):  # type: ignore[misc]
    """Gunicorn, configured without a command line."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Take over the options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application."""
        return application()


def serve(listening: socket.socket, workers: int) -> None:
    """Serve until killed."""
    Gunicorn(
        bind=f"fd://{listening.fileno()}",
        workers=1,
        worker_class="gthread",
        threads=workers,
        worker_connections=10_000,
        backlog=4096,
        keepalive=75,
        timeout=120,
        graceful_timeout=1,
        loglevel="critical",
    ).run()
