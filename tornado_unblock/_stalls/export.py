"""Stalls for other programs: what ``python -m tornado_unblock scan --with`` reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from typing import Any

from tornado_unblock._stalls.records import StallStatistics


def rows(stalls: Iterable[StallStatistics]) -> list[dict[str, Any]]:
    """Return ``stalls`` as plain values, in the same order."""
    return [
        {
            "endpoint": stall.endpoint,
            "file": os.path.abspath(stall.place.file) if stall.place else "",
            "line": stall.place.line if stall.place else 0,
            "function": stall.place.function if stall.place else "",
            "count": stall.count,
            "total": round(stall.total, 6),
            "longest": round(stall.longest, 6),
            "kind": stall.kind,
            "cause": stall.cause,
        }
        for stall in stalls
    ]


def to_json(stalls: Iterable[StallStatistics]) -> str:
    """Return ``stalls`` as JSON: a list of objects, one for each."""
    return json.dumps(rows(stalls), indent=2) + "\n"


def write(stalls: Iterable[StallStatistics], path: str) -> None:
    """Write them to ``path``, so that a reader never sees half of it.

    Raises:
        OSError: It cannot be written.
    """
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(to_json(stalls))
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
