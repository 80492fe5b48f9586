"""What a run is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 3  # clients wait for this many times as long as a body takes


@dataclass(frozen=True)
class Way:
    """One way to serve the body.

    Attributes:
        name: How options and the server process name it.
        title: How tables name it.
    """

    name: str
    title: str


INLINE = Way("inline", "inline")
FORKED = Way("forked", "forked processes")
UNBLOCK = Way("unblock", "@unblock")
FEW = Way("few", "too few workers")
# Without fork there is no HTTPServer.start(n) either.
WAYS = tuple(
    way
    for way in (INLINE, FORKED, UNBLOCK, FEW)
    if way != FORKED or hasattr(os, "fork")
)


@dataclass(frozen=True)
class Case:
    """So many requests from so many clients, who all begin at once.

    Attributes:
        name: How the settings name it.
        requests: How many in all; each client makes one after the other.
        clients: How many processes share them.
        body: Seconds that the handler's body takes.
        timeout: Seconds that a client waits for an answer.
    """

    name: str
    requests: int
    clients: int
    body: float
    timeout: float

    @property
    def title(self) -> str:
        """Say it in words."""
        return (
            f"{self.requests:,} requests from {self.clients} clients, "
            f"{self.body:g} s bodies, {self.timeout:g} s time-out"
        )

    @property
    def workers(self) -> int:
        """Enough workers: one for each client at the default `max_endpoint_share`."""
        return self.clients + self.clients // 4 + 1

    @property
    def few(self) -> int:
        """Too few workers: a fifth of what the clients need."""
        return max(1, self.clients // 5)


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    Attributes:
        cases: What the clients do.
        ways: What serves them.
        processes: How many processes the forked server has.
        json: The JSON file to write, if any.
        command: What was typed to get here.
    """

    cases: tuple[Case, ...]
    ways: tuple[Way, ...] = WAYS
    processes: int = 4
    json: Path | None = None
    command: str = "python -m examples.load_client"


def cases(
    quick: bool, body: float | None = None, timeout: float | None = None
) -> tuple[Case, ...]:
    """Return the two cases of the published account.

    Args:
        quick: Whether less will do.
        body: Seconds that a body takes; None for what suits the case.
        timeout: Seconds that clients wait; None for three bodies.
    """
    sizes = [("ten", 10, 10, 1.0), ("crowd", 3000, 100, 0.5)]
    if quick:
        sizes = [("ten", 10, 10, 0.5), ("crowd", 600, 100, 0.4)]
    return tuple(
        Case(
            name,
            requests,
            clients,
            usual if body is None else body,
            timeout or PATIENCE * (usual if body is None else body),
        )
        for name, requests, clients, usual in sizes
    )


def way_named(name: str) -> Way:
    """Return the way called `name`.

    Raises:
        KeyError: There is none.
    """
    return {way.name: way for way in WAYS}[name]
