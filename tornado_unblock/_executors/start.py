"""Starting a thread: nowhere else is one started."""

from __future__ import annotations

import threading
from typing import Callable


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread, for which an ending interpreter does not wait.

    Raises:
        RuntimeError: The system refuses the thread.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
