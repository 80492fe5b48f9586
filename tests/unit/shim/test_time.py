"""`shim.time`: the standard library's, with a `sleep` for both colours."""

from __future__ import annotations

import time as original

import pytest

from tests.unit.shim.conftest import in_coroutine, in_script, in_worker
from tornado_unblock import LoopThreadError
from tornado_unblock.shim import time

waits = time.sleep


@pytest.mark.parametrize("place", [in_script, in_worker])
def test_sleep(place, monkeypatch):
    """It waits as long as it is told: the standard library's does the waiting."""
    slept = []
    monkeypatch.setattr(original, "sleep", slept.append)
    assert place(lambda: waits(0.25)) is None
    assert slept == [0.25]


def test_sleep_in_a_coroutine():
    """Awaited, it is the loop that waits."""
    assert in_coroutine(lambda: time.sleep.aio(0)) is None

    async def sleep() -> None:
        time.sleep(0)

    with pytest.raises(LoopThreadError, match=r"await \w*sleep\.aio"):
        in_coroutine(sleep)


def test_misuse():
    """Both colours refuse what the original refuses."""
    with pytest.raises(ValueError, match="sleep length must be non-negative"):
        waits(-1)
    with pytest.raises(ValueError, match="sleep length must be non-negative"):
        in_coroutine(lambda: time.sleep.aio(-1))


def test_all_else():
    """Every other name is the standard library's."""
    for name in dir(original):
        if not name.startswith("_") and name != "sleep":
            assert getattr(time, name) is getattr(original, name)
    with pytest.raises(AttributeError, match="nothing"):
        _ = time.nothing
