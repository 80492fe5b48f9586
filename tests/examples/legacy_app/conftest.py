"""Every test here sees the application inline and unblocked, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.legacy_app.support import Office


@pytest.fixture(params=["inline", "unblocked"])
def unblocked(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "unblocked")


@pytest.fixture
def office(url: str, unblocked: bool, tmp_path: Path) -> Iterator[Office]:
    """Serve the application; in the end no request may still have a session."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    office = Office(url, unblocked, uploads)
    yield office
    office.close()
