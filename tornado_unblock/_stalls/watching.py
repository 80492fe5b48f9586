"""`watch`: the one watch of a process, and what it has found.

# Threads: any; what there is of it is guarded by `_lock`.
# Guarantees:
# - there is one watch at a time; without one nothing of Tornado or asyncio is touched,
#   and nothing else of this room is imported;
# - every loop that Tornado knows is watched, whichever comes first;
# - what was counted stays when the watch ends;
# - a forked child watches its own loops, and begins to count anew.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Optional, Union

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._stalls.records import LoopStatistics, StallStatistics

if TYPE_CHECKING:
    from tornado_unblock._stalls.counts import StallCounts
    from tornado_unblock._stalls.watcher import Settings, Watcher

_lock = threading.RLock()
# Guarded by _lock. Most programs keep no watch: there are no counts before the first.
_watch: Optional[Watch] = None
_counts: Optional[StallCounts] = None


class Watch:
    """A watch that is kept; what `watch` returns.

    Attributes:
        threshold: Seconds from which on a loop that does not answer is stalled.
    """

    def __init__(self, watcher: Watcher) -> None:
        self.threshold = watcher.settings.threshold
        self._watcher = watcher

    def stop(self) -> None:
        """End the watch, and leave Tornado and every loop as they were; any thread.

        What was counted stays: `stalls` still returns it. A second call does nothing.
        """
        global _watch
        with _lock:
            if _watch is self:
                _watch = None
        self._watcher.stop()

    def __repr__(self) -> str:
        return f"<Watch threshold={self.threshold:g}>"


def watch(
    threshold: float = 0.1,
    *,
    log_every: float = 60.0,
    faulthandler: bool = False,
    write: Union[str, os.PathLike[str], None] = None,
) -> Watch:
    """Tell what blocks the event loop, from now on.

    A loop that has not come round for ``threshold`` seconds is stalled. The logger
    ``tornado_unblock.stalls`` gets a warning while it is, and a record when it is over,
    with the endpoint, the line of your code, and what to do. `stalls` adds them up.

    Call it once, from any thread, before or after the loop starts.

    Args:
        threshold: Seconds.
        log_every: Seconds between two reports of one place; those between are counted,
            and the next one says how many there were.
        faulthandler: Whether to see into C code that holds the interpreter, by means of
            `faulthandler.dump_traceback_later`. There is one of these in a process:
            leave it off where something else uses it, as pytest does. It reads the
            stacks of running threads, which may, rarely, crash the process on a busy
            machine: not for good.
        write: A file in which to keep what was found, as JSON for ``python -m
            tornado_unblock scan --with``. Written at the end of stalls, every ten
            seconds at most, and by `Watch.stop`. A forked child adds its number to
            the name.

    Returns:
        The watch; the one there is when it was asked for the same.

    Raises:
        ConfigurationError: A value makes no sense, or a watch with other values is
            kept already.
    """
    from tornado_unblock._stalls.watcher import settings_of

    return _keep(settings_of(threshold, log_every, faulthandler, write))


def _keep(settings: Settings) -> Watch:
    global _watch, _counts
    from tornado_unblock._stalls.counts import StallCounts
    from tornado_unblock._stalls.watcher import Watcher

    with _lock:
        if _watch is None:
            _counts = _counts or StallCounts()
            _watch = Watch(Watcher(settings, _counts))
            _watch._watcher.start()
        elif _watch._watcher.settings != settings:
            raise ConfigurationError(
                f"this process is watched already, with {_watch._watcher.settings}; "
                "call stop() of what watch() returned before you ask for other values"
            )
        return _watch


def current_watch() -> Optional[Watch]:
    """Return the watch that is kept, or None; any thread."""
    return _watch


def stalls() -> tuple[StallStatistics, ...]:
    """Return the stalls of this process so far, by endpoint and place; any thread.

    Returns:
        Those that took longest in all first; nothing before `watch` was called.
    """
    return _counts.get() if _counts is not None else ()


def loop_statistics() -> tuple[LoopStatistics, ...]:
    """Return how each watched loop is doing; any thread.

    Returns:
        One for each loop that is open; none where no watch is kept.
    """
    with _lock:
        kept = _watch
    return kept._watcher.statistics() if kept is not None else ()


def forget_stalls() -> None:
    """End the watch, if there is one, and forget what was counted."""
    with _lock:
        kept = _watch
    if kept is not None:
        kept.stop()
    if _counts is not None:
        _counts.clear()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    if _counts is not None:
        _counts.after_fork()


at_fork(Step.STALLS, _after_fork)
