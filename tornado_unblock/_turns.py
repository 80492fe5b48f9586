"""What to do once the loop has done what it has to do now.

# Threads: the loop thread only.
# Guarantees: what is asked for is called once in each turn, before the loop waits
# for its sockets again.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, Callable


class Turns:
    """The turns of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: dict[Callable[[], object], None] = {}
        # Whether something under way calls them when it ends.
        self._has_end = False
        # Private to asyncio's loops: what is left to do in this turn. Of others it
        # is not known, so there always is something.
        self._ready: Any = getattr(loop, "_ready", (None,))
        self._context = contextvars.Context()

    def at_end(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` at the end of the turn: at once, when nothing else is left."""
        self._calls[fn] = None
        if not self._has_end:
            self._end_soon()

    def begin(self) -> bool:
        """Begin what will call `end`; whether it has to."""
        ends, self._has_end = not self._has_end, True
        return ends

    def end(self) -> None:
        """End what `begin` began."""
        self._has_end = False
        self._end_soon()

    def _end_soon(self) -> None:
        if self._ready and self._calls:
            self._has_end = True
            self._loop.call_soon(self._call_all, context=self._context)
        else:
            self._call_all()

    def _call_all(self) -> None:
        self._has_end = False
        calls, self._calls = self._calls, {}
        for fn in calls:
            fn()
