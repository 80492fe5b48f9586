"""Timers and tasks that a body asks for, started on the loop thread.

A body that says ``IOLoop.current().call_later(...)`` or
``asyncio.ensure_future(...)`` reaches the loop's own methods, of which asyncio
allows only ``call_soon_threadsafe`` off its thread
(https://docs.python.org/3/library/asyncio-dev.html#concurrency-and-multithreading).
`guard` makes these methods post when a worker calls them.

# Threads: any thread calls the methods; what they start runs on the loop thread.
# Guarantees:
# - what a worker gets is what the loop thread gets: a handle, a timer, a Task;
# - to cancel it is safe in any thread;
# - once the loop is closed it is as it was.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import threading
from typing import Callable, Optional, Protocol

from tornado_unblock._loop.lease import current_lease

Post = Callable[..., None]
"""``post(fn, *args)`` runs ``fn(*args)`` on the loop thread, soon."""

_Call = Callable[..., object]
# A call of a loop's own method, ready to be made.
_Own = functools.partial[object]


def guard(
    loop: asyncio.AbstractEventLoop, post: Post, closed: Callable[[], None]
) -> None:
    """Make ``loop`` start timers and tasks on its own thread, whoever asks.

    Args:
        loop: The running loop; it is as it was once it is closed.
        post: How a worker reaches the loop thread.
        closed: Called when the loop is closed.
    """
    thread = threading.get_ident()
    posted: dict[str, Callable[[asyncio.AbstractEventLoop, Post, _Own], object]] = {
        # Futures schedule their callbacks with this one: so a body may complete
        # a Future of the loop.
        "call_soon": _post_soon,
        "call_later": _post_later,
        "call_at": _post_at,
        "create_task": functools.partial(_post_task, thread),
    }
    if isinstance(loop, asyncio.BaseEventLoop):
        # Its call_later asks its call_at. And with one attribute more than five, a loop
        # has too many for CPython to share their names: all it does gets slower.
        del posted["call_later"]
    for name, by_post in posted.items():
        own: _Call = getattr(loop, name)
        call = _either(own, functools.partial(by_post, loop, post), thread)
        if isinstance(loop, asyncio.BaseEventLoop) and name == "call_soon":
            call = _at_once(loop, call) if _is_plain(loop) else call
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


def _either(own: _Call, posted: Callable[[_Own], object], thread: int) -> _Call:
    this_thread = threading.get_ident

    @functools.wraps(own)
    def call(*args: object, **kwargs: object) -> object:
        # The thread is asked, not which loop runs in it: a body may run one of its own.
        if this_thread() != thread and current_lease() is not None:
            return posted(functools.partial(own, *args, **kwargs))
        return own(*args, **kwargs)

    return call


def _is_plain(loop: asyncio.BaseEventLoop) -> bool:
    """Whether the loop's `call_soon` is asyncio's own, which nobody has replaced."""
    for name in ("call_soon", "_call_soon", "_check_closed"):
        code = getattr(getattr(type(loop), name, None), "__code__", None)
        own = code is not None and code.co_filename == asyncio.base_events.__file__
        if not own or name in vars(loop):
            return False
    return True


class _Inside(Protocol):
    """What asyncio's loops have inside."""

    _thread_id: Optional[int]
    _debug: bool
    _ready: collections.deque[asyncio.Handle]


def _at_once(loop: asyncio.BaseEventLoop, otherwise: _Call) -> _Call:
    """Return asyncio's `call_soon` in one frame, so that the guard costs nothing there.

    asyncio takes three frames to it, and a loop asks five times for each request.
    """
    inside: _Inside = loop  # type: ignore[assignment]
    thread, handle_class, ready = threading.get_ident, asyncio.Handle, inside._ready

    @functools.wraps(otherwise)
    def call_soon(
        callback: _Call, *args: object, context: Optional[contextvars.Context] = None
    ) -> object:
        # A loop that runs is not closed. In debug mode asyncio checks more.
        if thread() != inside._thread_id or inside._debug:
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


def _post_soon(loop: asyncio.AbstractEventLoop, post: Post, own: _Own) -> _Posted:
    return _post(_Posted(_nothing, (), loop), post, own)


def _post_later(loop: asyncio.AbstractEventLoop, post: Post, own: _Own) -> _Posted:
    when = loop.time() + _first(own, "delay")
    return _post(_PostedTimer(when, _nothing, (), loop), post, own)


def _post_at(loop: asyncio.AbstractEventLoop, post: Post, own: _Own) -> _Posted:
    when = _first(own, "when")
    return _post(_PostedTimer(when, _nothing, (), loop), post, own)


def _first(own: _Own, name: str) -> float:
    seconds: float = own.args[0] if own.args else own.keywords[name]
    return seconds


def _post(handle: _Posted, post: Post, own: _Own) -> _Posted:
    handle.post = post
    post(contextvars.copy_context().run, handle.start, own)
    return handle


def _nothing() -> None:
    """Stand for the callback, which the loop's own handle has."""


class _PostedTask(asyncio.Task[object]):
    """A task that a worker asked for; any thread may cancel it."""

    post: Post
    thread: int

    def cancel(self, *args: object, **kwargs: object) -> bool:
        """Cancel the task; from a worker, soon."""
        if threading.get_ident() != self.thread:
            self.post(functools.partial(self.cancel, *args, **kwargs))
            return not self.done()
        return super().cancel(*args, **kwargs)


def _post_task(
    thread: int, loop: asyncio.AbstractEventLoop, post: Post, own: _Own
) -> asyncio.Task[object]:
    # Not by the loop's factory: an eager one would begin the coroutine right here. Of
    # a Task only its first step reaches the loop, by the loop's own `call_soon`.
    own.keywords.pop("eager_start", None)
    task = _PostedTask(*own.args, loop=loop, **own.keywords)
    task.post, task.thread = post, thread
    return task
