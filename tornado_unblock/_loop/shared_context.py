"""One Context object for all parts of a request, on whatever thread they run.

Python resets a context variable only in the Context object in which it was set, and
lets one thread at a time be in such an object. So the steps that a request's coroutine
makes on the loop thread and the bodies that it awaits in workers take turns in one.

# Threads: `in_one_context` is the loop thread's, `SharedContext.place_for` a worker's.
# Guarantees:
# - a body is in the Context of the coroutine only while the coroutine awaits just it,
#   in code that bears to lose it;
# - the coroutine never waits for its Context: while an abandoned body is still in it,
#   it goes on in another, which is as it was before that body;
# - what runs beside that (tasks, the parts of a `gather`) has copies, and so has a body
#   that was called with other variables than the coroutine has when it awaits it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Callable, Optional, TypeVar, cast

from tornado_unblock._errors import LoopClosedError
from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.portal import CALL_TIMEOUT, Portal

_T = TypeVar("_T")

Shares = Callable[[Optional[types.CodeType]], bool]

NOTHING_MORE = object()
"""What a coroutine awaits that has ended."""


class Place:
    """A Context with room for one."""

    __slots__ = ("_free", "context")

    def __init__(self, context: contextvars.Context) -> None:
        self.context = context
        # list.pop is atomic: who gets it is in.
        self._free = [True]

    def take(self) -> bool:
        """Whether nobody was in it; then the caller is, until `leave`."""
        try:
            return self._free.pop()
        except IndexError:
            return False

    def leave(self) -> None:
        """Make room for the next."""
        self._free.append(True)

    def run(self, fn: Callable[..., _T], *args: object) -> _T:
        """Run ``fn(*args)`` here; in a copy while somebody is in. Any thread."""
        if not self.take():
            return self.context.copy().run(fn, *args)
        try:
            return self.context.run(fn, *args)
        finally:
            self.leave()


class SharedContext:
    """The Context of one coroutine, and of the bodies that it awaits."""

    __slots__ = (
        *("_awaited", "_before", "_coroutine", "_place", "_portal", "_shares"),
        "hooks",
    )

    def __init__(
        self, portal: Portal, coroutine: Coroutine[Any, Any, Any], shares: Shares
    ) -> None:
        self._coroutine, self._shares = coroutine, shares
        # What it has begun that nobody awaits, and what belongs to it all the same.
        self.hooks: list[asyncio.Future[object]] = []
        self._portal = portal
        self._place = Place(contextvars.copy_context())
        # What it was before the body that is in it. Set by that one's worker first.
        self._before: contextvars.Context
        # What the coroutine awaits, as it says at the end of a step; None within one.
        # The loop thread writes, workers read.
        self._awaited: object = None

    def step(self, fn: Callable[[object], object], value: object) -> object:
        """Run ``fn(value)``, a step of the coroutine; loop thread."""
        portal, self._awaited = self._portal, None
        place = self._place
        if not place.take():
            place = self._place = Place(self._before)
            place.take()
        outer, portal.shared_context = portal.shared_context, self
        awaited: object = NOTHING_MORE
        try:
            awaited = place.context.run(fn, value)
            return awaited
        finally:
            portal.shared_context = outer
            place.leave()
            self._awaited = awaited
            value = None  # error -> traceback -> this frame -> error: no cycle

    def place_for(
        self, future: object, before: contextvars.Context, *, cleans_up: bool = False
    ) -> Optional[Place]:
        """Return where a body is to run; None if that is for another context.

        Args:
            future: That of the body: its coroutine has to await just this.
            before: The variables with which the body is to run.
            cleans_up: Whether the coroutine may have ended as well.
        """
        if self._awaited is None:
            self._await_step()
        awaited, place = self._awaited, self._place
        if awaited is not future and not (cleans_up and awaited is NOTHING_MORE):
            return None
        if not _are_same(before, place.context):
            return None
        if awaited is future and not self._shares(_innermost(self._coroutine)):
            return None
        self._before = before
        return place

    def _await_step(self) -> None:
        """Wait for the end of the very step that has asked for the body."""
        latch = Latch()
        with contextlib.suppress(LoopClosedError):
            self._portal.call_soon(latch.open)
            latch.wait(self._portal.loop, CALL_TIMEOUT)


def _innermost(coroutine: object) -> Optional[types.CodeType]:
    """Return the code of the coroutine that awaits what is no coroutine itself."""
    code = None
    while isinstance(coroutine, types.CoroutineType):
        code, coroutine = coroutine.cr_code, coroutine.cr_await
    return code


def _are_same(one: contextvars.Context, other: contextvars.Context) -> bool:
    """Whether one has all variables of the other; nearly always it is a copy of it."""
    try:
        return one == other
    except BaseException:  # values that refuse to be compared are not the same
        return False


def in_one_context(
    portal: Portal, running: Awaitable[_T], shares: Shares = bool
) -> Awaitable[_T]:
    """Have the steps of a coroutine share a Context with the bodies it awaits.

    Args:
        portal: The way to the loop.
        running: Not begun. What is no coroutine stays as it is.
        shares: Whether code that awaits a body leaves its Context to that. It has to
            bear another, should the body be abandoned: tokens are of no use there.

    Returns:
        What to await in its place.
    """
    if isinstance(running, Coroutine):
        return _steps(portal, running, shares)
    return running


@types.coroutine
def _steps(
    portal: Portal, coroutine: Coroutine[object, object, _T], shares: Shares
) -> Generator[object, object, _T]:
    shared = SharedContext(portal, coroutine, shares)
    step: Callable[[Any], object] = coroutine.send
    value: object = None
    while True:
        try:
            awaited = shared.step(step, value)
        except StopIteration as stop:
            if shared.hooks:
                yield from _await_hooks(shared.hooks)
            return cast(_T, stop.value)
        finally:
            value = None  # no cycle, as above
        try:
            value, step = (yield awaited), coroutine.send
        except GeneratorExit:
            # It is dropped, in whatever thread, and maybe the coroutine is already.
            coroutine.close()
            raise
        except BaseException as error:
            value, step = error, coroutine.throw
        del awaited


def _await_hooks(
    hooks: list[asyncio.Future[object]],
) -> Generator[object, object, None]:
    # Who cancels it now is too late: all but these has ended.
    with contextlib.suppress(asyncio.CancelledError):
        yield from asyncio.wait(hooks).__await__()
