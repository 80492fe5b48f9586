"""A body's stay on a worker, for whoever has to do with it."""

from __future__ import annotations

from typing import Optional

from tornado_unblock._loop.lease import current_lease
from tornado_unblock._offload.offload import Offload


class Hop:
    """One body's stay on a worker; see `current_hop`. Any thread may use it."""

    __slots__ = ("_offload",)

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    @property
    def endpoint(self) -> str:
        """What errors and statistics call it."""
        return self._offload.endpoint.name

    def cancelled(self) -> bool:
        """Whether its work is no longer wanted; as `cancelled`, from any thread.

        Returns:
            True once the client has left, or the request was answered without
            the body.
        """
        return self._offload.cancelled()


def current_hop() -> Optional[Hop]:
    """Return the hop that this thread runs; None where it is no worker.

    A body may hand it to threads of its own, which cannot ask
    `tornado_unblock.cancelled`.
    """
    lease = current_lease()
    return Hop(lease) if isinstance(lease, Offload) else None


def cancelled() -> bool:
    """Whether the work of this worker is no longer wanted; for bodies to ask.

    Returns:
        True once the client has left, or the request was answered without the
        body (a timeout, a cancelled caller, a shutdown). False elsewhere than in
        a worker.
    """
    lease = current_lease()
    return isinstance(lease, Offload) and lease.cancelled()
