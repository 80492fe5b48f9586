"""One step of the ticket desk in a process of its own.

It finds the database's file in the environment variable TICKETS_DATABASE, and the
address of the partner's API in TICKETS_PARTNER.
"""

from __future__ import annotations

import argparse

import tornado.web

from benchmarks.harness.serving import serve
from benchmarks.stories.migration.steps import STEPS, step_named


def main() -> None:
    """Serve one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", choices=[s.name for s in STEPS], required=True)
    step = step_named(parser.parse_args().step)
    serve(tornado.web.Application(step.handlers().ROUTES), backlog=1024)


if __name__ == "__main__":
    main()
