"""The partner's API: a native asynchronous server, so never the bottleneck.

`GET /rate?currency=EUR` and `GET /reserve?show=hamlet&seats=2` answer after a delay.
Every tenth call is turned away with 503; when it is repeated, it is let in.
`GET /calls` says how many were let in, by path.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter

import tornado.web

from benchmarks.harness.serving import serve
from benchmarks.harness.turnstile import Turnstile

RATES = {"EUR": 0.92, "GBP": 0.79}


class SlowHandler(tornado.web.RequestHandler):
    """Lets a call in, or turns it away, and takes its time."""

    async def prepare(self) -> None:
        self.caller = self.request.headers["X-Request-Id"]
        if not self.settings["turnstile"].admits(self.caller + self.request.path):
            self.set_status(503)
            self.finish()
            return
        self.settings["calls"][self.request.path] += 1
        await asyncio.sleep(self.settings["delay"])


class RateHandler(SlowHandler):
    """What a dollar is worth."""

    def get(self) -> None:
        self.write({"rate": RATES[self.get_argument("currency")]})


class ReserveHandler(SlowHandler):
    """A code for the tickets, which tells who asked."""

    def get(self) -> None:
        show, seats = self.get_argument("show"), self.get_argument("seats")
        self.write({"code": f"{show}/{seats}/{self.caller}"})


class CallsHandler(tornado.web.RequestHandler):
    """What was asked for so far."""

    def get(self) -> None:
        self.write(self.settings["calls"])


def application(delay: float) -> tornado.web.Application:
    """Return the API, answering after `delay` seconds."""
    routes = [
        (r"/rate", RateHandler),
        (r"/reserve", ReserveHandler),
        (r"/calls", CallsHandler),
    ]
    return tornado.web.Application(
        routes,
        delay=delay,
        turnstile=Turnstile(),
        calls=Counter[str](),
        log_function=lambda handler: None,  # 503s are part of the plan
    )


def main() -> None:
    """Run the API."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.3, help="seconds")
    serve(application(parser.parse_args().delay), backlog=1024)


if __name__ == "__main__":
    main()
