"""`watch`: the one watch of a process, and what it has found.

# Threads: any; what there is of it is guarded by `_lock`.
# Guarantees:
# - there is one watch at a time; nothing of Tornado or asyncio is touched without one;
# - every loop that Tornado knows is watched, whichever comes first;
# - what was counted stays when the watch ends;
# - a forked child watches its own loops, and begins to count anew.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import TYPE_CHECKING, Any, Optional

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._stalls.counts import StallCounts
from tornado_unblock._stalls.records import LoopStatistics, StallStatistics
from tornado_unblock._stalls.settings import Settings, check_seconds

if TYPE_CHECKING:
    from tornado_unblock._stalls import hooks, watcher
else:

    class _Later:
        """A module that is imported when it is used: most programs keep no watch."""

        def __init__(self, name: str) -> None:
            self._name = f"tornado_unblock._stalls.{name}"

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._name), name)

    hooks, watcher = _Later("hooks"), _Later("watcher")

_lock = threading.RLock()
# Guarded by _lock.
_watch: Optional[Watch] = None
_counts = StallCounts()


class Watch:
    """A watch that is kept; what `watch` returns.

    Attributes:
        threshold: Seconds from which on a loop that does not answer is stalled.
    """

    def __init__(self, settings: Settings) -> None:
        self.threshold = settings.threshold
        self._settings = settings
        self._watcher = watcher.Watcher(settings, _counts)

    def stop(self) -> None:
        """End the watch, and leave Tornado and every loop as they were; any thread.

        What was counted stays: `stalls` still returns it. A second call does nothing.
        """
        global _watch
        with _lock:
            if _watch is self:
                _watch = None
        hooks.leave(self._watcher)
        self._watcher.stop()

    def __repr__(self) -> str:
        return f"<Watch threshold={self.threshold:g}>"


def watch(
    threshold: float = 0.1,
    *,
    log_every: float = 60.0,
    faulthandler: bool = False,
    write: Optional[str] = None,
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
            leave it off where something else uses it, as pytest does.
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
    global _watch
    settings = Settings(
        check_seconds("watch()", "threshold", threshold),
        check_seconds("watch()", "log_every", log_every, zero=True),
        bool(faulthandler),
        None if write is None else os.path.abspath(write),
    )
    with _lock:
        if _watch is None:
            _watch = Watch(settings)
            hooks.join(_watch._watcher)
        elif _watch._settings != settings:
            raise ConfigurationError(
                f"this process is watched already, with {_watch._settings}; call "
                "stop() of what watch() returned before you ask for other values"
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
    return _counts.get()


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
    _counts.clear()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    _counts.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - all but Windows
    os.register_at_fork(after_in_child=_after_fork)
