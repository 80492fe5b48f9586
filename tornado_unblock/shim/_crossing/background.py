"""The process's own loop, for threads that have none: scripts, the REPL, tests.

It is made on first use, in a thread of its own, and lives until the process ends,
so that what belongs to a loop (pooled connections, say) is there for the next call.

# Threads: any; state is guarded by `_lock`.
# Guarantees:
# - there is one, however many threads ask at once;
# - it ends with the interpreter, its tasks cancelled and given the time to clean up;
# - a forked child makes one of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from typing import Optional

from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.portal import Portal, current_portal

# How long an ending interpreter waits for the loop's tasks to clean up, in seconds.
_CLEAN_UP_SECONDS = 5.0

_lock = threading.Lock()
_background: Optional[_Background] = None


class _Background:
    def __init__(self) -> None:
        self._ready = threading.Event()
        self._portal: Optional[Portal] = None
        self._stop: Optional[asyncio.Event] = None
        self._thread = start_thread(
            lambda: asyncio.run(self._serve()), "unblock-background-loop"
        )

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._portal = current_portal()
        self._ready.set()
        await self._stop.wait()
        await self._portal.release()

    def portal(self) -> Portal:
        self._ready.wait()
        assert self._portal is not None
        return self._portal

    def close(self, timeout: float) -> None:
        stop = self._stop
        assert stop is not None
        self.portal().call_soon(stop.set)
        self._thread.join(timeout)


def background_portal() -> Portal:
    """Return the portal of the process's own loop, started on first use."""
    global _background
    with _lock:
        if _background is None:
            _background = _Background()
        return _background.portal()


def close_background(timeout: float = _CLEAN_UP_SECONDS) -> None:
    """End the process's own loop, if there is one; any thread but its own.

    Args:
        timeout: Seconds to wait for its tasks to clean up.
    """
    global _background
    with _lock:
        background, _background = _background, None
    if background is not None:
        background.close(timeout)


def _forget_parent() -> None:
    global _lock, _background
    _lock = threading.Lock()
    _background = None


atexit.register(close_background)
at_fork(Step.BACKGROUND_LOOP, _forget_parent)
