"""How long a stress test goes on, and the seed with which to repeat it.

    TORNADO_UNBLOCK_STRESS_SECONDS=600 make stress    longer
    TORNADO_UNBLOCK_SEED=7 make stress                the same again

`make test-full` runs those marked ``quick``, each for 30 seconds.
"""

from __future__ import annotations

import os
import random
import time
from typing import Callable

import pytest

SECONDS = float(os.environ.get("TORNADO_UNBLOCK_STRESS_SECONDS", 30))


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> int:
    """Return what to draw everything random from; it is printed."""
    drawn = random.SystemRandom().randrange(10**6)
    seed = int(os.environ.get("TORNADO_UNBLOCK_SEED", drawn))
    with capsys.disabled():
        print(f"\n{request.node.name}: TORNADO_UNBLOCK_SEED={seed}")
    return seed


@pytest.fixture
def go_on() -> Callable[[], bool]:
    """Return what says whether there is time for another round."""
    end = time.monotonic() + SECONDS
    return lambda: time.monotonic() < end
