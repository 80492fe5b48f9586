"""One impatient client: a process that asks, waits for so long, and asks again.

It reads jobs from its standard input, one JSON object a line, and prints for each
one line: a JSON list with an outcome for every request. It ends with its input.

Each request has a connection of its own, as `requests.get` makes one. When it is
told by a 503 to come back later (`Retry-After`), it pauses for that long before its
next request; it does not ask for the same again.
"""

# Only the standard library: a hundred of these start on one machine.

from __future__ import annotations

import http.client
import json
import os
import queue
import socket
import sys
import threading
import time
from typing import NamedTuple

SUCCESS, TURNED_AWAY, TIMEOUT, ERROR = "success", "503", "timeout", "error"


class Outcome(NamedTuple):
    """What came of one request.

    Attributes:
        kind: One of the four above; a 503 without `Retry-After` is an error.
        seconds: How long it took to know.
        detail: The seconds of `Retry-After`, or what the error was.
    """

    kind: str
    seconds: float
    detail: str = ""


def ask(port: int, timeout: float) -> Outcome:
    """Make one request and give up on it after `timeout` seconds."""
    begun = time.monotonic()
    try:
        kind, detail = _answer(port, begun + timeout)
    except (TimeoutError, socket.timeout):  # one and the same since Python 3.10
        kind, detail = TIMEOUT, ""
    except (OSError, http.client.HTTPException) as error:
        kind, detail = ERROR, repr(error)
    return Outcome(kind, time.monotonic() - begun, detail)


def _answer(port: int, deadline: float) -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, _left(deadline))
    try:
        connection.connect()
        connection.sock.settimeout(_left(deadline))
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status == 200 and body == b"done":
        return SUCCESS, ""
    again = response.getheader("Retry-After", "")
    if response.status == 503 and again.isdigit():
        return TURNED_AWAY, again
    return ERROR, f"status {response.status}"


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def run(port: int, requests: int, timeout: float, begin: float) -> list[Outcome]:
    """Ask so many times, one after the other, from the moment `begin` on."""
    outcomes: list[Outcome] = []
    pause = max(0.0, begin - time.time())
    for _ in range(requests):
        time.sleep(pause)
        outcomes.append(ask(port, timeout))
        last = outcomes[-1]
        pause = float(last.detail) if last.kind == TURNED_AWAY else 0.0
    return outcomes


def main() -> None:
    """Do jobs until the input ends, which also cuts a job short."""
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[jobs], daemon=True).start()
    print("ready", flush=True)
    while True:
        print(json.dumps(run(**json.loads(jobs.get()))), flush=True)


def _read(jobs: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
