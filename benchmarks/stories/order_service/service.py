"""One stage of the order service in a process of its own.

The database's URL is in the environment variable DATABASE: it may hold a password,
and everyone can read a command line.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import tornado.web

import tornado_unblock
from benchmarks.harness.serving import serve
from benchmarks.harness.variant import Variant, named
from benchmarks.stories.order_service.database import Database
from benchmarks.stories.order_service.settings import STAGES

FOOTER = Path(__file__).parents[3] / "examples" / "order_service" / "footer.txt"


def application(
    stage: Variant, database: Database, logistics: str
) -> tornado.web.Application:
    """Return the handlers of `stage` with what they find in `settings`."""
    return tornado.web.Application(
        stage.load().ROUTES, database=database, logistics=logistics, footer=str(FOOTER)
    )


def log_to(path: str) -> None:
    """Write the orders' log to `path`, line by line, as logging does by itself."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("orders")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--stage", choices=[stage.name for stage in STAGES], required=True
    )
    parser.add_argument(
        "--prefix", required=True, help="what the tables' names begin with"
    )
    parser.add_argument("--logistics", required=True, help="URL of the tracking call")
    parser.add_argument("--log", required=True, help="file")
    parser.add_argument("--watch", type=float, help="seconds that are a stall")
    given = parser.parse_args()
    if given.watch:
        logging.basicConfig(format="%(message)s")
        tornado_unblock.watch(threshold=given.watch)
    log_to(given.log)
    database = Database(os.environ["DATABASE"], given.prefix)
    stage = named(STAGES, given.stage)
    getattr(stage.load(), "set_up", lambda: None)()
    serve(application(stage, database, given.logistics))


if __name__ == "__main__":
    main()
