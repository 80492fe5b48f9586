"""Futures of the loop, from whatever thread old code has its callbacks called.

# Threads: any.
# Guarantees: a Future is only settled and listened to on its loop's thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from typing import Any, Callable

from tornado import gen
from tornado.ioloop import IOLoop

from tornado_unblock._loop.futures import copy_outcome
from tornado_unblock._loop.lease import current_lease, in_worker, running_loop
from tornado_unblock.shim.legacy._contexts import gated, wrap


def new_future(io_loop: IOLoop) -> asyncio.Future[Any]:
    """Return a Future of ``io_loop``."""
    loop: asyncio.AbstractEventLoop = io_loop.asyncio_loop  # type: ignore[attr-defined]
    return loop.create_future()


def on_loop(io_loop: IOLoop, fn: Callable[..., Any], *args: Any) -> None:
    """Call ``fn(*args)`` on the thread of ``io_loop``: at once if it is this one."""
    lease = current_lease()
    if running_loop() is io_loop.asyncio_loop:  # type: ignore[attr-defined]
        fn(*args)
    elif lease is not None:
        # Not `add_callback`: what the library does itself need not wait.
        lease.portal.call_soon(contextvars.copy_context().run, fn, *args)
    else:
        io_loop.add_callback(fn, *args)


def give(future: asyncio.Future[Any], value: Any) -> None:
    """Settle ``future`` if it is not; loop thread."""
    if not future.done():
        future.set_result(value)


def fail(future: asyncio.Future[Any], error: BaseException) -> None:
    """Settle ``future`` with ``error`` if it is not; loop thread."""
    if not future.done():
        future.set_exception(error)


def when_done(
    io_loop: IOLoop, future: asyncio.Future[Any], fn: Callable[..., Any]
) -> None:
    """Call ``fn(future)`` when it is done, on the loop thread, in these contexts."""
    on_loop(io_loop, io_loop.add_future, future, gated(io_loop, wrap(fn)))


def call_on_loop(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what belongs to the loop thread and returns an awaitable.

    Returns:
        What it returns; in a worker, a Future that will have the same outcome.
    """
    if not in_worker():
        return fn(*args, **kwargs)
    io_loop = IOLoop.current()
    future = new_future(io_loop)
    on_loop(io_loop, _start, future, functools.partial(fn, *args, **kwargs))
    return future


def _start(future: asyncio.Future[Any], call: Callable[[], Any]) -> None:
    try:
        result = gen.convert_yielded(call())
    except Exception as error:
        fail(future, error)
    else:
        copy_outcome(result, future)
