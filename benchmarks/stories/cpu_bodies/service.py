"""One variant of the service in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading

import tornado.httpserver
import tornado.netutil
import tornado.web

from benchmarks.harness.variant import Variant, named
from benchmarks.stories.cpu_bodies.settings import VARIANTS
from tornado_unblock import serve_until_signal

DEADLINE = 10.0  # seconds for what is under way when the end comes


def application(variant: Variant, steps: int) -> tornado.web.Application:
    """Return the handlers of `variant`; `steps` is how much they compute."""
    return tornado.web.Application(variant.load().ROUTES, steps=steps)


async def serve(application: tornado.web.Application) -> None:
    """Serve on a free port, printed as the first line, until told to end.

    Processes that compute must end with this one, so it ends in good order.
    """
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(application)
    server.add_sockets(sockets)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(sockets[0].getsockname()[1], flush=True)
    await serve_until_signal(server, deadline=DEADLINE)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # ends with the process that started this one
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run one variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--variant", choices=names, required=True)
    parser.add_argument("--steps", type=int, required=True, help="of computing")
    given = parser.parse_args()
    asyncio.run(serve(application(named(VARIANTS, given.variant), given.steps)))


if __name__ == "__main__":
    main()
