"""Flask on waitress: a thread for each request, from a pool."""

from __future__ import annotations

import logging
import socket

import waitress  # type: ignore[import-untyped]

from benchmarks.contenders.flask_app import application


def serve(listening: socket.socket, workers: int) -> None:
    """Serve until killed."""
    # It warns whenever a request has to wait.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(
        application(),
        sockets=[listening],
        threads=workers,
        connection_limit=10_000,
        asyncore_use_poll=True,  # select() takes no more than 1,024 sockets
    )
