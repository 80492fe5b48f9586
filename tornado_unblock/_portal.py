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
import functools
import os
import threading
from typing import Any, Callable, Optional, TypeVar

from tornado.ioloop import IOLoop
from tornado.log import app_log

from tornado_unblock._errors import LoopClosedError, LoopThreadError

_T = TypeVar("_T")

running_loop: Callable[[], Optional[asyncio.AbstractEventLoop]] = (
    asyncio._get_running_loop
)
"""The loop that runs in this thread, or None: how "on the loop thread" is asked."""

# How often a waiting worker looks whether its loop still lives, in seconds.
# Loops have no close hook, so asking is the only way to know.
_LOOK_AGAIN = 0.5

# How long a round trip to the loop may take before it is given up, in seconds.
# Only a loop thread that waits for a lock of this very worker, or a stalled
# one, takes this long.
CALL_TIMEOUT = 5.0


class Lease:
    """A worker's claim to the loop, for as long as one body runs.

    Set ``revoked`` on the loop thread, read by the worker: a plain attribute,
    because it goes from None to an exception once.
    """

    __slots__ = ("__weakref__", "portal", "revoked")

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.revoked: Optional[BaseException] = None


class _Here(threading.local):
    lease: Optional[Lease] = None
    portal: Optional[Portal] = None


_here = _Here()
# Loop -> its portal. Written on the loop's own thread only.
_portals: dict[asyncio.AbstractEventLoop, Portal] = {}


def current_lease() -> Optional[Lease]:
    """Return the lease under which this thread runs a body, or None."""
    return _here.lease


def set_current_lease(lease: Optional[Lease]) -> None:
    """Say under which lease this worker runs from now on."""
    _here.lease = lease


def current_portal() -> Portal:
    """Return the portal of the loop that runs in this thread.

    Raises:
        LoopThreadError: No loop runs here.
    """
    loop = running_loop()
    portal = _here.portal
    if portal is not None and portal.loop is loop:
        return portal
    if loop is None:
        raise LoopThreadError(
            f"no event loop runs in thread {threading.current_thread().name!r}; "
            "call this from a handler or a coroutine, or call the function itself"
        )
    portal = _here.portal = _portals.get(loop) or _open_portal(loop)
    return portal


def _open_portal(loop: asyncio.AbstractEventLoop) -> Portal:
    for other in list(_portals):
        if other.is_closed():
            _portals.pop(other, None)
    portal = _portals[loop] = Portal(loop)
    return portal


def interpreter_is_ending() -> bool:
    """Whether the main thread has ended, so that nothing will run a loop again."""
    return not threading.main_thread().is_alive()


class Latch:
    """A one-shot signal from the loop thread to one waiting worker."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        # A lock released by another thread is the cheapest signal there is.
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let the waiter go on; any thread, any number of times."""
        try:
            self._lock.release()
        except RuntimeError:  # it was open already
            pass

    def wait(
        self, loop: asyncio.AbstractEventLoop, timeout: Optional[float] = None
    ) -> bool:
        """Wait until opened; False when ``timeout`` seconds passed first.

        Raises:
            LoopClosedError: The loop closed, or the interpreter is ending.
        """
        left = timeout
        while not self._lock.acquire(timeout=min(_LOOK_AGAIN, left or _LOOK_AGAIN)):
            if loop.is_closed() or interpreter_is_ending():
                raise LoopClosedError(
                    "the event loop this body waits for is closed; "
                    "its request can no longer be answered"
                )
            if left is not None:
                left -= _LOOK_AGAIN
                if left <= 0:
                    return False
        self._lock.release()
        return True


