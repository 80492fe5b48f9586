"""The logistics company's API: a native asynchronous server, so never the bottleneck.

`GET /track?order=1001` answers after a delay. Every tenth call is turned away with
503, never the same order twice in a row, so that one retry is enough.
"""

from __future__ import annotations

import argparse
import asyncio

import tornado.web

from examples.order_service.serve import serve

TURN_AWAY_EVERY = 10
DEPOTS = ("Lisbon", "Lyon", "Ghent", "Utrecht", "Aarhus", "Poznan")


class Turnstile:
    """Decide which calls are turned away: the same calls in every run."""

    def __init__(self) -> None:
        self._calls = 0
        self._owed: set[str] = set()  # orders turned away, whose next call is let in

    def admits(self, order: str) -> bool:
        """Count a call for `order` and tell whether it is answered."""
        if order in self._owed:
            self._owed.remove(order)
            return True
        self._calls += 1
        if self._calls % TURN_AWAY_EVERY:
            return True
        self._owed.add(order)
        return False


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
