"""Stalls that were seen while the program ran, joined to what the source says.

The file is a JSON list, an object for each place:

    [{"endpoint": "Orders.get", "file": "app/orders.py", "line": 31,
      "count": 12, "total": 3.4}, ...]

`total` is in seconds. A finding gets what was seen at its own line; what was seen at
another line of its method's way, or at none, goes to the method's surest finding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from tornado_unblock._scan.findings import CERTAINTY, Finding


class ObservedError(Exception):
    """The file is no list of stalls, or cannot be read."""


@dataclass(frozen=True)
class Stall:
    """What was seen at one place."""

    endpoint: str
    file: str
    line: int
    count: int
    total: float


def read_stalls(file: Path) -> list[Stall]:
    """Read a file of stalls.

    Raises:
        ObservedError: It is none.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ObservedError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, list):
        raise ObservedError(f"{file} must be a JSON list of stalls")
    return [_stall(each, at, file) for at, each in enumerate(content)]


def _stall(each: Any, at: int, file: Path) -> Stall:
    try:
        return Stall(
            str(each.get("endpoint") or ""),
            str(each.get("file") or ""),
            int(each.get("line") or 0),
            int(each["count"]),
            float(each["total"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ObservedError(
            f'{file}: stall {at} is no object with "endpoint", "file", "line", "count" '
            f'and "total": {error!r}'
        ) from error


def rank(
    findings: Iterable[Finding], stalls: Iterable[Stall]
) -> tuple[list[Finding], list[Stall]]:
    """Return the findings with what was seen, the longest first.

    Returns:
        The findings, and the stalls that belong to none: the scan missed those.
    """
    ranked = list(findings)
    missed: list[Stall] = []
    for stall in stalls:
        at = _place_of(stall, ranked)
        if at is None:
            missed.append(stall)
        else:
            known = ranked[at]
            count, total = known.count + stall.count, known.total + stall.total
            ranked[at] = replace(known, count=count, total=total)
    return sorted(ranked, key=lambda f: f.rank), missed


def _place_of(stall: Stall, findings: list[Finding]) -> Optional[int]:
    """Return the index of the finding that a stall fits best."""
    best: tuple[float, int] = (0.0, 0)
    for at, finding in enumerate(findings):
        fit = _fit(stall, finding)
        if fit > best[0]:
            best = (fit, at)
    return best[1] if best[0] else None


def _fit(stall: Stall, finding: Finding) -> float:
    cls, _, method = stall.endpoint.rpartition(".")
    same_method = finding.endpoint.rpartition(".")[2] == method
    ours = stall.endpoint == finding.endpoint or (
        cls.rpartition(".")[2] in finding.handlers and same_method
    )
    certainty = CERTAINTY[finding.confidence]
    if stall.line and stall.line == finding.line and _same(stall.file, finding.path):
        return 4 + certainty + ours
    if not ours:
        return 0.0
    on_way = any(
        step.line == stall.line and _same(stall.file, step.path)
        for step in finding.steps
    )
    return (2 if on_way else 0) + certainty


def _same(one: str, other: str) -> bool:
    """Tell whether two paths may be one file: one of them may be longer."""
    parts, others = Path(one).parts, Path(other).parts
    length = min(len(parts), len(others))
    return length > 0 and parts[-length:] == others[-length:]
