"""One bounded queue, and the thread that empties it.

# Threads: any thread puts; the listener, started by the first one, takes.
# Guarantees:
# - what one thread puts is done in the order in which it was put;
# - putting never waits: what finds the queue full is dropped and counted;
# - nothing is lost or done twice when the process forks: the parent does what it has
#   queued, the child begins with an empty queue;
# - nothing that a job raises ends the listener.
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from typing import Callable, Optional

from tornado_unblock._executors.threads import start_thread

Job = Callable[[], object]
"""What the thread does; it returns True to be counted as a record written."""

# How long a fork waits for the record that is just being written, in seconds.
_FORK_SECONDS = 1.0

_log = logging.getLogger("tornado_unblock.logging")


class Listener:
    """A queue and its thread.

    Args:
        capacity: Jobs that may wait.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.dropped = 0
        self.written = 0
        self._start_empty()

    def _start_empty(self) -> None:
        # Its put and get are safe in signal handlers and finalizers, too.
        self._queue: queue.SimpleQueue[Optional[Job]] = queue.SimpleQueue()
        # Guards `dropped` and `_unreported`. Reentrant, for signal handlers.
        self._lock = threading.RLock()
        self._unreported = 0
        # Held while a job runs, so that no fork cuts one in two.
        self._busy = threading.RLock()
        # One token: list.pop is atomic, so one thread starts the listener.
        self._to_start = [True]
        # The thread's, while there is one.
        self._ident = 0

    def waiting(self) -> int:
        """Return how many jobs wait; any thread."""
        return self._queue.qsize()

    def is_here(self) -> bool:
        """Whether this is the listener's thread."""
        return threading.get_ident() == self._ident

    def runs(self) -> bool:
        """Whether there is, or will be at once, a thread that does what waits."""
        return not self._to_start

    def offer(self, job: Job) -> bool:
        """Have a job done, unless there is no room; any thread, never waits.

        Returns:
            False if the system has no thread to do it: the caller must.
        """
        # Threads that look at the same time may exceed it by their number.
        if self._queue.qsize() >= self.capacity:
            with self._lock:
                self.dropped += 1
                self._unreported += 1
            return True
        return self.post(job)

    def post(self, job: Job) -> bool:
        """Have a job done, room or not; see `offer`."""
        if self._to_start and not self._start():
            return False
        self._queue.put_nowait(job)
        if self._to_start:  # pragma: no cover - it ended this very moment
            self._start()
        return True

    def end(self) -> None:
        """Let the thread end once all is done; any thread."""
        if self.runs():
            self._queue.put_nowait(None)

    def _take_token(self) -> bool:
        try:
            return self._to_start.pop()
        except IndexError:  # pragma: no cover - another thread was faster
            return False

    def _start(self) -> bool:
        if not self._take_token():  # pragma: no cover - another thread was faster
            return True
        try:
            start_thread(self._serve, "unblock-logging")
        except RuntimeError:
            self._to_start.append(True)
            return False
        return True

    def _serve(self) -> None:
        self._ident = threading.get_ident()
        ending = False
        while not (ending and self._is_over()):
            job = self._queue.get()
            if job is None:
                ending = True
                continue
            with self._busy:
                self.written += _do(job)
            del job  # it may hold a traceback, and with it a whole request
            if self._unreported and self._queue.qsize() <= self.capacity // 2:
                _do(self._report)

    def _is_over(self) -> bool:
        """Whether the thread may end: what comes from now on has another one."""
        if not self._queue.empty():
            return False
        self._ident = 0
        self._to_start.append(True)
        return True

    def _report(self) -> None:
        with self._lock:
            count, self._unreported = self._unreported, 0
        _log.warning(
            "%d log records were dropped: %d were waiting already, for handlers that "
            "write more slowly than the program logs",
            count,
            self.capacity,
        )

    def before_fork(self) -> bool:
        """Wait for the job that runs; whether `after_fork` must be told."""
        return self._busy.acquire(timeout=_FORK_SECONDS)

    def after_fork(self) -> None:
        """Go on, in the parent."""
        self._busy.release()

    def forget_parent(self) -> None:
        """Begin anew, in the child."""
        self.dropped = self.written = 0
        self._start_empty()


def _do(job: Job) -> bool:
    """Whether a record was written. Nobody is there to catch what is raised."""
    try:
        return job() is True
    except BaseException:
        if logging.raiseExceptions:
            traceback.print_exc()
        return False
