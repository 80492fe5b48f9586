"""What a case is, and the tables that collect them.

A case is written once, with plain sync handlers, as a function that makes its handler
class afresh for each mode; `Table.body` makes one of a single body.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any, Callable, Optional, Union

from tornado.web import RequestHandler

from tests.conformance.runner import VERBS

NOW = 1_700_000_000.0
"""The time at which all cases are served."""

Method = Callable[..., Any]
Decorator = Callable[[Method], Method]
#: What a case's function returns: a handler class; routes; or routes and settings.
Site = Union[type[RequestHandler], list[Any], tuple[list[Any], dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Until:
    """A step of the client: read until this was seen."""

    seen: bytes


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


def without_expiry(data: bytes) -> bytes:
    """Take out when a cookie expires, if that is reckoned from now."""
    return re.sub(rb"expires=[^;\r]*", b"expires=<then>", data)


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
        """Add the decorated function as every verb of a handler."""

        def add(fn: Method) -> Method:
            def site() -> Site:
                return type("Handler", (RequestHandler,), dict.fromkeys(VERBS, fn))

            site.__name__ = fn.__name__
            self.case(*steps, **options)(site)
            return fn

        return add
