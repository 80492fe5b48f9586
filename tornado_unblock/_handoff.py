"""Giving a handler to a worker, and taking it back.

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

import collections
import functools
from typing import Any, Callable, Optional

from tornado.log import app_log
from tornado.web import RequestHandler

from tornado_unblock._connection import RequestConnection
from tornado_unblock._errors import ClientGoneError, RejectedError
from tornado_unblock._hooks import Hook, bare, hide
from tornado_unblock._loop_affine import check_lease
from tornado_unblock._offload import Offload
from tornado_unblock._offload_future import OffloadFuture
from tornado_unblock._portal import Portal
from tornado_unblock._results import client_gone
from tornado_unblock._sites import Site
from tornado_unblock._stand_in import stand_in_for


def dispatch(
    portal: Portal,
    handler: RequestHandler,
    where: Site,
    body: Callable[[], Any],
    *,
    direct: bool,
) -> OffloadFuture:
    """Run ``body``, which may do anything with ``handler``, on a worker.

    Args:
        portal: The way to the handler's loop.
        handler: Not touched by the loop thread until the Future is done.
        where: The site.
        body: What to run.
        direct: Whether Tornado itself awaits it, and so waits for its end.

    Raises:
        RejectedError: There is no worker for it, and no room to wait.
    """
    handoff = _take(handler, portal)
    offload = Offload(portal, where, body)
    handoff.enter(offload, handler)
    if not direct:
        # Somebody else awaits it, and may give up before it ends.
        handoff.answer_on_copy(handler)
    try:
        return offload.admit()
    except RejectedError as error:
        handoff.left(offload, error)
        raise


def dispatch_in_line(
    portal: Portal, handler: RequestHandler, where: Site, body: Callable[[], Any]
) -> OffloadFuture:
    """Run ``body`` on a worker once whatever else holds ``handler`` has ended.

    Raises:
        RejectedError: There is no worker for it, and no room to wait; also from
            the Future, when something else held the handler.
    """
    return _in_line(portal, handler, where, body, Offload.admit)


def dispatch_unheard(
    portal: Portal, handler: RequestHandler, where: Site, body: Callable[[], Any]
) -> None:
    """Run ``body`` likewise, where Tornado does not wait for its result.

    Such hooks clean up: they run however full the executor is, and their
    errors are logged.
    """
    future = _in_line(portal, handler, where, body, Offload.admit_always)
    future.add_done_callback(functools.partial(_log_unheard, where.route.name))


def _in_line(
    portal: Portal,
    handler: RequestHandler,
    where: Site,
    body: Callable[[], Any],
    admit: Callable[[Offload], OffloadFuture],
) -> OffloadFuture:
    handoff = _take(handler, portal)
    offload = Offload(portal, where, body)
    future = offload.future
    if handoff.busy:
        handoff.follow(functools.partial(_follow, handoff, offload, handler, admit))
        return future
    handoff.enter(offload, handler)
    try:
        return admit(offload)
    except RejectedError as error:
        handoff.left(offload, error)
        raise


def _follow(
    handoff: Handoff,
    offload: Offload,
    handler: RequestHandler,
    admit: Callable[[Offload], OffloadFuture],
) -> None:
    future = offload.future
    handoff.enter(offload, handler)
    try:
        admit(offload)
    except RejectedError as error:
        handoff.left(offload, error)
        future.set_exception(error)


class Handoff:
    """What the loop thread knows of one request that goes to workers."""

    __slots__ = ("_hooked", "_parted", "_running", "_waiting", "retry_after")

    def __init__(self) -> None:
        # All for the loop thread only.
        # Offloads that have not ended, with their handler.
        self._running: dict[Offload, RequestHandler] = {}
        # What starts those that wait for these to end.
        self._waiting: collections.deque[Callable[[], None]] = collections.deque()
        # The methods that stand behind a hook of ours.
        self._hooked: set[str] = set()
        # Whether the response is made without those that run.
        self._parted = False
        # Seconds that a 503 names.
        self.retry_after: Optional[int] = None

    def enter(self, offload: Offload, handler: RequestHandler) -> None:
        """``offload`` takes ``handler``."""
        self._running[offload] = handler
        offload.keeper = self
        offload.subject = handler

    def left(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` has ended, or will not start."""
        handler = self._running.pop(offload)
        if isinstance(error, RejectedError):
            self.retry_after = error.retry_after
        if self._hooked and handler not in self._running.values():
            self._parted = False
            for name in self._hooked:
                bare(handler, name)
            self._hooked.clear()
        if self._waiting and not self._running:
            self._waiting.popleft()()

    @property
    def busy(self) -> bool:
        """Whether a worker holds the handler."""
        return bool(self._running)

    def follow(self, start: Callable[[], None]) -> None:
        """Call ``start`` when what runs, and what waits already, has ended."""
        self._waiting.append(start)

    def abandoned(self, offload: Offload) -> None:
        """``offload`` runs on, and its handler with it."""
        handler = offload.subject
        self._hook(handler, "write", Hook(_write, handler.write))
        self.answer_on_copy(handler)

    def _hook(self, handler: RequestHandler, name: str, hook: Hook) -> None:
        if name not in self._hooked:
            self._hooked.add(name)
            hide(handler, name, hook)

    def answered(self, offload: Offload) -> None:
        """``offload`` has sent its response, and runs on."""
        # It is about to say so itself, or has.
        offload.subject._finished = True

    def gone(self, offload: Offload) -> bool:
        """Whether the client of ``offload`` has left; any thread."""
        return client_gone(offload.subject)

    def answer_on_copy(self, handler: RequestHandler) -> None:
        """Have an error rendered on a copy while a worker holds ``handler``."""
        hook = Hook(self._answer_on_copy, handler)
        self._hook(handler, "_handle_request_exception", hook)

    def closing(self) -> None:
        """The client left: what has not started will not."""
        for offload, handler in list(self._running.items()):
            if not offload.started:
                # nginx's code for it; the access log shows it.
                handler.set_status(499, "Client Closed Request")
                offload.withdraw(ClientGoneError(), "client_gone")

    def finishing(self) -> None:
        """The loop thread ends the response itself, whatever still runs."""
        if self._running and not self._parted:
            handler = next(iter(self._running.values()))
            self._part(handler, handler, "the response was finished without it")

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
        running = [o for o, h in self._running.items() if h is handler]
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


