"""The watcher's thread, and what can be asked of it."""

from __future__ import annotations

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock._stalls.watcher import Settings, check_seconds


def test_looks() -> None:
    """A short stall is looked at several times, a long one no oftener than needed."""
    assert Settings(0.04, 0.0, False, None).look == pytest.approx(0.01)
    assert Settings(9.0, 0.0, False, None).look == pytest.approx(0.025)


def test_seconds() -> None:
    """Numbers pass; zero only where it has a meaning."""
    assert check_seconds("watch()", "threshold", 1) == 1.0
    assert check_seconds("watch()", "log_every", 0, zero=True) == 0.0
    with pytest.raises(ConfigurationError, match="more than 0, not 0"):
        check_seconds("watch()", "threshold", 0)
