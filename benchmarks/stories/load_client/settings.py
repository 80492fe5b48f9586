"""What a run is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass

from benchmarks.harness import command
from benchmarks.harness.variant import Variant

PATIENCE = 3  # clients wait for this many times as long as a body takes


INLINE = Variant("inline", "inline")
FORKED = Variant("forked", "forked processes")
UNBLOCK = Variant("unblock", "@unblock")
FEW = Variant("few", "too few workers")
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
class Settings(command.Settings):
    """The options of a run.

    Attributes:
        cases: What the clients do.
        ways: What serves them.
        processes: How many processes the forked server has.
    """

    cases: tuple[Case, ...] = ()
    ways: tuple[Variant, ...] = WAYS
    processes: int = 4


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
