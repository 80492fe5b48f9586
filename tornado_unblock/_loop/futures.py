"""Giving a Future of the loop an outcome; the loop thread only."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
from collections.abc import Awaitable
from typing import Callable, Protocol, TypeVar, cast

from tornado_unblock._loop.thread_loop import running_loop

_T = TypeVar("_T")


def copy_outcome(source: asyncio.Future[_T], target: asyncio.Future[_T]) -> None:
    """Give ``target`` what ``source`` has or will have; loop thread only."""
    if source.done():
        _copy_now(target, source)
        return
    source.add_done_callback(functools.partial(_copy_now, target))
    target.add_done_callback(functools.partial(_pass_cancel, source))


def _copy_now(target: asyncio.Future[_T], source: asyncio.Future[_T]) -> None:
    if target.done():
        return
    if source.cancelled():
        target.cancel()
        return
    error = source.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())


def _pass_cancel(source: asyncio.Future[_T], target: asyncio.Future[_T]) -> None:
    if target.cancelled() and not source.done():
        source.cancel()


def for_this_thread(
    future: asyncio.Future[_T], post: Callable[..., object]
) -> asyncio.Future[_T]:
    """Return what the calling thread can await for ``future``; any thread.

    A body may run a loop of its own, and what it awaits there has to belong to that.

    Args:
        future: One of the application's loop; it may be done any moment.
        post: ``post(fn, *args)`` runs ``fn(*args)`` on the thread of its loop, soon.
    """
    loop = running_loop()
    if loop is None or loop is future.get_loop():
        return future
    own: asyncio.Future[_T] = loop.create_future()
    pass_on = functools.partial(_pass_on, loop, own)
    post(future.add_done_callback, pass_on)
    return own


def _pass_on(
    loop: asyncio.AbstractEventLoop, own: asyncio.Future[_T], future: asyncio.Future[_T]
) -> None:
    with contextlib.suppress(RuntimeError):  # closed: nobody waits there any more
        loop.call_soon_threadsafe(_copy_not_awaited, own, future)


def _copy_not_awaited(own: asyncio.Future[_T], future: asyncio.Future[_T]) -> None:
    _copy_now(own, future)
    if not own.cancelled():
        own.exception()  # whoever made it is told of an error that nobody awaits


def is_work(value: object) -> bool:
    """Whether ``value`` is a coroutine, or something else that awaiting runs."""
    kind = type(value)
    return hasattr(kind, "__await__") and not issubclass(kind, asyncio.Future)


class _Context(Protocol):
    def run(self, fn: Callable[..., _T], /, *args: object) -> _T: ...


def deliver(value: object, future: asyncio.Future[object], context: _Context) -> None:
    """Give ``future`` what ``value`` is or, if awaitable, will be; loop thread only.

    Args:
        value: Anything.
        future: Not done yet.
        context: What an awaitable runs in.
    """
    # Types are asked: an object of the user may claim any attribute, or raise.
    kind = type(value)
    if issubclass(kind, asyncio.Future):
        copy_outcome(cast("asyncio.Future[object]", value), future)
    elif issubclass(kind, concurrent.futures.Future):
        job = cast("concurrent.futures.Future[object]", value)
        copy_outcome(asyncio.wrap_future(job, loop=future.get_loop()), future)
    elif is_work(value):
        work = cast("Awaitable[object]", value)
        copy_outcome(context.run(asyncio.ensure_future, work), future)
    else:
        future.set_result(value)
