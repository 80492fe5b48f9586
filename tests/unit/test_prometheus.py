"""`tornado_unblock.prometheus`: where users find the exporter."""

from __future__ import annotations

import pytest

prometheus_client = pytest.importorskip("prometheus_client")


def test_it_is_the_exporter():
    """It is the room's, under a name that stays."""
    import tornado_unblock.prometheus
    import tornado_unblock.status.prometheus

    assert (
        tornado_unblock.prometheus.register
        is tornado_unblock.status.prometheus.register
    )
    assert tornado_unblock.prometheus.__all__ == ["register"]
