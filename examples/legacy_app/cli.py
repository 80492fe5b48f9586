"""The command line: a database, an application, a server until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence

import tornado.httpserver
import tornado.ioloop
import tornado.log
import tornado.netutil
from sqlalchemy.exc import SQLAlchemyError

from examples.legacy_app import models
from examples.legacy_app.app import make_app
from tornado_unblock import unblock_application

DESCRIPTION = """Serve an application whose handlers all block, until Ctrl-C; users are
alice (password wonderland), bob (builder) and carol (christmas)."""
UNBLOCK_HELP = "run its handlers on workers: unblock_application(app)"
DATABASE_HELP = """sqlite:///path/to/file, mysql://user@host/database or
postgresql://user@host/database; also read from the environment variable DATABASE;
without, an SQLite file that is deleted afterwards"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, and return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m examples.legacy_app", description=DESCRIPTION
    )
    parser.add_argument("--unblock", action="store_true", help=UNBLOCK_HELP)
    parser.add_argument("--port", type=int, default=8888, help="0: any (%(default)s)")
    parser.add_argument("--database", metavar="URL", help=DATABASE_HELP)
    options = parser.parse_args(arguments)
    tornado.log.enable_pretty_logging()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="legacy_app-") as folder:
        url = options.database or os.environ.get("DATABASE")
        try:
            engine = models.connect(url or f"sqlite://{folder}/legacy_app.sqlite")
            engine.connect().close()
        except (ValueError, SQLAlchemyError) as error:
            print(f"legacy_app: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
        try:
            models.create(engine)
            serve(folder, options.port, options.unblock)
        except KeyboardInterrupt:
            print("stopped")
        finally:
            models.drop(engine)
    return 0


def serve(uploads: str, port: int, unblock: bool) -> None:
    """Serve for ever; the first line printed says where."""
    app = make_app(uploads)
    if unblock:
        unblock_application(app)
    sockets = tornado.netutil.bind_sockets(port, "127.0.0.1")
    tornado.httpserver.HTTPServer(app).add_sockets(sockets)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
    tornado.ioloop.IOLoop.current().start()
