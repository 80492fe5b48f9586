"""What both server processes do the same: listen, say where, leave with the parent."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import tornado.httpserver
import tornado.netutil
import tornado.web


def serve(application: tornado.web.Application) -> None:
    """Serve on a free port of the loopback, printed as the first line, for ever."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    asyncio.run(_serve(application))


async def _serve(application: tornado.web.Application) -> None:
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def _leave_with_parent() -> None:
    # The parent holds the other end of this pipe, so it ends with the parent,
    # even one that was killed. A blocked loop could not look after that itself.
    sys.stdin.buffer.read()
    os._exit(0)
