"""Waiting for the loop thread without waiting for ever.

# Threads: the loop thread opens, a worker waits.
# Guarantees: a wait ends when the latch opens, after its timeout, when the loop
# closes, or when the interpreter goes down.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - see _note_end
import threading
from typing import Callable, Generic, Optional, TypeVar, cast

from tornado_unblock._errors import LoopClosedError

_T = TypeVar("_T")

# How often a waiting worker looks whether its loop still lives, in seconds.
# Loops have no close hook, so asking is the only way to know.
_LOOK_AGAIN = 0.5


_ending = False


def _note_end() -> None:
    global _ending
    _ending = True


# Runs before the interpreter joins the threads of stdlib executors: a worker
# that waits must give up for that, or both wait for ever. The order is the
# reverse of registration, so concurrent.futures has to be imported first.
_register_atexit = getattr(threading, "_register_atexit", None)
if _register_atexit is not None:  # pragma: no branch - in CPython since 3.9
    _register_atexit(_note_end)


def interpreter_is_ending() -> bool:
    """Whether the main thread has ended, so that nothing will run a loop again."""
    return _ending or not threading.main_thread().is_alive()


class Latch:
    """A one-shot signal from the loop thread to one waiting worker."""

    __slots__ = ("_lock", "_opened")

    def __init__(self) -> None:
        self._opened = False
        # A lock released by another thread is the cheapest signal there is.
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self, future: object = None) -> None:
        """Let the waiter go on; any thread, any number of times.

        Args:
            future: Not looked at; so this can be a Future's done callback.
        """
        self._opened = True
        try:
            self._lock.release()
        except RuntimeError:  # released already
            pass

    def wait(
        self, loop: asyncio.AbstractEventLoop, timeout: Optional[float] = None
    ) -> bool:
        """Wait until opened; False when ``timeout`` seconds passed first.

        Raises:
            LoopClosedError: The loop closed, or the interpreter is ending.
        """
        left = timeout
        while not self._opened:
            step = _LOOK_AGAIN if left is None else min(_LOOK_AGAIN, max(left, 0.0))
            if self._lock.acquire(timeout=step):
                return True
            if loop.is_closed() or interpreter_is_ending():
                raise LoopClosedError(
                    "the event loop this body waits for is closed; "
                    "its request can no longer be answered"
                )
            if left is not None:
                left -= step
                if left <= 0:
                    return self._opened
        return True


class Answer(Generic[_T]):
    """One result on its way back from the loop thread to a waiting worker."""

    __slots__ = ("_args", "_error", "_fn", "_token", "_value", "latch")

    def __init__(self, fn: Callable[..., _T], args: tuple[object, ...]) -> None:
        self._fn, self._args = fn, args
        self._value: Optional[_T] = None
        self._error: Optional[BaseException] = None
        # list.pop is atomic: who gets it decides whether the function runs.
        self._token = [True]
        self.latch = Latch()

    def withdraw(self) -> bool:
        """Want no answer any more; False when it is being given already."""
        return self._take_token()

    def _take_token(self) -> bool:
        try:
            return self._token.pop()
        except IndexError:
            return False

    def give(self) -> None:
        """Run the function; loop thread."""
        if not self._take_token():
            return
        try:
            self._value = self._fn(*self._args)
        except BaseException as error:
            self._error = error
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise  # meant for the loop thread, too
        finally:
            self.latch.open()

    def take(self) -> _T:
        """Return or raise the outcome; the worker, once the latch is open."""
        try:
            if self._error is not None:
                raise self._error
            return cast(_T, self._value)
        finally:
            self._error = None  # the traceback refers to this frame: no cycle
