"""A worker's right to reach the loop, for as long as one body runs.

# Threads: each thread has its own `here`; a lease is shared as its attributes say.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol

from tornado_unblock._errors import AbandonedError
from tornado_unblock._loop.thread_loop import running_loop as running_loop

if TYPE_CHECKING:
    from tornado_unblock._loop.portal import Portal


class Response(Protocol):
    """What is to be known of a response."""

    @property
    def may_finish(self) -> bool:
        """Whether nobody has finished it yet; any thread."""


class Lease:
    """One body's stay in a worker, as the thread that runs it knows it.

    ``revoked`` says why nothing it does is wanted any more. Set on the loop thread,
    read by the worker: it goes from None to a text once.
    """

    # Slots: a value of the object's own is read in a third of the time that a default
    # on the class takes.
    __slots__ = (
        # Set once, before the body runs.
        *("portal", "response"),
        # The loop thread's.
        *("awaiting", "revoked"),
        # The worker's.
        *("abandonment_raised", "before_settle", "leaves_finish"),
    )

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        # The response it is to make, if any: once it is revoked, what it writes there
        # is refused, and only there.
        self.response: Optional[Response] = None
        self.revoked: Optional[str] = None
        # What its worker waits for on the loop: of no use once it is abandoned.
        self.awaiting: Optional[asyncio.Future[Any]] = None
        # What the loop thread does first when it is told of the end. Saves waking it
        # twice.
        self.before_settle: Optional[Callable[[], object]] = None
        # Tornado finishes next, with nothing in between.
        self.leaves_finish = False
        # Whether a wait of its worker has said that it is revoked.
        self.abandonment_raised = False

    @contextlib.contextmanager
    def lending(self) -> Iterator[None]:
        """While this lasts its worker waits: others may have its token; worker."""
        self.portal.call_soon(self.lend)
        try:
            yield
        finally:
            self.portal.call_soon(self.end_loan)

    def lend(self) -> None:
        """Let others have its token, if it has one; loop thread."""

    def end_loan(self) -> None:
        """Take its token again, if it has lent it; loop thread."""


class _Here(threading.local):
    lease: Optional[Lease] = None
    # The same, or that of a function which the body has had run in between.
    innermost: Optional[Lease] = None


here = _Here()
"""Holds the leases of this thread, as `current_lease` and `innermost_lease` say."""


def current_lease() -> Optional[Lease]:
    """Return the lease under which this thread runs a body, or None."""
    return here.lease


def innermost_lease() -> Optional[Lease]:
    """Return the lease of the function that this thread runs, however deep."""
    return here.innermost


def set_current_lease(
    lease: Optional[Lease], innermost: Optional[Lease] = None
) -> None:
    """Say under which lease this thread runs from now on."""
    here.lease = lease
    here.innermost = innermost or lease


def in_worker() -> bool:
    """Whether this thread runs a body, and no event loop of its own meanwhile."""
    return here.lease is not None and running_loop() is None


def check_lease() -> Optional[Lease]:
    """Return the lease under which this thread runs a body, or None.

    Raises:
        AbandonedError: Its request was taken from it.
    """
    lease = here.lease
    if lease is not None and lease.revoked is not None:
        raise AbandonedError(lease.revoked)
    return lease