def _take(handler: RequestHandler, portal: Portal) -> Handoff:
    """Return the handoff of ``handler``'s request, made on its first hop."""
    connection: Any = handler.request.connection
    if isinstance(connection, RequestConnection):
        handoff = connection._self_listener
        assert isinstance(handoff, Handoff)
        return handoff
    handoff = Handoff()
    safe = RequestConnection(connection, portal, handoff)
    if handler.request.method == "HEAD":
        safe._self_method = "HEAD"
    if handler._headers_written:
        safe._self_known = False
    callback = getattr(connection, "_close_callback", None)
    if callback is not None:
        safe.set_close_callback(callback)
    handler.request.connection = safe  # type: ignore[assignment]
    return handoff


def _write(own: Callable[[Any], None], chunk: Any) -> None:
    """`write`, refused in a worker that the handler was taken from."""
    check_lease()
    own(chunk)


def _nothing() -> None:
    pass


def _log_unheard(route: str, future: OffloadFuture) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        app_log.error(
            "Uncaught exception in %s",
            route,
            exc_info=(type(error), error, error.__traceback__),
        )


# --- worker -----------------------------------------------------------------


def _clean_up(
    handler: RequestHandler, on_finish: Callable[[], None], left: list[int]
) -> None:
    """End a request whose body outlived it; the last body to end does it."""
    if left.pop() == 0:
        handler._finished = True
        on_finish()
        handler._break_cycles()
