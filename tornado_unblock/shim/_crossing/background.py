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
import concurrent.futures
import threading
from typing import NamedTuple, Optional

from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.portal import Portal, current_portal

# How long an ending interpreter waits for the loop's tasks to clean up, in seconds.
_CLEAN_UP_SECONDS = 5.0

_lock = threading.Lock()
_background: Optional[_Background] = None


class _Served(NamedTuple):
    """The loop, and what ends it."""

    portal: Portal
    stop: asyncio.Event


class _Background:
    def __init__(self) -> None:
        self._served: concurrent.futures.Future[_Served] = concurrent.futures.Future()
        self._thread = start_thread(
            lambda: asyncio.run(self._serve()), "unblock-background-loop"
        )

    async def _serve(self) -> None:
        portal, stop = current_portal(), asyncio.Event()
        self._served.set_result(_Served(portal, stop))
        await stop.wait()
        await portal.release()

    def portal(self) -> Portal:
        return self._served.result().portal

    def close(self, timeout: float) -> None:
        portal, stop = self._served.result()
        portal.call_soon(stop.set)
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
