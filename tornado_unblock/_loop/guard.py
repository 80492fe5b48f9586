"""Timers and tasks that a body asks for, started on the loop thread.

A body that says ``IOLoop.current().call_later(...)`` or
``asyncio.ensure_future(...)`` reaches the loop's own methods, of which asyncio
allows only ``call_soon_threadsafe`` off its thread
(https://docs.python.org/3/library/asyncio-dev.html#concurrency-and-multithreading).
`guard` makes these methods post when a worker calls them.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from typing import Any, Callable, Optional

from tornado_unblock._loop.futures import copy_outcome

Post = Callable[..., None]
"""``post(fn, *args)`` runs ``fn(*args)`` on the loop thread, soon."""


def guard(
    loop: asyncio.AbstractEventLoop,
    in_worker: Callable[[], bool],
    post: Post,
    closed: Callable[[], None],
) -> None:
    """Make ``loop`` start timers and tasks on its own thread, whoever asks.

    Args:
        loop: The running loop; it is as it was once it is closed.
        in_worker: Whether the calling thread is a worker.
        post: How a worker reaches the loop thread.
        closed: Called when the loop is closed.
    """
    posted: dict[str, Callable[..., Any]] = {
        # Futures schedule their callbacks with this one: so a body may complete
        # a Future of the loop.
        "call_soon": _post_soon,
        "call_later": _post_later,
        "call_at": _post_at,
        "create_task": functools.partial(_post_task, in_worker),
    }
    if isinstance(loop, asyncio.BaseEventLoop):
        # Its call_later asks its call_at. And with one attribute more than five, a loop
        # has too many for CPython to share their names: all it does gets slower.
        del posted["call_later"]
    for name, by_post in posted.items():
        own = getattr(loop, name)
        call = _either(loop, own, by_post, in_worker, post)
        if name == "call_soon" and _is_plain(loop):
            call = _at_once(loop, call)
        setattr(loop, name, call)
    own_close = functools.partial(_close, loop, loop.close, closed)
    loop.close = own_close  # type: ignore[method-assign]


def _close(
    loop: asyncio.AbstractEventLoop,
    own: Callable[[], None],
    closed: Callable[[], None],
) -> None:
    own()
    # Each refers to the loop that it is an attribute of.
    for name in ("call_soon", "call_later", "call_at", "create_task", "close"):
        vars(loop).pop(name, None)
    closed()


def _either(
    loop: asyncio.AbstractEventLoop,
    own: Callable[..., Any],
    posted: Callable[..., Any],
    in_worker: Callable[[], bool],
    post: Post,
) -> Callable[..., Any]:
    running = asyncio._get_running_loop

    @functools.wraps(own)
    def call(*args: Any, **kwargs: Any) -> Any:
        # Looking for a running loop is cheap, and nearly always enough.
        if running() is None and in_worker():
            return posted(loop, post, functools.partial(own, *args, **kwargs))
        return own(*args, **kwargs)

    return call


def _is_plain(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop's `call_soon` is asyncio's own, which nobody has replaced."""
    for name in ("call_soon", "_call_soon", "_check_closed"):
        code = getattr(getattr(type(loop), name, None), "__code__", None)
        own = code is not None and code.co_filename == asyncio.base_events.__file__
        if not own or name in vars(loop):
            return False
    return True


def _at_once(loop: Any, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Return asyncio's `call_soon` in one frame, so that the guard costs nothing there.

    asyncio takes three frames to it, and a loop asks five times for each request.
    """
    running: Callable[[], Any] = asyncio._get_running_loop
    handle_class, ready = asyncio.Handle, loop._ready

    @functools.wraps(otherwise)
    def call_soon(callback: Any, *args: Any, context: Any = None) -> Any:
        # A loop that runs is not closed. In debug mode asyncio checks more.
        if running() is not loop or loop._debug:
            return otherwise(callback, *args, context=context)
        handle = handle_class(callback, args, loop, context)
        ready.append(handle)
        return handle

    return call_soon


class _Posted(asyncio.Handle):
    """The handle of a callback that a worker asked for; any thread may use it."""

    post: Post
    _own: Optional[asyncio.Handle] = None  # loop thread only

    def start(self, own: Callable[[], asyncio.Handle]) -> None:
        """Hand the callback to the loop; loop thread."""
        if not self.cancelled():
            self._own = own()

    def cancel(self) -> None:
        """Take the callback back; from a worker, soon."""
        self._cancelled = True
        self.post(self._stop)

    def _stop(self) -> None:
        if self._own is not None:
            self._own.cancel()


class _PostedTimer(_Posted, asyncio.TimerHandle):
    """The same, of a timer: it has a `when`."""


def _post_soon(
    loop: asyncio.AbstractEventLoop, post: Post, own: functools.partial[Any]
) -> _Posted:
    return _post(_Posted(_nothing, (), loop), post, own)


def _post_later(
    loop: asyncio.AbstractEventLoop, post: Post, own: functools.partial[Any]
) -> _Posted:
    delay = own.args[0] if own.args else own.keywords["delay"]
    return _post(_PostedTimer(loop.time() + delay, _nothing, (), loop), post, own)


def _post_at(
    loop: asyncio.AbstractEventLoop, post: Post, own: functools.partial[Any]
) -> _Posted:
    when = own.args[0] if own.args else own.keywords["when"]
    return _post(_PostedTimer(when, _nothing, (), loop), post, own)


def _post(handle: _Posted, post: Post, own: Callable[[], asyncio.Handle]) -> _Posted:
    handle.post = post
    post(contextvars.copy_context().run, handle.start, own)
    return handle


def _nothing() -> None:
    """Stand for the callback, which the loop's own handle has."""


class _PostedTask(asyncio.Future):  # type: ignore[type-arg]
    """What stands for a task that a worker asked for."""

    in_worker: Callable[[], bool]
    post: Post

    def cancel(self, *args: Any, **kwargs: Any) -> bool:
        """Cancel the task; from a worker, soon."""
        if self.in_worker():
            self.post(functools.partial(self.cancel, *args, **kwargs))
            return not self.done()
        return super().cancel(*args, **kwargs)


def _post_task(
    in_worker: Callable[[], bool],
    loop: asyncio.AbstractEventLoop,
    post: Post,
    own: Callable[[], Any],
) -> asyncio.Future[Any]:
    future = _PostedTask(loop=loop)
    future.in_worker = in_worker
    future.post = post

    def start() -> None:
        try:
            task = own()
        except Exception as error:
            future.set_exception(error)
        else:
            copy_outcome(task, future)

    post(contextvars.copy_context().run, start)
    return future
