"""The logistics company's API: a native asynchronous server, so never the bottleneck.

`GET /track?order=1001` answers after a delay. Every tenth call is turned away with
503, never the same order twice in a row, so that one retry is enough.
"""

from __future__ import annotations

import argparse
import asyncio

import tornado.web

from benchmarks.harness.serving import serve
from benchmarks.harness.turnstile import Turnstile

DEPOTS = ("Lisbon", "Lyon", "Ghent", "Utrecht", "Aarhus", "Poznan")


class TrackHandler(tornado.web.RequestHandler):
    """Where a parcel is."""

    async def get(self) -> None:
        order = self.get_argument("order")
        if not self.settings["turnstile"].admits(order):
            self.set_status(503)
            return
        await asyncio.sleep(self.settings["delay"])
        depot = DEPOTS[int(order) % len(DEPOTS)]
        self.write({"order": int(order), "depot": depot, "days_left": int(order) % 4})


def application(delay: float) -> tornado.web.Application:
    """Return the API, answering after `delay` seconds."""
    routes = [(r"/track", TrackHandler)]
    # 503s are part of the plan: no warning for each.
    return tornado.web.Application(
        routes, delay=delay, turnstile=Turnstile(), log_function=lambda handler: None
    )


def main() -> None:
    """Run the API."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.1, help="seconds")
    serve(application(parser.parse_args().delay))


if __name__ == "__main__":
    main()
