"""The process of one of Tornado's contenders: `python -m benchmarks.serve NAME`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
from typing import Callable

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes
from tornado.web import Application

from benchmarks.contenders import BACKLOG, OURS, contender_named


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=[c.name for c in OURS])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--forked", action="store_true", help="a process for each core")
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    logging.getLogger("tornado.access").setLevel(logging.ERROR)  # else it warns of 499s
    sockets = bind_sockets(given.port, "127.0.0.1", backlog=BACKLOG)
    if given.forked:
        fork_processes(0)  # before there is a thread or a loop
    module = contender_named(given.contender).load()
    serving = _serve(module.application, sockets, given.workers)
    if given.uvloop:
        import uvloop

        uvloop.run(serving)
    else:
        asyncio.run(serving)


async def _serve(
    application: Callable[[int], Application],
    sockets: list[socket.socket],
    workers: int,
) -> None:
    HTTPServer(application(workers)).add_sockets(sockets)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
