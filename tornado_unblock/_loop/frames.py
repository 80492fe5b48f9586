"""Where a thread is right now, for whoever tells of one that takes long.

# Threads: any.
# Guarantees: no frame of a running thread is looked at where that is not safe, which is
# where the interpreter has no lock: there a thread is seen nowhere.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Callable, Optional

_has_lock: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)


def sees_frames() -> bool:
    """Whether threads may be looked at while they run."""
    return _has_lock()


def frame_of(thread: Optional[int]) -> Optional[FrameType]:
    """Return the innermost frame of a thread; None if there is none to be seen.

    Args:
        thread: Its number; None: none.
    """
    if thread is None or not sees_frames():
        return None
    return sys._current_frames().get(thread)
