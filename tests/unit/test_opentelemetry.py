"""`tornado_unblock.opentelemetry`: where users find `instrument`."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry")


def test_it_is_the_room_s():
    """It is the room's, under a name that stays."""
    import tornado_unblock.opentelemetry
    import tornado_unblock.status.opentelemetry as room

    assert tornado_unblock.opentelemetry.instrument is room.instrument
    assert tornado_unblock.opentelemetry.__all__ == ["Instrumentation", "instrument"]
