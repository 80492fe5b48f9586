"""Serving one case in one mode: what the client saw, and what was logged.

A case is written once, with plain sync handlers. A *mode* decides how they run; a
new one is one more function in `MODES`, from a case to its application. Inline is
the measure of all others.

A real server serves it in a thread of its own; the client is a blocking socket that
sends the case's bytes and reads to the end. Time and random bytes stand still.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import itertools
import logging
import re
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Optional, Union
from unittest import mock

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, StaticFileHandler

from tests.conformance.runner import (
    AWAITED_HOOKS,
    VERBS,
    Bodies,
    requests_end,
    sync_methods,
)
from tornado_unblock import unblock, unblock_application

NOW = 1_700_000_000.0
#: How long anything may take that should take no time.
TIMEOUT_SECONDS = 10.0

Method = Callable[..., Any]
Decorator = Callable[[Method], Method]
#: What a case's function returns: a handler class; routes; or routes and settings.
Site = Union[type[RequestHandler], list[Any], tuple[list[Any], dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Until:
    """A step of the client: read until this was seen as often as it says."""

    seen: bytes
    times: int = 1


Step = Union[bytes, Until]


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    site: Callable[..., Site]
    steps: tuple[Step, ...]
    settings: dict[str, Any]
    server: dict[str, Any]
    #: Takes out of the bytes what differs from run to run.
    normalise: Callable[[bytes], bytes]
    #: Whether its function takes the decorator, to place it itself.
    places: bool
    #: Whether a body runs at all.
    moves: bool
    #: The first version of Tornado that can serve it inline.
    since: tuple[int, ...]


def request(
    path: str = "/",
    *headers: str,
    method: str = "GET",
    body: Optional[bytes] = None,
    close: bool = True,
    version: str = "1.1",
) -> bytes:
    """Return the bytes of a request, by default the last one on its connection."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    if close:
        lines.append("Connection: close")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin1") + (body or b"")


class Table:
    """Collects the cases of one module."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.cases: list[Case] = []

    def case(
        self,
        *steps: Step,
        settings: Optional[dict[str, Any]] = None,
        server: Optional[dict[str, Any]] = None,
        normalise: Callable[[bytes], bytes] = lambda data: data,
        moves: bool = True,
        since: tuple[int, ...] = (6, 1),
    ) -> Callable[[Callable[..., Site]], Callable[..., Site]]:
        """Add what the decorated function makes; called once for each mode."""

        def add(site: Callable[..., Site]) -> Callable[..., Site]:
            case = Case(
                f"{self.topic}-{site.__name__}",
                site,
                steps or (request(),),
                settings or {},
                server or {},
                normalise,
                bool(inspect.signature(site).parameters),
                moves,
                since,
            )
            self.cases.append(case)
            return site

        return add

    def body(self, *steps: Step, **options: Any) -> Callable[[Method], Method]:
        """Add the decorated function as the ``get`` and ``post`` of a handler."""

        def add(fn: Method) -> Method:
            def site() -> Site:
                return type("Handler", (RequestHandler,), dict.fromkeys(VERBS, fn))

            site.__name__ = fn.__name__
            self.case(*steps, **options)(site)
            return fn

        return add


# --- modes --------------------------------------------------------------------


def application(case: Case, place: Decorator) -> Application:
    """Return a fresh application of ``case``, its own decorators being ``place``."""
    site = case.site(place) if case.places else case.site()
    routes, settings = site if isinstance(site, tuple) else (site, {})
    if not isinstance(routes, list):
        routes = [("/.*", routes)]
    return Application(routes, **{**case.settings, **settings})


def inline(
    case: Case,
    bodies: Bodies,
    *,
    names: Sequence[str] = VERBS,
    method: Decorator = lambda fn: fn,
    each_class: Callable[[type[RequestHandler]], object] = lambda cls: cls,
) -> Application:
    """Return the application with its bodies counted, and changed no further.

    Args:
        case: What to serve.
        bodies: Counts the calls of sync methods among ``names``.
        names: Which methods.
        method: Put on each of them, or where the case places it.
        each_class: Called with each handler class.
    """

    def place(fn: Method) -> Method:
        return method(bodies.counted(fn))

    made: list[type[RequestHandler]] = []
    with classes_made(made):
        app = application(case, place)
    for cls in made:
        if not case.places:
            for name, fn in sync_methods(cls, names):
                setattr(cls, name, place(fn))
        each_class(cls)
    return app


def verbs(case: Case, bodies: Bodies) -> Application:
    """Put ``@unblock`` on each verb."""
    return inline(case, bodies, method=unblock)


def hooks(case: Case, bodies: Bodies) -> Application:
    """Put ``@unblock`` on each method that Tornado awaits."""
    return inline(case, bodies, names=VERBS + AWAITED_HOOKS, method=unblock)


def classes(case: Case, bodies: Bodies) -> Application:
    """Put ``@unblock`` on each class."""
    return inline(case, bodies, each_class=unblock)


def whole_application(case: Case, bodies: Bodies) -> Application:
    """Unblock the application, and no class."""
    return unblock_application(inline(case, bodies))


MODES: dict[str, Callable[[Case, Bodies], Application]] = {
    "inline": inline,
    "verbs": verbs,
    "hooks": hooks,
    "class": classes,
    "application": whole_application,
}


@contextlib.contextmanager
def classes_made(made: list[type[RequestHandler]]) -> Iterator[None]:
    """Have every handler class that is made meanwhile put into ``made``."""

    def __init_subclass__(cls: type[RequestHandler], **kwargs: Any) -> None:
        super(RequestHandler, cls).__init_subclass__(**kwargs)
        made.append(cls)

    with mock.patch.object(
        RequestHandler, "__init_subclass__", classmethod(__init_subclass__)
    ):
        yield


# --- running ------------------------------------------------------------------


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

    StaticFileHandler.reset()  # forgets the hashes of files
    with mock.patch("time.time", lambda: NOW), mock.patch("os.urandom", urandom):
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
                while seen.count(step.seen) < step.times:
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


def without_expiry(data: bytes) -> bytes:
    """Take out when a cookie expires, if that is reckoned from now."""
    return re.sub(rb"expires=[^;\r]*", b"expires=<then>", data)


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
