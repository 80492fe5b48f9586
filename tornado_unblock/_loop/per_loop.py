"""What is kept for each loop: limiters, plans, a pool of async connections.

# Threads: the loop thread of the loop in question.
# Guarantees:
# - each loop has its own value, made on first use there, and of one type;
# - what has to be closed is, when its loop is drained (`tornado_unblock.shutdown`) or
#   the process's own loop ends, and dropped at once when a loop is just closed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable
from typing import Callable, Generic, NamedTuple, Optional, TypeVar, cast

from tornado_unblock._loop.portal import Portal, current_portal

_T = TypeVar("_T")


class PerLoop(Generic[_T]):
    """Makes and keeps one value for each loop.

    Args:
        make: Makes it, on the loop thread.
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make

    def of(self, portal: Portal) -> _T:
        """Return the value of the portal's loop, made if need be; loop thread."""
        try:
            return cast(_T, portal.kept[self])
        except KeyError:
            value = portal.kept[self] = self._make()
            return value

    def get(self) -> _T:
        """Return the running loop's value, made if need be; loop thread.

        Raises:
            LoopThreadError: No loop runs in this thread.
        """
        return self.of(current_portal())

    def peek(self, portal: Portal) -> Optional[_T]:
        """Return the value of the portal's loop, or None if none was made."""
        return cast(Optional[_T], portal.kept.get(self))


class _Exits(NamedTuple):
    let_go: Callable[[], Awaitable[object]]
    lose: Callable[[], object]


class ClosedPerLoop(PerLoop[_T]):
    """The same, of a value that has to be closed.

    Args:
        make: Makes it, on the loop thread.
        close: Closes it, awaited while its loop still runs.
        drop: Frees what it holds without a loop, for one that was closed without a
            warning; must not raise.
    """

    def __init__(
        self,
        make: Callable[[], _T],
        close: Callable[[_T], Awaitable[object]],
        drop: Callable[[_T], object],
    ) -> None:
        super().__init__(make)
        self._close, self._drop = close, drop
        self._exits: PerLoop[_Exits] = PerLoop(self._make_exits)

    def of(self, portal: Portal) -> _T:
        """Return the value of the portal's loop, made if need be; loop thread."""
        is_new = self not in portal.kept
        value = super().of(portal)
        if is_new:
            exits = self._exits.of(portal)
            portal.before_close.append(exits.let_go)
            portal.after_close.append(exits.lose)
        return value

    async def close(self) -> None:
        """Close the running loop's value, if there is one; loop thread."""
        await self._let_go(current_portal())

    def _make_exits(self) -> _Exits:
        portal = current_portal()
        return _Exits(
            functools.partial(self._let_go, portal),
            functools.partial(self._lose, portal),
        )

    async def _let_go(self, portal: Portal) -> None:
        if self in portal.kept:
            await self._close(self._take(portal))

    def _lose(self, portal: Portal) -> None:
        self._drop(self._take(portal))

    def _take(self, portal: Portal) -> _T:
        exits = cast(_Exits, portal.kept.pop(self._exits))
        with contextlib.suppress(ValueError):  # it is what is called just now
            portal.before_close.remove(exits.let_go)
        with contextlib.suppress(ValueError):
            portal.after_close.remove(exits.lose)
        return cast(_T, portal.kept.pop(self))
