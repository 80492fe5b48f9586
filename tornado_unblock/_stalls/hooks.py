"""Where watchers learn of loops and requests; in place only while there is a watcher.

# Threads: any; guarded by `_lock`.
# Guarantees: with the last watcher, Tornado, asyncio and the collector are as before.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from typing import Any, Protocol

from tornado.ioloop import IOLoop
from tornado.platform.asyncio import BaseAsyncIOLoop

from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._stalls.clock import clocks, leave_collector, watch_collector
from tornado_unblock._stalls.owner import mark_requests, stop_marking


class Adopter(Protocol):
    """What wants to know of every loop."""

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch ``loop``, unless it is watched already; any thread."""

    def after_fork(self) -> None:
        """Begin anew, in a forked child."""


#: Threads whose names begin so are the library's own: nobody asks how their loops do.
PRIVATE = "unblock-status"

_lock = threading.RLock()
# Loops of such threads, as far as they are known.
_private: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_adopters: list[Adopter] = []
_own_initialize: Any = BaseAsyncIOLoop.initialize
_own_run_forever: Any = asyncio.BaseEventLoop.run_forever


def join(adopter: Adopter) -> None:
    """Tell ``adopter`` of every loop that there is, or will be; any thread."""
    with _lock:
        _adopters.append(adopter)
        if len(_adopters) == 1:
            mark_requests()
            watch_collector()
            BaseAsyncIOLoop.initialize = _initialize  # type: ignore[method-assign]
            _set_run_forever(_run_forever)
    for loop in _known_loops():
        adopter.adopt(loop)


def leave(adopter: Adopter) -> None:
    """Undo `join`; any thread, any number of times."""
    with _lock:
        if adopter in _adopters:
            _adopters.remove(adopter)
            if not _adopters:
                stop_marking()
                leave_collector()
                BaseAsyncIOLoop.initialize = (  # type: ignore[method-assign]
                    _own_initialize
                )
                _set_run_forever(_own_run_forever)


@functools.wraps(_own_initialize)
def _initialize(
    self: BaseAsyncIOLoop, asyncio_loop: asyncio.AbstractEventLoop, **kwargs: Any
) -> None:
    _own_initialize(self, asyncio_loop, **kwargs)
    _tell(asyncio_loop)


def _tell(loop: asyncio.AbstractEventLoop) -> None:
    if threading.current_thread().name.startswith(PRIVATE):
        _private.add(loop)
        return
    for adopter in list(_adopters):
        adopter.adopt(loop)


def _set_run_forever(method: Any) -> None:
    asyncio.BaseEventLoop.run_forever = method  # type: ignore[method-assign]


@functools.wraps(_own_run_forever)
def _run_forever(self: asyncio.BaseEventLoop) -> None:
    # A loop of asyncio's own, of which Tornado may not know yet.
    _tell(self)
    try:
        _own_run_forever(self)
    finally:
        for clock in list(clocks):
            if clock.loop is self:
                clock.end_run()


def _known_loops() -> list[asyncio.AbstractEventLoop]:
    """Return the loops that Tornado uses, and the one that runs here."""
    loops = list(IOLoop._ioloop_for_asyncio)
    here = running_loop()
    if here is not None and here not in loops:
        loops.append(here)
    return [loop for loop in loops if not loop.is_closed() and loop not in _private]


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    for adopter in _adopters:
        adopter.after_fork()


at_fork(Step.STALLS, _after_fork)
