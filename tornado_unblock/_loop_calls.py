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
from typing import Any, Callable

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
        "call_soon": _post_timer,
        "call_later": _post_timer,
        "call_at": _post_timer,
        "create_task": functools.partial(_post_task, in_worker),
    }
    for name, by_post in posted.items():
        own = getattr(loop, name)
        setattr(loop, name, _either(loop, own, by_post, in_worker, post))
    own_close = functools.partial(_close, loop, loop.close, closed)
    loop.close = own_close  # type: ignore[method-assign]


def _close(
    loop: asyncio.AbstractEventLoop, own: Callable[[], None], closed: Callable[[], None]
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


class _Timer:
    """The handle of a timer that a worker asked for."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._handle: Any = None  # loop thread only
        self._cancelled = False

    def start(self, own: Callable[[], Any]) -> None:
        if not self._cancelled:
            self._handle = own()

    def cancel(self) -> None:
        """Stop the timer; any thread."""
        self._cancelled = True
        self._post(self._stop)

    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def _post_timer(
    loop: asyncio.AbstractEventLoop, post: Post, own: Callable[[], Any]
) -> _Timer:
    timer = _Timer(post)
    post(contextvars.copy_context().run, timer.start, own)
    return timer


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


def copy_outcome(source: asyncio.Future[Any], target: asyncio.Future[Any]) -> None:
    """Give ``target`` what ``source`` has or will have; loop thread only."""
    if source.done():
        _copy_now(target, source)
        return
    source.add_done_callback(functools.partial(_copy_now, target))
    target.add_done_callback(functools.partial(_pass_cancel, source))


def _copy_now(target: asyncio.Future[Any], source: asyncio.Future[Any]) -> None:
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


def _pass_cancel(source: asyncio.Future[Any], target: asyncio.Future[Any]) -> None:
    if target.cancelled() and not source.done():
        source.cancel()
