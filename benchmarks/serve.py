"""The process of one contender: `python -m benchmarks.serve NAME --workers N`.

It prints its port and its process's number first, and serves until its standard input
ends, as it does when the process that started it is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
import threading

from tornado.httpserver import HTTPServer
from tornado.web import Application

from benchmarks.contenders import CONTENDERS, contender_named

# Long enough for all clients of any scenario to connect at once, as far as the system
# allows: /proc/sys/net/core/somaxconn.
BACKLOG = 8192


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=[c.name for c in CONTENDERS])
    parser.add_argument("--workers", type=int, default=50)
    given = parser.parse_args()
    logging.getLogger("tornado.access").setLevel(logging.ERROR)  # else it warns of 499s
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    listening.setblocking(False)
    module = contender_named(given.contender).load()
    print(listening.getsockname()[1], os.getpid(), flush=True)
    if hasattr(module, "serve"):
        module.serve(listening, given.workers)
    else:
        asyncio.run(_serve(module.application, listening, given.workers))


async def _serve(application: object, listening: socket.socket, workers: int) -> None:
    assert callable(application)
    app: Application = application(workers)
    HTTPServer(app).add_sockets([listening])
    await asyncio.Event().wait()


def _leave_with_parent() -> None:
    # The parent's end of this pipe closes with the parent, however that ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
