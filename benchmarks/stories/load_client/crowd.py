"""Many clients at once, and what came of their requests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.harness.errors import DemoError
from benchmarks.harness.processes import POLL, Child, Children
from benchmarks.stories.load_client.client import Outcome
from benchmarks.stories.load_client.settings import Case

COMMAND = (sys.executable, "-m", "benchmarks.stories.load_client.client")
HEAD_START = 0.3  # seconds in which every client hears of its job before any begins
GRACE = 60  # seconds that anything may take longer than asked


def shares(requests: int, clients: int) -> list[int]:
    """Say how many of the requests each client makes."""
    each, more = divmod(requests, clients)
    return [each + (number < more) for number in range(clients)]


class Crowd:
    """Client processes, started once and used for one measurement after the other.

    Args:
        children: Where they are started.
        size: How many.
    """

    def __init__(self, children: Children, size: int) -> None:
        self._clients = [
            children.start(f"client-{number}", COMMAND) for number in range(size)
        ]

    def wait_until_ready(self) -> None:
        """Wait for every client.

        Raises:
            DemoError: One does not start.
        """
        for client in self._clients:
            client.next_line()

    def run(self, case: Case, port: int) -> Iterator[list[Outcome]]:
        """Yield what each client saw, as they come to an end.

        Raises:
            DemoError: A client ended, or is still not done when it must be.
        """
        busy = {}
        begin = time.time() + HEAD_START
        for client, requests in zip(self._clients, shares(case.requests, case.clients)):
            job = {"port": port, "requests": requests}
            client.tell(json.dumps({**job, "timeout": case.timeout, "begin": begin}))
            busy[client] = requests
        # A 503 may ask for a minute's pause; nothing takes longer than both.
        longest = max(busy.values()) * (case.timeout + 60) + GRACE
        deadline = time.monotonic() + longest
        while busy:
            time.sleep(POLL)
            for client, outcomes in _done(list(busy)):
                del busy[client]
                yield outcomes
            if time.monotonic() > deadline:
                raise DemoError(f"{len(busy)} clients do not come to an end.")


def _done(clients: Sequence[Child]) -> Iterator[tuple[Child, list[Outcome]]]:
    for client in clients:
        alive = client.running()  # asked first: what it said before dying counts
        for line in client.new_lines():
            yield client, [Outcome(*outcome) for outcome in json.loads(line)]
            break
        else:
            if not alive:
                raise DemoError(f"A client ended.{client.complaint()}")
