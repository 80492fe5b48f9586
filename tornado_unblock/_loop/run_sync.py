"""What a body may do with its application's `IOLoop`, which runs in another thread.

`IOLoop.run_sync` starts the loop and stops it when a coroutine has ended. Called in a
body, it would stop the server. Here the coroutine runs on the loop, which goes on, and
the body waits for it.

# Threads: any calls; coroutines run on the loop thread.
# Guarantees:
# - on the loop thread, and without a body, Tornado's own is called;
# - while a body waits, others have its token;
# - when the body is abandoned, or waits no longer, the coroutine is cancelled.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from typing import Any, Callable, Optional, Protocol, cast

from tornado import gen, util
from tornado.ioloop import IOLoop

from tornado_unblock._errors import AbandonedError
from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.lease import Lease, check_lease, current_lease

_Call = Callable[..., object]
# What it returns, `gen.convert_yielded` looks at.
_Yieldable = Callable[[], Any]


class _Portal(Protocol):
    """What of a portal is used here."""

    loop: asyncio.AbstractEventLoop
    io_loop: IOLoop

    def call_soon(self, fn: _Call, *args: object) -> None:
        """Run ``fn(*args)`` on the loop thread, soon; any thread."""


def guard_io_loop(portal: _Portal) -> None:
    """Make `IOLoop.run_sync` and `IOLoop.stop` usable in a body; loop thread."""
    io_loop, either = portal.io_loop, functools.partial(_either, threading.get_ident())
    io_loop.run_sync = functools.partial(  # type: ignore[method-assign]
        either, io_loop.run_sync, functools.partial(_run_sync, portal)
    )
    io_loop.stop = functools.partial(  # type: ignore[assignment,method-assign]
        either, io_loop.stop, functools.partial(portal.call_soon, io_loop.stop)
    )


def unguard_io_loop(io_loop: IOLoop) -> None:
    """Make it as it was."""
    for name in ("run_sync", "stop"):
        vars(io_loop).pop(name, None)


def _either(
    thread: int, own: _Call, in_body: _Call, *args: object, **kwargs: object
) -> object:
    elsewhere = threading.get_ident() != thread and current_lease() is not None
    return in_body(*args, **kwargs) if elsewhere else own(*args, **kwargs)


def _run_sync(
    portal: _Portal, func: _Yieldable, timeout: Optional[float] = None
) -> object:
    lease = cast(Lease, check_lease())  # `_either` has seen it
    run = _Run(func, lease)
    with lease.lending():
        portal.call_soon(contextvars.copy_context().run, run.start)
        in_time = run.latch.wait(portal.loop, timeout)
        if not in_time:
            portal.call_soon(run.cancel)
            run.latch.wait(portal.loop)
    return run.outcome(timeout)


class _Run:
    """One function that a body has the loop run to its end."""

    def __init__(self, func: _Yieldable, lease: Lease) -> None:
        self._func = func
        self._lease = lease
        self.latch = Latch()
        # Loop thread only, until the latch is open.
        self._task: Optional[asyncio.Task[None]] = None
        self._late = False
        self._value: object = None
        self._error: Optional[BaseException] = None

    # --- loop thread -----------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._end)
        self._lease.awaiting = self._task

    def cancel(self) -> None:
        """End it: its time is over."""
        self._late = self._task is not None and self._task.cancel()

    async def _run(self) -> None:
        try:
            made = self._func()
            if hasattr(type(made), "__await__"):
                self._value = await made
            elif made is not None:  # a list, a coroutine of `types.coroutine`, ...
                self._value = await gen.convert_yielded(made)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Carried, not raised: SystemExit would end the loop.
            self._error = error

    def _end(self, task: asyncio.Task[None]) -> None:
        lease = self._lease
        lease.awaiting = None
        if task.cancelled():
            self._error = asyncio.CancelledError()
            if lease.revoked is not None:
                self._error = AbandonedError(lease.revoked)
        self._task = None
        self.latch.open()

    # --- worker ----------------------------------------------------------

    def outcome(self, timeout: Optional[float]) -> object:
        """Return or raise what has come of it."""
        try:
            if self._late and isinstance(self._error, asyncio.CancelledError):
                raise util.TimeoutError(f"Operation timed out after {timeout} seconds")
            if self._error is not None:
                raise self._error
            return self._value
        finally:
            self._error = None  # the traceback refers to this frame: no cycle
