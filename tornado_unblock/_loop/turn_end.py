"""Whom to wake once the loop has done what it has to do now.

# Threads: the loop thread only.
# Guarantees: who is to be woken is, once in each turn, before the loop waits for its
# sockets again.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sized
from typing import Protocol


class Sleeper(Protocol):
    """What is to be woken when the turn ends."""

    def wake(self) -> None:
        """There is something to do."""


class Turns:
    """The turns of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asleep: dict[Sleeper, None] = {}
        # Whether something under way wakes them when it ends.
        self._has_end = False
        # Private to asyncio's loops: what is left to do in this turn. Of others it
        # is not known, so there always is something.
        self._ready: Sized = getattr(loop, "_ready", (None,))
        self._context = contextvars.Context()

    def wake_at_end(self, sleeper: Sleeper) -> None:
        """Wake ``sleeper`` at the end of the turn: at once, if nothing else is left."""
        self._asleep[sleeper] = None
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
        if not self._asleep:
            return
        if self._ready:
            self._has_end = True
            self._loop.call_soon(self._wake_all, context=self._context)
        else:
            self._wake_all()

    def _wake_all(self) -> None:
        self._has_end = False
        asleep, self._asleep = self._asleep, {}
        for sleeper in asleep:
            sleeper.wake()
