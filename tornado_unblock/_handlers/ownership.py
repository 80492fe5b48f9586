"""Who holds a handler: the loop thread, or workers.

# Threads: `_clean_up` and `_write` run in the worker, all else on the loop
# thread.
# Guarantees:
# - while a body runs, the loop thread does not touch its handler;
# - once nobody waits for a body any more, nothing it does reaches the client;
# - an error page wanted while a body still runs is rendered on a copy of the
#   handler, and `on_finish` waits for the body's end, on its worker;
# - a body whose client left while it waited for a worker does not start.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from typing import Any, Callable, Optional

from tornado.web import RequestHandler

from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.response import ResponseWriter
from tornado_unblock._errors import ClientGoneError, RejectedError
from tornado_unblock._executors.threads import ReservedWorker, reserve_worker
from tornado_unblock._handlers.error_page import stand_in_for
from tornado_unblock._handlers.hooks import Hook, install_hook, remove_hook
from tornado_unblock._handlers.results import client_gone
from tornado_unblock._limits.closing import requests_between_hops, tell_closing
from tornado_unblock._loop.lease import check_lease
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.offload import Offload

_NONE: frozenset[str] = frozenset()


class Ownership:
    """What the loop thread knows of one request that goes to workers."""

    # All for the loop thread only.
    __slots__ = (
        *("__weakref__", "_between", "_ended", "_hooked", "_parted", "_portal"),
        *("_waiting", "begun", "reserved_worker", "retry_after", "running", "task"),
    )

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        # Offloads that have not ended.
        self.running: list[Offload] = []
        # The task that serves it.
        self.task = asyncio.current_task()
        # What starts those that wait for these to end.
        self._waiting: tuple[Callable[[], None], ...] = ()
        # The methods that stand behind a hook of ours.
        self._hooked = _NONE
        # Whether the response is made without those that run.
        self._parted = False
        # Seconds that a 503 names.
        self.retry_after: Optional[int] = None
        # Whether it had a worker, so that it may have others to the end.
        self.begun = False
        # Its place among `requests_between_hops`.
        self._between: Optional[weakref.ref[Any]] = None
        # Whether its response is made, or its client has left.
        self._ended = False
        # The worker for what may depend on the thread of what ran before it.
        # Set in that worker, while it holds the handler.
        self.reserved_worker: Optional[ReservedWorker] = None

    def enter(self, offload: Offload, handler: RequestHandler) -> None:
        """``offload`` takes ``handler``."""
        if self._between is not None:
            self._goes_on(self._between)
        self.begun = True
        self.running.append(offload)
        offload.owner = self
        offload.handler = handler

    def offload_ended(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` has ended, or will not start."""
        handler: RequestHandler = offload.handler
        self.running.remove(offload)
        if isinstance(error, RejectedError):
            self.retry_after = error.retry_after
        if self._hooked and not any(o.handler is handler for o in self.running):
            self._parted = False
            for name in self._hooked:
                remove_hook(handler, name)
            self._hooked = _NONE
        if self.running:
            return
        if self._waiting:
            start, self._waiting = self._waiting[0], self._waiting[1:]
            start()
        elif offload.leaves_finish and offload.revoked is None:
            # No worker comes any more: nothing has to stand in for the connection.
            stands_in: Any = handler.request.connection
            stands_in.writer.predictable = False
            handler.request.connection = stands_in.writer.connection
        elif not (self._ended or handler._finished):
            between = requests_between_hops(self._portal)
            self._between = weakref.ref(self, between.discard)
            between.add(self._between)

    def follow(self, start: Callable[[], None]) -> None:
        """Call ``start`` when what runs, and what waits already, has ended."""
        self._waiting += (start,)

    def abandoned(self, offload: Offload) -> None:
        """``offload`` runs on, and its handler with it."""
        handler = offload.handler
        self._hook(handler, "write", Hook(_write, handler.write))
        self.answer_on_copy(handler)

    def _hook(self, handler: RequestHandler, name: str, hook: Hook) -> None:
        if name not in self._hooked:
            self._hooked |= {name}
            install_hook(handler, name, hook)

    def answered(self, offload: Offload) -> None:
        """``offload`` has sent its response, and runs on."""
        # It is about to say so itself, or has.
        offload.handler._finished = True

    def complete(self, offload: Offload) -> bool:
        """Finish the response of ``offload`` if all of it is sent; loop thread."""
        handler = offload.handler
        if not handler.request.connection.writer.complete:
            return False
        if offload.abandon("all of its response was sent"):
            handler.finish()
        return True

    def client_gone(self, offload: Offload) -> bool:
        """Whether the client of ``offload`` has left; any thread."""
        return client_gone(offload.handler)

    def answer_on_copy(self, handler: RequestHandler) -> None:
        """Have an error rendered on a copy while a worker holds ``handler``."""
        hook = Hook(self._answer_on_copy, handler)
        self._hook(handler, "_handle_request_exception", hook)

    def closing(self) -> None:
        """The client left: what has not started will not."""
        self.response_ended()
        for offload in self.running[:]:
            handler = offload.handler
            if offload.withdraw(ClientGoneError(), "client_gone"):
                # nginx's code for it; the access log shows it.
                handler.set_status(499, "Client Closed Request")

    def finishing(self) -> None:
        """The loop thread ends the response itself, whatever still runs."""
        self.response_ended()
        if self.running and not self._parted:
            handler = self.running[0].handler
            self._part(handler, handler, "the response was finished without it")

    def response_ended(self) -> None:
        """The response has ended, or needs not be made any more."""
        self._ended = True
        self.task = None
        if self._between is not None:
            self._goes_on(self._between)
        tell_closing(self._portal)

    def _goes_on(self, between: weakref.ref[Any]) -> None:
        requests_between_hops(self._portal).discard(between)
        self._between = None

    def _answer_on_copy(self, handler: RequestHandler, error: BaseException) -> None:
        """Render an error while a worker still holds ``handler``."""
        stand_in = stand_in_for(handler)
        if not self._part(handler, stand_in, "an error was sent in its place"):
            stand_in._finished = True  # a body has finished the response
        stand_in._handle_request_exception(error)

    def _part(self, handler: RequestHandler, shown: RequestHandler, why: str) -> bool:
        """Let workers keep ``handler`` while ``shown`` finishes the response.

        Returns:
            False when a worker has finished it already.
        """
        self._parted = True
        running = [o for o in self.running if o.handler is handler]
        kept = [offload for offload in running if not offload.abandon(why)]
        if kept:
            return False
        on_finish = handler.on_finish
        shown.on_finish = _nothing  # type: ignore[method-assign]
        left = list(range(len(running)))
        for offload in running:
            clean_up = functools.partial(_clean_up, handler, on_finish, left)
            if not offload.at_end(clean_up):
                offload.after_end(clean_up)
        return True


