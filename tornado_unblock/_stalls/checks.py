"""`no_stalls`: a test fails that stalls the loop.

# Threads: entered and left on one thread; what is found comes from the watcher's.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Optional

from tornado_unblock._errors import ConfigurationError, StallError
from tornado_unblock._stalls.counts import StallCounts
from tornado_unblock._stalls.records import Place, Stall
from tornado_unblock._stalls.reports import describe
from tornado_unblock._stalls.watcher import Settings, Watcher, check_seconds


class no_stalls:
    """A context manager that fails where a loop has been stalled in it.

    Every loop that Tornado uses is watched, on whichever thread it runs, and the one
    that runs where the block is entered.

    Args:
        threshold: Seconds from which on a loop that does not answer is stalled.
        allow: What is not mended yet: patterns as of `fnmatch`, of which one must match
            a frame between the handler and the line that blocks: ``orders.py``,
            ``orders.py:load``, ``models/*.py:41``. Or the endpoint: ``Orders.get``.

    Attributes:
        stalls: What was found, without what is allowed.
        allowed: What was found, and is allowed.

    Raises:
        ConfigurationError: ``threshold`` or ``allow`` makes no sense.
        StallError: When left: there were stalls. An error that leaves the block goes
            first.
    """

    def __init__(self, threshold: float = 0.1, *, allow: Iterable[str] = ()) -> None:
        if isinstance(allow, str) or not all(isinstance(p, str) for p in allow):
            raise ConfigurationError(
                f"no_stalls(): allow is a list of patterns, not {allow!r}"
            )
        self.threshold = check_seconds("no_stalls()", "threshold", threshold)
        self._allow = tuple(allow)
        self.stalls: list[Stall] = []
        self.allowed: list[Stall] = []
        self._watcher: Optional[Watcher] = None

    def __enter__(self) -> no_stalls:
        if self._watcher is not None:
            raise ConfigurationError(
                "no_stalls(): this one is entered already; make one for each block"
            )
        settings = Settings(self.threshold, 0.0, False, None)
        self._watcher = Watcher(settings, StallCounts(), self._note, log=False)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        if error is None and self.stalls:
            raise StallError(self.message())

    def message(self) -> str:
        """Return what was found, in words."""
        times = "once" if len(self.stalls) == 1 else f"{len(self.stalls)} times"
        told = [f"for {s.seconds:.3f} s: {describe(s)}" for s in self.stalls]
        return "\n".join([f"the event loop was stalled {times}", *told])

    def _note(self, stall: Stall) -> None:
        if stall.over:
            found = self.allowed if allows(self._allow, stall) else self.stalls
            found.append(stall)


def allows(patterns: Iterable[str], stall: Stall) -> bool:
    """Whether one of ``patterns`` covers ``stall``."""
    names = [stall.endpoint]
    for place in (*stall.chain, *((stall.place,) if stall.place else ())):
        names += _names(place)
    return any(
        fnmatch.fnmatchcase(name, form)
        for pattern in patterns
        for form in (pattern, f"*/{pattern}")
        for name in names
    )


def _names(place: Place) -> list[str]:
    file = place.file.replace(os.sep, "/")
    short = place.function.rpartition(".")[2]
    functions = [f"{file}:{place.function}", f"{file}:{short}"]
    return [file, f"{file}:{place.line}", *functions]
