"""The loop of a thread: the one that runs in it, and the one that a body finds there.

asyncio asks the thread for "the current loop" and for "the running loop". In a worker
the current loop is that of the application, so that `ensure_future`, `Future()` and
`IOLoop.current()` mean it. A body may be shown it as the running loop as well, so that
`asyncio.create_task` and `get_running_loop` do; then it cannot run loops of its own,
just as on the loop thread.

# Threads: each has its own; a policy is changed once, by whichever thread comes first.
# Guarantees:
# - a body has its application's loop also after it has run, or closed, one of its own;
# - `running_loop` says what really runs here, whatever a body is shown;
# - when a body ends, its thread has no loop, whatever the body has set.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import functools
import threading
from typing import Callable, Optional

_Loop = asyncio.AbstractEventLoop


class _Here(threading.local):
    # Of the application whose body this thread runs.
    home: Optional[_Loop] = None
    # Whether that body has set a loop of its own, or none.
    has_set = False
    # The home, while it is shown as the running one.
    shown: Optional[_Loop] = None


here = _Here()
"""What this thread's body finds."""

_asyncio_running: Callable[[], Optional[_Loop]] = asyncio._get_running_loop
# Newer Pythons warn of the public one.
_get_policy: Callable[[], asyncio.AbstractEventLoopPolicy] = getattr(
    asyncio.events, "_get_event_loop_policy", None
) or getattr(asyncio.events, "get_event_loop_policy")  # noqa: B009 - gone in 3.16
# The policy that asks `here`; another may be set at any time.
_followed: Optional[asyncio.AbstractEventLoopPolicy] = None


def running_loop() -> Optional[_Loop]:
    """Return the loop that really runs in this thread, or None.

    So is asked whether this is the loop thread.
    """
    loop = _asyncio_running()
    return None if loop is here.shown else loop


def enter(loop: _Loop, shown: bool = False) -> None:
    """Make ``loop`` this thread's, for one body.

    Args:
        loop: The application's.
        shown: Whether asyncio is to say that it runs here.
    """
    here.home = loop
    if vars(asyncio.events)["_event_loop_policy"] is not _followed:
        _follow(_get_policy())
    if shown:
        here.shown = loop
        asyncio._set_running_loop(loop)


def leave() -> None:
    """End what `enter` began, and whatever the body has left."""
    here.home = None
    if here.shown is not None:
        here.shown = None
        asyncio._set_running_loop(None)
    if here.has_set:
        here.has_set = False
        asyncio.set_event_loop(None)


def _follow(policy: asyncio.AbstractEventLoopPolicy) -> None:
    """Have ``policy`` find a body's home where the body has set no loop of its own."""
    global _followed
    get_loop, set_loop = policy.get_event_loop, policy.set_event_loop
    if not (isinstance(get_loop, functools.partial) and get_loop.func is _get_loop):
        # On the object: every policy has these methods, also those of other libraries.
        # The one that is looked at above comes last: who finds it finds the other, too.
        policy.set_event_loop = functools.partial(  # type: ignore[method-assign]
            _set_loop, set_loop
        )
        policy.get_event_loop = functools.partial(  # type: ignore[method-assign]
            _get_loop, get_loop
        )
    _followed = policy


def _get_loop(own: Callable[[], _Loop]) -> _Loop:
    home = here.home
    if home is None:
        return own()
    if not here.has_set:
        return home
    try:
        loop = own()
    except RuntimeError:  # asyncio.run leaves none
        return home
    return home if loop.is_closed() else loop


def _set_loop(own: Callable[[Optional[_Loop]], None], loop: Optional[_Loop]) -> None:
    if here.home is not None:
        here.has_set = True
    own(loop)
