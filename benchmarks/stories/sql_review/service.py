"""One variant of the service in processes of its own.

The checker's URL is in the environment variable CHECKER: it may hold a password,
and everyone can read a command line.
"""

from __future__ import annotations

import argparse
import json
import os

import tornado.web

from benchmarks.harness.serving import serve
from benchmarks.harness.variant import Variant, named
from benchmarks.stories.sql_review import checker
from benchmarks.stories.sql_review.settings import VARIANTS


def application(
    variant: Variant, url: str, seconds: dict[str, float]
) -> tornado.web.Application:
    """Return the handlers of `variant` with what they find in `settings`."""
    return tornado.web.Application(
        variant.load().ROUTES, checker=checker.arguments(url), seconds=seconds
    )


def main() -> None:
    """Run one variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--variant", choices=names, required=True)
    parser.add_argument("--seconds", required=True, help="JSON: seconds by task")
    given = parser.parse_args()
    variant = named(VARIANTS, given.variant)
    app = application(variant, os.environ["CHECKER"], json.loads(given.seconds))
    serve(app, variant.load().PROCESSES, backlog=1024)


if __name__ == "__main__":
    main()
