"""The only way from a worker to the loop thread.

`Portal.call_soon` posts and returns; `Portal.call` waits for the result. One
portal serves one asyncio loop, whichever thread asks.

# Threads: any thread may post; callbacks run on the loop thread, in order.
# Guarantees:
# - what one thread posts runs in the order in which it was posted;
# - however many callbacks wait, the loop is woken once for all of them;
# - a wait ends: with the result, when the loop closes, when the interpreter
#   goes down, or after its timeout;
# - in a forked child no portal of the parent is left.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import logging
import threading
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from tornado.ioloop import IOLoop

from tornado_unblock._errors import LoopClosedError, LoopThreadError, log, safe_repr
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.guard import guard
from tornado_unblock._loop.latch import Answer
from tornado_unblock._loop.lease import here, running_loop, set_current_lease
from tornado_unblock._loop.run_sync import guard_io_loop, unguard_io_loop
from tornado_unblock._loop.turn_end import Turns
from tornado_unblock._loop.weak import members

if TYPE_CHECKING:
    from tornado_unblock._loop.shared_context import SharedContext

_T = TypeVar("_T")

_Call = Callable[..., object]


# How long a round trip to the loop may take before it is given up, in seconds.
# Only a loop thread that waits for a lock of this very worker, or a stalled
# one, takes this long.
CALL_TIMEOUT = 5.0


# A loop carries its portal as an attribute of this name, so that it goes when
# the loop goes. Written on the loop's own thread only.
_ATTRIBUTE = "_tornado_unblock_portal"
_open: weakref.WeakSet[Portal] = weakref.WeakSet()
# Another one after each fork: portals of an older one are the parent's.
_generation = object()


def forget_locals() -> None:
    """Forget what is kept for each loop."""
    for portal in members(_open):
        portal.forget()


def current_portal() -> Portal:
    """Return the portal of the loop that runs in this thread.

    Raises:
        LoopThreadError: No loop runs here.
    """
    loop = running_loop()
    if loop is None:
        raise LoopThreadError(
            f"no event loop runs in thread {threading.current_thread().name!r}; "
            "call this from a handler or a coroutine, or call the function itself"
        )
    portal: Optional[Portal] = getattr(loop, _ATTRIBUTE, None)
    if portal is None or portal.generation is not _generation:
        portal = Portal(loop)
        setattr(loop, _ATTRIBUTE, portal)
        _open.add(portal)
    return portal


def portal_to(loop: asyncio.AbstractEventLoop) -> Optional[Portal]:
    """Return the portal of a loop that does not run in this thread; any thread.

    Returns:
        None when no thread runs the loop, so that nothing has to be carried to it: not
        started yet, stopped, or closed. A worker is not to touch what belongs to a
        loop that is between two runs: it gets the portal.

    Raises:
        LoopThreadError: The loop does not answer.
    """
    portal: Optional[Portal] = getattr(loop, _ATTRIBUTE, None)
    if portal is not None and portal.generation is _generation:
        return portal if loop.is_running() or here.lease is not None else None
    if not loop.is_running():
        return None
    answer = Answer(current_portal, ())
    try:
        loop.call_soon_threadsafe(answer.give)
    except RuntimeError:  # it has closed just now
        return None
    if not answer.latch.wait(loop, CALL_TIMEOUT) and answer.withdraw():
        raise _no_answer(CALL_TIMEOUT)
    answer.latch.wait(loop)
    return answer.take()


def _no_answer(timeout: float) -> LoopThreadError:
    return LoopThreadError(
        f"the event loop did not answer within {timeout:g} s: something "
        "blocks it, maybe a callback waiting for a lock this body holds"
    )


class Portal:
    """The door to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.generation = _generation
        # Made here, on the loop thread: Tornado 6.1 takes the thread that
        # first asks for an IOLoop as that loop's thread.
        self.io_loop = IOLoop.current()
        # What `per_loop` keeps for this loop. Loop thread only.
        self.kept: dict[object, object] = {}
        # That of the coroutine which makes a step right now. Loop thread only.
        self.shared_context: Optional[SharedContext] = None
        # What to await before the loop is closed, and to call once it is. Loop
        # thread only.
        self.before_close: list[Callable[[], Awaitable[object]]] = []
        self.after_close: list[Callable[[], object]] = []
        # Appended to by any thread, emptied by the loop thread.
        self._queue: collections.deque[tuple[_Call, tuple[object, ...]]] = (
            collections.deque()
        )
        # Set before the loop is woken, cleared before the queue is emptied, so
        # a callback is never left behind; at worst the loop wakes once more.
        self._woken = False
        self.turns = Turns(loop)
        # Callbacks of many requests run in one go: none may see the context
        # of the one that happened to wake the loop.
        self._context = contextvars.Context()
        guard(self.loop, self.call_soon, self._closed)
        guard_io_loop(self)

    def call_soon(self, fn: _Call, *args: object) -> None:
        """Run ``fn(*args)`` on the loop thread, soon and in order; any thread.

        Raises:
            LoopClosedError: The loop is closed; ``fn`` will not run.
        """
        if self.loop.is_closed():
            self._queue.clear()
            raise LoopClosedError(
                "the event loop is closed; nothing can be posted to it"
            )
        self._queue.append((fn, args))
        if not self._woken:
            try:
                self._woken = True
                self.loop.call_soon_threadsafe(self._drain, context=self._context)
            except RuntimeError:
                self._woken = False
                self._queue.clear()
                raise LoopClosedError(
                    "the event loop is closed; nothing can be posted to it"
                ) from None
            except BaseException:  # Ctrl-C, just now: the next one wakes it
                self._woken = False
                raise

    def call(
        self, fn: Callable[..., _T], *args: object, timeout: float = CALL_TIMEOUT
    ) -> _T:
        """Run ``fn(*args)`` on the loop thread and wait; workers only.

        Args:
            fn: What to run.
            *args: Its arguments.
            timeout: Seconds to wait.

        Returns:
            What ``fn`` returns; what it raises is raised here.

        Raises:
            LoopThreadError: Called on the loop thread, or no answer came in time.
            LoopClosedError: The loop closed meanwhile.
        """
        if running_loop() is self.loop:
            raise LoopThreadError(
                "the loop thread cannot wait for itself; call the function directly"
            )
        answer = Answer(fn, args)
        self.call_soon(answer.give)
        if not answer.latch.wait(self.loop, timeout) and answer.withdraw():
            raise _no_answer(timeout)
        answer.latch.wait(self.loop)
        return answer.take()

    async def release(self) -> None:
        """Let go of what is kept on the loop, before it is closed; loop thread."""
        while self.before_close:
            let_go = self.before_close.pop()
            try:
                await asyncio.wait_for(let_go(), CALL_TIMEOUT)
            except Exception as error:
                log(
                    logging.ERROR,
                    "%s failed while the loop closes",
                    safe_repr(let_go),
                    error=error,
                )

    def forget(self) -> None:
        """Drop what is kept on the loop."""
        self.before_close.clear()
        while self.after_close:
            self.after_close.pop()()
        self.kept.clear()

    def _closed(self) -> None:
        self.forget()
        self._queue.clear()
        vars(self.loop).pop(_ATTRIBUTE, None)
        unguard_io_loop(self.io_loop)

    def _drain(self) -> None:
        self._woken = False
        ends = self.turns.begin()
        try:
            self._run_posted()
        finally:
            if ends:
                self.turns.end()

    def _run_posted(self) -> None:
        queue = self._queue
        # As many as there are now: callbacks that post more must not keep the
        # loop from its sockets.
        for _ in range(len(queue)):
            fn, args = queue.popleft()
            try:
                fn(*args)
            except (Exception, asyncio.CancelledError) as error:
                name = safe_repr(fn)
                log(logging.ERROR, "Exception in callback %s", name, error=error)
            except BaseException:
                # It ends the loop's run, not what else was posted.
                self._woken = True
                self.loop.call_soon(self._drain, context=self._context)
                raise


def _forget_parent() -> None:
    # In a forked child only the forking thread lives, and no loop of the
    # parent runs: what was kept for them is not for the child.
    global _generation
    _generation = object()
    set_current_lease(None)


at_fork(Step.LOOPS, _forget_parent)