class Portal:
    """The door to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # Made here, on the loop thread: Tornado 6.1 takes the thread that
        # first asks for an IOLoop as that loop's thread.
        self.io_loop = IOLoop.current()
        # What higher modules keep per loop. Loop thread only.
        self.locals: dict[Any, Any] = {}
        # Appended to by any thread, emptied by the loop thread.
        self._queue: collections.deque[tuple[Callable[..., object], Any]] = (
            collections.deque()
        )
        # Set before the loop is woken, cleared before the queue is emptied, so
        # a callback is never left behind; at worst the loop wakes once more.
        self._woken = False
        # Callbacks of many requests run in one go: none may see the context
        # of the one that happened to wake the loop.
        self._context = contextvars.Context()
        _guard(self)

    def call_soon(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` on the loop thread, soon and in order; any thread.

        Raises:
            LoopClosedError: The loop is closed; ``fn`` will not run.
        """
        self._queue.append((fn, args))
        if not self._woken:
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._drain, context=self._context)
            except RuntimeError:
                self._woken = False
                self._queue.clear()
                raise LoopClosedError(
                    "the event loop is closed; nothing can be posted to it"
                ) from None

    def call(
        self, fn: Callable[..., _T], *args: Any, timeout: float = CALL_TIMEOUT
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
        answer = _Answer(fn, args)
        self.call_soon(answer.give)
        if not answer.latch.wait(self.loop, timeout):
            raise LoopThreadError(
                f"the event loop did not answer within {timeout:g} s: something "
                "blocks it, maybe a callback waiting for a lock this body holds"
            )
        return answer.take()  # type: ignore[no-any-return]

    def _drain(self) -> None:
        self._woken = False
        queue = self._queue
        # As many as there are now: callbacks that post more must not keep the
        # loop from its sockets.
        for _ in range(len(queue)):
            fn, args = queue.popleft()
            try:
                fn(*args)
            except Exception:
                app_log.error("Exception in callback %r", fn, exc_info=True)


class _Answer:
    """One result on its way back from the loop thread to a waiting worker."""

    __slots__ = ("_args", "_error", "_fn", "_value", "latch")

    def __init__(self, fn: Callable[..., Any], args: Any) -> None:
        self._fn, self._args = fn, args
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self.latch = Latch()

    def give(self) -> None:
        try:
            self._value = self._fn(*self._args)
        except Exception as error:
            self._error = error
        self.latch.open()

    def take(self) -> Any:
        try:
            if self._error is not None:
                raise self._error
            return self._value
        finally:
            self._error = None  # the traceback refers to this frame: no cycle


def _guard(portal: Portal) -> None:
    """Make timers and tasks asked for from a worker start on the loop thread.

    A body that says ``IOLoop.current().call_later(...)`` or
    ``asyncio.ensure_future(...)`` reaches the loop's own methods, of which
    asyncio allows only ``call_soon_threadsafe`` off its thread
    (https://docs.python.org/3/library/asyncio-dev.html#concurrency-and-multithreading).
    """
    loop = portal.loop
    for name, posted in (
        ("call_later", _post_timer),
        ("call_at", _post_timer),
        ("create_task", _post_task),
    ):
        original = getattr(loop, name)

        @functools.wraps(original)
        def either(
            *args: Any, _own: Any = original, _posted: Any = posted, **kwargs: Any
        ) -> Any:
            if running_loop() is None and current_lease() is not None:
                return _posted(portal, _own, args, kwargs)
            return _own(*args, **kwargs)

        setattr(loop, name, either)


class _Timer:
    """The handle of a timer asked for from a worker."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._handle: Any = None  # loop thread only
        self._cancelled = False

    def start(self, own: Callable[..., Any], args: Any, kwargs: Any) -> None:
        if not self._cancelled:
            self._handle = own(*args, **kwargs)

    def cancel(self) -> None:
        """Stop the timer; any thread."""
        self._cancelled = True
        self._portal.call_soon(self._stop)

    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def _post_timer(
    portal: Portal, own: Callable[..., Any], args: Any, kwargs: Any
) -> _Timer:
    timer = _Timer(portal)
    portal.call_soon(contextvars.copy_context().run, timer.start, own, args, kwargs)
    return timer


def _post_task(
    portal: Portal, own: Callable[..., Any], args: Any, kwargs: Any
) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = portal.loop.create_future()

    def start() -> None:
        copy_outcome(own(*args, **kwargs), future)

    portal.call_soon(contextvars.copy_context().run, start)
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


def _forget_parent() -> None:
    # In a forked child only the forking thread lives, and no loop of the
    # parent runs: what they kept here is not for the child.
    _portals.clear()
    _here.lease = None
    _here.portal = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
