"""Serving one case in one mode: what the client saw, and what was logged.

A real server serves it in a thread of its own; the client is a blocking socket that
sends the case's bytes and reads to the end. Time and random bytes stand still.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Optional
from unittest import mock

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, StaticFileHandler

from tests.conformance.runner import Bodies, requests_end
from tests.differential.modes import MODES
from tests.differential.table import NOW, Case, Step

#: How long anything may take that should take no time.
TIMEOUT_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What there is to compare."""

    client: bytes
    logs: tuple[str, ...]


def run(case: Case, mode: str) -> tuple[Outcome, Bodies]:
    """Serve ``case`` in ``mode``, on a loop of its own, to one client."""
    bodies = Bodies()
    with standing_still(), captured_logs() as logs:
        app = MODES[mode](case, bodies)
        with served(app, case.server) as address:
            seen = talk(address, case.steps)
    if requests_of(case) > 1:
        # The next request may begin when the response is sent, before the body ends.
        logs.sort()
    return Outcome(case.normalise(without_dates(seen)), tuple(logs)), bodies


def requests_of(case: Case) -> int:
    sent = (step for step in case.steps if isinstance(step, bytes))
    return sum(step.count(b"\r\nHost: ") for step in sent)


@contextlib.contextmanager
def standing_still() -> Iterator[None]:
    """Stop the clock on the wall, and make random bytes repeat."""
    numbers = itertools.count(1)

    def urandom(size: int) -> bytes:
        return bytes([next(numbers) % 256]) * size

    def now() -> float:
        return NOW

    StaticFileHandler.reset()  # forgets the hashes of files
    with mock.patch("time.time", now), mock.patch("os.urandom", urandom):
        yield


@contextlib.contextmanager
def served(app: Application, options: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Serve ``app`` from a thread; on leaving, wait until every request has ended."""
    sock, port = bind_unused_port()
    started = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    stop: list[asyncio.Event] = []

    async def main() -> None:
        server = HTTPServer(app, **options)
        server.add_sockets([sock])
        loops.append(asyncio.get_running_loop())
        stop.append(asyncio.Event())
        started.set()
        await stop[0].wait()
        await requests_end(TIMEOUT_SECONDS)
        server.stop()
        await server.close_all_connections()
        # What stood in a pipeline behind the end of the connection runs, too.
        await requests_end(TIMEOUT_SECONDS)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="server")
    thread.start()
    try:
        assert started.wait(TIMEOUT_SECONDS)
        yield "127.0.0.1", port
    finally:
        loops[0].call_soon_threadsafe(stop[0].set)
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


def talk(address: tuple[str, int], steps: Iterable[Step]) -> bytes:
    """Do the client's steps, then read until the server closes."""
    seen = b""
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as sock:
        for step in steps:
            if isinstance(step, bytes):
                sock.sendall(step)
            else:
                while step.seen not in seen:
                    data = sock.recv(65536)
                    assert data, f"closed before {step} in {seen!r}"
                    seen += data
        while True:
            try:
                data = sock.recv(1 << 20)
            except ConnectionResetError:
                return seen + b"<reset>"
            if not data:
                return seen
            seen += data


@contextlib.contextmanager
def captured_logs() -> Iterator[list[str]]:
    """Collect what is logged meanwhile, from INFO on."""
    logs: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = log_text(record)
            if text is not None:
                logs.append(text)

    collector = Collector()
    root = logging.getLogger()
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.INFO)
    try:
        yield logs
    finally:
        root.setLevel(level)
        root.removeHandler(collector)


# --- what differs from run to run ---------------------------------------------


def without_dates(data: bytes) -> bytes:
    return re.sub(rb"\r\nDate: [^\r]*", b"\r\nDate: <now>", data)


def log_text(record: logging.LogRecord) -> Optional[str]:
    """Return what is compared of a log record, or None."""
    message = record.getMessage()
    if record.name == "asyncio" and message.startswith("Executing "):
        return None  # debug mode complains of a slow machine
    message = re.sub(r" \d+\.\d\dms$", " <time>", message)
    message = re.sub(r"0x[0-9a-f]+", "0x<address>", message)
    message = re.sub(r" created at [^ >]+", "", message)  # debug mode
    message = re.sub(r"Task-\d+", "Task-<number>", message)
    error = record.exc_info[1] if record.exc_info else None
    return f"{record.name} {record.levelname}: {message} {describe(error)}".rstrip()


def describe(error: Optional[BaseException]) -> str:
    """Return an exception and its causes as text."""
    if error is None:
        return ""
    try:
        text = repr(str(error))
    except Exception as failure:
        text = type(failure).__name__
    cause = describe(error.__cause__)
    return f"[{type(error).__qualname__} {text}{' from ' if cause else ''}{cause}]"
