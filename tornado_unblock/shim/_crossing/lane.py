"""A thread that waits for the loop, and runs meanwhile what the loop gives it.

A worker that waits for a coroutine is free for the sync functions that this
coroutine calls in turn. They run there, one at a time, so that

- a full executor cannot deadlock: what is waited for always has a thread;
- what belongs to a thread (a thread-local session, an SQLite connection, an open
  transaction) is the same all the way down, whatever colour is in between.

# Threads: `serve` runs in the waiting thread, all else on the loop thread.
# Guarantees:
# - what was put is run, in order, before `serve` returns;
# - nothing is put once the lane is shut;
# - `serve` ends: when the lane is shut, when the loop closes, or when the
#   interpreter goes down.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import queue
from collections.abc import Iterator
from typing import Callable, Optional

from tornado_unblock._errors import LoopClosedError
from tornado_unblock._loop.latch import interpreter_is_ending
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.offload import Offload, helper

Job = Callable[[], object]

# How often a waiting thread looks whether its loop still lives, in seconds.
_LOOK_AGAIN = 0.5


class Lane:
    """One waiting thread, as the loop sees it."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self._jobs: queue.SimpleQueue[Optional[Job]] = queue.SimpleQueue()
        # Loop thread only.
        self.is_open = False

    def open(self) -> None:
        """Take jobs from now on; a thread serves, or will at once."""
        self.is_open = True

    def shut(self) -> None:
        """Take no more jobs, and let the thread go on once those are done."""
        self.is_open = False
        self._jobs.put(None)

    def start(self, offload: Offload) -> None:
        """Have the thread run ``offload``; the lane is open."""
        offload.start_at(self._jobs.put)

    def help_with(self, offload: Offload) -> bool:
        """Run what would have to wait for a worker; False when this cannot."""
        in_threads = isinstance(offload.executor, concurrent.futures.ThreadPoolExecutor)
        if in_threads and self.is_open and offload.portal is self.portal:
            self.start(offload)
            return True
        return False

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """While this lasts, sync functions called in this context run here."""
        before = _lane.get(), helper.get()
        self.make_current()
        try:
            yield
        finally:
            _lane.set(before[0])
            helper.set(before[1])

    def make_current(self) -> None:
        """Have sync functions called in this context run here."""
        _lane.set(self)
        helper.set(self.help_with)

    def serve(self) -> None:
        """Run what is put, until the lane is shut; the waiting thread.

        Raises:
            LoopClosedError: The loop closed, or the interpreter is ending.
        """
        while True:
            try:
                job = self._jobs.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                if self.portal.loop.is_closed() or interpreter_is_ending():
                    raise LoopClosedError(
                        "the event loop this thread waits for is closed"
                    ) from None
                continue
            if job is None:
                return
            job()
            del job  # a waiting thread must not keep its last job alive


_lane: contextvars.ContextVar[Optional[Lane]] = contextvars.ContextVar(
    "tornado_unblock lane", default=None
)

HIDDEN: frozenset[contextvars.ContextVar[object]] = frozenset((_lane, helper))  # type: ignore[arg-type]
"""Variables that say who waits for a context: they do not leave it."""


def current_lane() -> Optional[Lane]:
    """Return the lane that waits for what runs in this context; loop thread."""
    lane = _lane.get()
    if lane is None or not lane.is_open:
        return None
    return lane if asyncio.get_running_loop() is lane.portal.loop else None
