"""What a forked child begins once it serves: threads of its own.

A child may be anything: a server, a worker that runs no loop, or a program about to be
started. So nothing begins at the fork, but when a loop of the child first turns.

# Threads: the one that forks, then that of the child's first loop.
"""

from __future__ import annotations

import asyncio
from typing import Callable

from tornado_unblock._stalls import hooks


class FirstLoop:
    """Calls ``begin`` once, when a loop that is no status page's is made or runs.

    Args:
        begin: Must not wait: the loop does.
    """

    def __init__(self, begin: Callable[[], object]) -> None:
        self._begin = begin
        self._armed = False

    def await_it(self) -> None:
        """Wait for the next loop; those that are there already are the parent's."""
        self.forget()
        hooks.join(self)
        self._armed = True

    def forget(self) -> None:
        """Wait no more."""
        self._armed = False
        hooks.leave(self)

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Implements `hooks.Adopter`."""
        if self._armed:
            self.forget()
            self._begin()

    def after_fork(self) -> None:
        """Implements `hooks.Adopter`: `await_it` is called anew."""
