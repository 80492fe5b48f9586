"""From sync to async and back: the two crossings on which the shim stands.

`wait` lets a thread wait for an awaitable of the loop; `call` lets a coroutine
await a sync function. Each brings the context variables that the other side
changed along.

# Threads: `wait` in any thread but a loop's, `call` on a loop thread.
# Guarantees:
# - a worker waits on the application's loop, any other thread on the process's own;
# - a sync function called by what a thread waits for runs in that very thread;
# - a worker's token is lent while it waits: what is awaited may need one;
# - when the waiting side is abandoned or interrupted, the awaited side is cancelled,
#   and has ended before the waiting side goes on.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable
from typing import Callable, Generic, Optional, TypeVar, cast

from tornado_unblock._errors import AbandonedError, LoopThreadError
from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.lease import (
    Lease,
    current_lease,
    innermost_lease,
    running_loop,
)
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._offload.offload import Offload
from tornado_unblock._offload.run_in_executor import run_in_executor
from tornado_unblock.shim._crossing.background import background_portal
from tornado_unblock.shim._crossing.lane import HIDDEN, Lane, current_lane, serving_lane

_T = TypeVar("_T")


def wait(awaitable: Awaitable[_T]) -> _T:
    """Wait for an awaitable in this thread; any thread that runs no loop.

    A worker of an application waits on that application's loop, so that Futures
    and connections of that loop can be used. Any other thread (a script, the REPL, a
    thread of your own) waits on a loop that this process keeps for them.

    Args:
        awaitable: A coroutine, or a Future of that loop.

    Returns:
        Its result; what it raises is raised here.

    Raises:
        LoopThreadError: Called where an event loop runs: await it there. Or while
            this waits, another sync function has waited for its turn in this thread
            for as long as a request may wait for a worker.
        LoopClosedError: The loop closed meanwhile, or the interpreter is ending.
        AbandonedError: This worker's request was answered without it (a timeout,
            a shutdown): the awaitable was cancelled. Said once: what the body
            awaits after that, to clean up, is awaited.
    """
    try:
        check_may_block("wait(...)", "await it instead")
    except LoopThreadError:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise
    crossing = Crossing(awaitable)
    crossing.raise_if_abandoned()
    return crossing.wait()


def check_may_block(what: str, instead: str) -> None:
    """Raise unless this thread may block.

    Args:
        what: The call, as an error names it.
        instead: What to write instead.

    Raises:
        LoopThreadError: An event loop runs in this thread.
    """
    if running_loop() is not None:
        raise LoopThreadError(
            f"{what} would block the event loop that runs in this thread: {instead}, "
            "or put @unblock on the handler whose body calls it"
        )


async def call(fn: Callable[[], _T]) -> _T:
    """Run a sync function for the coroutine that awaits this; loop thread.

    It runs in the thread that waits for this coroutine, if one does, else on the
    global executor.

    Args:
        fn: The function; a `functools.partial` goes by the name of what it calls.
    """
    lane = current_lane()
    if lane is not None:
        return await call_on(lane, fn, describe(fn))
    return await run_in_executor(fn)


async def call_on(lane: Lane, fn: Callable[[], _T], name: str) -> _T:
    """Run a sync function in the thread that waits behind ``lane``; loop thread."""
    portal = current_portal()
    where = placement(portal, get_executor(), name, None)
    offload = Offload(portal, where, fn)
    future = offload.future
    lane.start(offload)
    return cast(_T, await future)


def waiting_portal() -> Portal:
    """Return the way to the loop on which this thread waits; not on a loop thread."""
    lease = current_lease()
    return lease.portal if lease is not None else background_portal()


class Crossing(Generic[_T]):
    """One awaitable that one thread waits for."""

    def __init__(self, awaitable: Awaitable[_T]) -> None:
        self._portal = waiting_portal()
        self._lane = Lane(self._portal, serving_lane())
        self._awaitable = awaitable
        self._before = contextvars.copy_context()
        self._after = self._before
        self._lease: Optional[Lease] = innermost_lease()
        self._holder: Optional[Lease] = current_lease()
        # Loop thread only, until the lane is shut.
        self._task: Optional[asyncio.Task[None]] = None
        self._has_begun = False
        self._value: Optional[_T] = None
        self._error: Optional[BaseException] = None
        self._failure: Optional[LoopThreadError] = None

    # --- the waiting thread ----------------------------------------------

    def raise_if_abandoned(self) -> None:
        """Say that nobody waits for this body any more, once."""
        lease = self._lease
        if (
            lease is not None
            and lease.revoked is not None
            and not lease.abandonment_raised
        ):
            lease.abandonment_raised = True
            self._drop()
            raise AbandonedError(lease.revoked)

    def wait(self) -> _T:
        """Return or raise the outcome."""
        try:
            self._serve()
        except BaseException:
            self._drop()
            raise
        for variable, value in self._after.items():
            changed = self._before.get(variable, self) is not value
            if changed and variable not in HIDDEN:
                variable.set(value)
        try:
            if self._error is not None:
                raise self._error
            return cast(_T, self._value)
        finally:
            self._error = None  # the traceback refers to this frame: no cycle

    def _serve(self) -> None:
        try:
            self._portal.call_soon(self._before.copy().run, self._start)
            self._lane.serve()
        except KeyboardInterrupt:
            # Let it clean up before this thread goes on; a second one leaves at once.
            self._portal.call_soon(self._cancel)
            self._lane.serve()
            raise

    def _drop(self) -> None:
        if asyncio.iscoroutine(self._awaitable) and not self._has_begun:
            self._awaitable.close()

    # --- loop thread -----------------------------------------------------

    def _start(self) -> None:
        self._lane.open(self._holder, self)
        self._lane.rests()  # it has posted this, and waits
        self._lane.make_current()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._end)
        lease = self._lease
        if lease is not None:
            lease.awaiting = self._task

    async def _run(self) -> None:
        self._has_begun = True
        try:
            self._value = await self._awaitable
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Carried, not raised: SystemExit would end the loop.
            self._error = error
        finally:
            self._after = contextvars.copy_context()

    def fail(self, why: str) -> None:
        """End the wait with an error that says why; see `lane.Wait`."""
        self._failure = LoopThreadError(why)
        self._cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        lease = self._lease
        if lease is not None:
            lease.awaiting = None
        if task.cancelled():
            self._error = asyncio.CancelledError()
            if lease is not None and lease.revoked is not None:
                self._error = AbandonedError(lease.revoked)
                lease.abandonment_raised = True
            elif self._failure is not None:
                self._error = self._failure
            self._drop()  # cancelled before it began
        self._task = self._failure = None
        if self._lane.is_stuck and self._error is not None:
            self._error = self._told_to_all(self._error)
        self._lane.shut()

    def _told_to_all(self, error: BaseException) -> BaseException:
        """Let nobody wait for a thread that does not come back to hear of ``error``."""
        body = self._holder
        if isinstance(body, Offload):
            body.fail(error, "what it waited for failed, and it is blocked")
        if body is not None and body.revoked is not None:
            return AbandonedError(body.revoked)
        return error

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:  # it has just ended, or was never begun
            self._lane.shut()