def ownership_of(handler: RequestHandler, portal: Portal) -> Ownership:
    """Return the ownership of ``handler``'s request, made on its first hop."""
    connection: Any = handler.request.connection
    if type(connection) is RequestConnection:
        ownership = connection.writer.listener
        assert isinstance(ownership, Ownership)
        return ownership
    ownership = Ownership(portal)
    writer = ResponseWriter(connection, portal, ownership)
    if handler.request.method == "HEAD":
        writer.method = "HEAD"
    if handler._headers_written:
        writer.predictable = False
    callback = getattr(connection, "_close_callback", None)
    if callback is not None:
        writer.set_close_callback(callback)
    safe: Any = RequestConnection(writer)
    handler.request.connection = safe
    return ownership


def reserve_this_worker(handler: RequestHandler) -> None:
    """Have what else of this request hops run on the calling worker.

    It may serve others meanwhile, when no other worker is free.
    """
    connection: Any = handler.request.connection
    ownership = connection.writer.listener
    if ownership.reserved_worker is None:
        ownership.reserved_worker = reserve_worker()


def let_worker_go(handler: RequestHandler) -> None:
    """End a `reserve_this_worker`, but for what is on its way already; any thread."""
    connection: Any = handler.request.connection
    if type(connection) is RequestConnection:
        ownership = connection.writer.listener
        assert isinstance(ownership, Ownership)
        ownership.reserved_worker = None


def _write(own: Callable[[Any], None], chunk: Any) -> None:
    """`write`, refused in a worker that the handler was taken from."""
    check_lease()
    own(chunk)


def _nothing() -> None:
    pass


# --- worker -----------------------------------------------------------------


def _clean_up(
    handler: RequestHandler, on_finish: Callable[[], None], left: list[int]
) -> None:
    """End a request whose body outlived it; the last body to end does it."""
    if left.pop() == 0:
        handler._finished = True
        on_finish()
        handler._break_cycles()
