"""A server that answers 202, and the job of a tenth of a second."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from tornado.web import Application, RequestHandler, url

from tornado_unblock import jobs, serve_until_signal, unblock

jobs.configure("sqlite:///jobs.db")


@jobs.job(retries=5, backoff=2.0, timeout=300)
def review(number: int) -> int:
    """Do what takes long; the file says how often each was done."""
    time.sleep(0.1)
    with open("done.log", "a") as log:
        log.write(f"{number} {os.getpid()}\n")
    return number


class Reviews(RequestHandler):
    """Takes the work, and says where to ask for it."""

    @unblock
    def post(self) -> None:
        """Answer at once."""
        ticket = review.later(int(self.get_argument("number")))
        self.set_status(202)
        self.write({"id": ticket.id, "status": self.reverse_url("job", ticket.id)})


async def main(port: int) -> None:
    """Serve until a signal comes."""
    app = Application(
        [
            ("/reviews", Reviews),
            url(r"/jobs/(.*)", jobs.Status, {"authorize": lambda *_: True}, name="job"),
        ]
    )
    await serve_until_signal(app.listen(port, "127.0.0.1"))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
