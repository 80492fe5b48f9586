"""What belongs to one loop: a pool of async connections, a client session.

# Threads: the loop thread of the loop in question.
# Guarantees:
# - each loop has its own, made on first use there;
# - it is closed when the loop is drained (`tornado_unblock.shutdown`), when the
#   process's own loop ends, and dropped at once when a loop is just closed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable
from typing import Any, Callable, Generic, NamedTuple, TypeVar

from tornado_unblock._loop.portal import Portal, current_portal

_T = TypeVar("_T")


class PerLoop(Generic[_T]):
    """Makes and keeps one value for each loop.

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
        self._make, self._close, self._drop = make, close, drop

    def get(self) -> _T:
        """Return the running loop's value, made if need be; loop thread.

        Raises:
            LoopThreadError: No loop runs in this thread.
        """
        portal = current_portal()
        if self not in portal.locals:
            let_go = functools.partial(self._let_go, portal)
            lose = functools.partial(self._lose, portal)
            portal.locals[self] = _Kept(self._make(), let_go, lose)
            portal.before_close.append(let_go)
            portal.after_close.append(lose)
        return portal.locals[self].value  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close the running loop's value, if there is one; loop thread."""
        await self._let_go(current_portal())

    async def _let_go(self, portal: Portal) -> None:
        if self in portal.locals:
            await self._close(self._take(portal))

    def _lose(self, portal: Portal) -> None:
        self._drop(self._take(portal))

    def _take(self, portal: Portal) -> _T:
        kept: _Kept = portal.locals.pop(self)
        with contextlib.suppress(ValueError):  # it is what is called just now
            portal.before_close.remove(kept.let_go)
        with contextlib.suppress(ValueError):
            portal.after_close.remove(kept.lose)
        return kept.value  # type: ignore[no-any-return]


class _Kept(NamedTuple):
    value: Any
    let_go: Callable[[], Awaitable[object]]
    lose: Callable[[], object]
