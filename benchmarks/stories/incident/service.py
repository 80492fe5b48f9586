"""The server's process; its arguments: a URL, a prefix, and a port for the page."""

from __future__ import annotations

import sys

from benchmarks.harness import serving
from benchmarks.stories.incident.database import Database
from examples.incident.app import make_app
from tornado_unblock import status

WORKERS = 8


def main() -> None:
    """Serve the shop on a free port, and its status page on the one that is given."""
    url, prefix, port = sys.argv[1:]
    database = Database(url, prefix)
    app = make_app(database.engine(WORKERS), database.orders, WORKERS)
    status.serve(port=int(port), app=app)
    serving.serve(app)


if __name__ == "__main__":
    main()
