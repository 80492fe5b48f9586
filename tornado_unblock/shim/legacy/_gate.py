"""Callbacks wait until the body that handed them out has ended.

On the loop thread a callback cannot run before the code that hands it out has
returned. On a worker it could, and two threads would have the handler.

# Threads: `gate_of_body` runs in the worker, all else on the loop thread.
# Guarantees: callbacks pass in the order in which they came, after the loop
# thread has taken the handler back.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, Callable, Optional, cast

from tornado_unblock._loop.lease import current_lease
from tornado_unblock._offload.offload import Offload, Owner


class Gate:
    """Stands before whoever keeps the handler of a body, to hear of its end.

    Whatever else the owner is asked, it answers itself.
    """

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = owner
        self._loop = loop
        self._open = False
        self._held: list[tuple[contextvars.Context, Any]] = []

    def pass_through(self, run: Callable[..., object], *args: Any) -> None:
        """Call ``run(*args)`` now, or when the body has ended."""
        if self._open:
            run(*args)
        else:
            self._held.append((contextvars.copy_context(), (run, *args)))

    def offload_ended(self, offload: Any, error: Optional[BaseException]) -> None:
        """The body has ended: let pass what waits."""
        self._keeper.offload_ended(offload, error)
        self._open = True
        for context, call in self._held:
            self._loop.call_soon(*call, context=context)
        self._held.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeper, name)


def gate_of_body() -> Optional[Gate]:
    """Return the gate of the body that this worker runs, if it has a handler."""
    lease = current_lease()
    if not isinstance(lease, Offload) or lease.owner is None:
        return None
    owner: Any = lease.owner
    if isinstance(owner, Gate):
        return owner
    gate = Gate(owner, lease.portal.loop)
    lease.owner = cast("Owner", gate)
    return gate
