"""What both server processes do the same: listen, say where, leave with the parent."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

import tornado.httpserver
import tornado.netutil
import tornado.process
import tornado.web


def serve(
    application: tornado.web.Application, processes: int = 1, backlog: int = 128
) -> None:
    """Serve on a free port of the loopback, printed as the first line, for ever.

    Args:
        application: What to serve.
        processes: How many to fork, as `HTTPServer.start(processes)` does; with one,
            this process serves by itself.
        backlog: How many connections may wait to be accepted.
    """
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1", backlog=backlog)
    print(sockets[0].getsockname()[1], flush=True)
    if processes > 1:
        tornado.process.fork_processes(processes)  # before there is a thread or a loop
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    asyncio.run(_serve(application, sockets))


async def _serve(
    application: tornado.web.Application, sockets: list[socket.socket]
) -> None:
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    await asyncio.Event().wait()


def _leave_with_parent() -> None:
    # The parent holds the other end of this pipe, so it ends with the parent,
    # even one that was killed. A blocked loop could not look after that itself.
    sys.stdin.buffer.read()
    os._exit(0)
