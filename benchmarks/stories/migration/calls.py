"""What every step must answer with the same bytes: requests, and the report."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from urllib.parse import urlsplit

from benchmarks.stories.migration.schema import BIG, SMALL
from benchmarks.stories.migration.steps import Step

TIMEOUT = 60.0  # seconds
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def book(show: str, seats: object) -> tuple[str, str]:
    """Return the method with its path, and the form, of a booking."""
    return "POST /book", f"show={show}&seats={seats}"


# More than ten reach the partner, so that one of them is turned away.
CALLS = (
    *(book(BIG, seats) for seats in range(1, 11)),
    book(SMALL, 2),
    book(SMALL, 2),  # only one is left: the booking is undone
    book(SMALL, 1),
    book("lear", 1),
    book(BIG, "two"),
    ("POST /book", ""),
    ("GET /takings", ""),
    ("GET /ping", ""),
    ("GET /book", ""),
)


def answers(url: str) -> list[bytes]:
    """Return the raw responses of the service at `url` to `CALLS`, without dates."""
    return [ask(url, *call, f"call-{number}") for number, call in enumerate(CALLS)]


def ask(url: str, method: str, form: str, request_id: str) -> bytes:
    """Return a raw response, without its date."""
    request = (
        f"{method} HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n{FORM}"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(form)}\r\n\r\n{form}"
    )
    address = urlsplit(url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        connection.settimeout(TIMEOUT)
        connection.sendall(request.encode())
        with connection.makefile("rb") as response:
            return re.sub(rb"Date: .*\r\n", b"", response.read())


def report(step: Step, environment: dict[str, str]) -> str:
    """Run the nightly report as a program of its own, and return what it prints.

    Raises:
        subprocess.CalledProcessError: It failed; `stderr` says why.
    """
    command = [sys.executable, "-m", step.report]
    settings = {**os.environ, **environment}
    done = subprocess.run(
        command, env=settings, check=True, capture_output=True, text=True
    )
    return done.stdout
