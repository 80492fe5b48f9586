"""The data: names that tell, and packages that are quiet."""

from __future__ import annotations

import pytest

from tornado_unblock._scan.rules import HINTED, HINTS, QUIET, TELLING
from tornado_unblock._scan.table import SEVERITY


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("db", True),
        ("self_db", True),
        ("db2", True),
        ("redis_conn", True),
        ("cursor", True),
        ("db_session", True),
        ("dbl", False),
        ("feedback", False),
        ("recursor", False),
        ("cache", False),
        ("", False),
    ],
)
def test_hints(name: str, tells: bool) -> None:
    """A receiver tells by a whole word of its name."""
    assert bool(HINTS.search(name)) is tells


def test_names() -> None:
    """A name tells alone, or with its receiver; never both. Kinds are known."""
    assert not set(TELLING) & HINTED
    assert set(TELLING.values()) <= set(SEVERITY)


def test_quiet() -> None:
    """The standard library, Tornado, and what awaits are quiet."""
    assert {"json", "tornado", "asyncio", "aiomysql", "urlparse"} <= QUIET
    assert "requests" not in QUIET
