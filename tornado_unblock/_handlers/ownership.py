"""Who holds a handler, the loop thread or workers, and who answers.

# Threads: `_clean_up` runs in the worker, all else on the loop thread.
# Guarantees:
# - while a body runs, the loop thread does not touch its handler;
# - each stay of a handler in a worker has a right of its own to write the response;
#   once that is revoked, nothing the stay does reaches the client, and neither does
#   what it has delegated to other threads and callbacks;
# - an error page wanted while a body still runs, or after one was abandoned, is
#   rendered on a copy of the handler; `on_finish` waits for the body's end, on its
#   worker;
# - a body whose client left while it waited for a worker does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from typing import Any, Callable, Optional, cast

from tornado.web import RequestHandler

from tornado_unblock._connection.loop_owned import expect_head
from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.response import ResponseWriter
from tornado_unblock._connection.server_stream import take_stream
from tornado_unblock._errors import AbandonedError, ClientGoneError, RejectedError
from tornado_unblock._executors.threads import ReservedWorker, reserve_worker
from tornado_unblock._handlers.error_page import answer_error, copy_for_error_page
from tornado_unblock._handlers.methods import ANSWERS
from tornado_unblock._handlers.results import client_gone
from tornado_unblock._limits.closing import (
    Request,
    requests_between_hops,
    tell_closing,
)
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.offload import Offload


class Ownership:
    """What the loop thread knows of one request that goes to workers."""

    # All for the loop thread only.
    __slots__ = (
        *("__weakref__", "_abandoned", "_between", "_ended", "_parted", "_portal"),
        *(
            "_waiting",
            "begun",
            "on_finish_posted",
            "reserved_worker",
            "retry_after",
            "running",
            "task",
        ),
    )

    # The response refers to this, and this does not to the response: no cycle.

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        # Offloads that have not ended.
        self.running: list[Offload] = []
        # The task that serves it.
        self.task = asyncio.current_task()
        # What starts those that wait for these to end.
        self._waiting: tuple[Callable[[], None], ...] = ()
        # A handler of which nothing can be believed: its body was abandoned.
        self._abandoned: Optional[RequestHandler] = None
        # Whether the response is made without those that run.
        self._parted = False
        # Seconds that a 503 names.
        self.retry_after: Optional[int] = None
        # Whether it had a worker, so that it may have others to the end.
        self.begun = False
        # Whether a worker is to run `on_finish`, which the loop thread has called.
        self.on_finish_posted = False
        # Its place among `requests_between_hops`.
        self._between: Optional[weakref.ref[Request]] = None
        # Whether its response is made, or its client has left.
        self._ended = False
        # The worker for what may depend on the thread of what ran before it.
        # Set in that worker, while it holds the handler.
        self.reserved_worker: Optional[ReservedWorker] = None

    # --- workers come and go ------------------------------------------------------

    def enter(self, offload: Offload, handler: RequestHandler) -> None:
        """``offload`` takes ``handler``."""
        if self._between is not None:
            self._goes_on(self._between)
        right: Any = handler.request.connection  # written out: it happens to each
        if self.begun and not self.running:
            right = _give_right(handler, RequestConnection(right.writer))
        self.begun = True
        self.running.append(offload)
        offload.owner = self
        offload.handler = handler
        offload.response = right.writer

    def offload_ended(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` has ended, or will not start."""
        handler: RequestHandler = offload.handler
        self.running.remove(offload)
        if issubclass(type(error), RejectedError):
            self.retry_after = cast(RejectedError, error).retry_after
        if self.running:
            return
        self._parted = False
        right: Any = handler.request.connection
        writer: ResponseWriter = right.writer
        if writer.deferred:
            writer.drop_deferred()
        if self._waiting:
            self._start_waiting()
        elif (
            offload.leaves_finish
            and offload.revoked is None
            # Else another thread has it, and has begun to finish the response.
            and writer.take_right_to_finish()
        ):
            # No worker comes any more: nothing has to stand in for the connection.
            right.revoke("its body has ended, and its response with it")
            writer.ended = True
            handler.request.connection = writer.connection
            # What another thread has begun to send in its place is lost.
            handler._headers_written = writer.sent
        elif not (self._ended or handler._finished):
            between = requests_between_hops(self._portal)
            self._between = weakref.ref(self, between.discard)
            between.add(self._between)

    def _start_waiting(self) -> None:
        # One that was cancelled meanwhile does not start.
        while self._waiting and not self.running:
            start, self._waiting = self._waiting[0], self._waiting[1:]
            start()

    def follow(self, start: Callable[[], None]) -> None:
        """Call ``start`` when what runs, and what waits already, has ended."""
        self._waiting += (start,)

    def client_gone(self, offload: Offload) -> bool:
        """Whether the client of ``offload`` has left; any thread."""
        return client_gone(offload.handler)

    # --- who answers ----------------------------------------------------------------

    @property
    def was_abandoned(self) -> bool:
        """Whether a body of this request was abandoned."""
        return self._abandoned is not None

    def revoke(self, offload: Offload, why: str) -> bool:
        """Take the response from ``offload``; False when it has finished it."""
        handler: RequestHandler = offload.handler
        right = _right_to(handler)
        if not right.writer.take_right_to_finish():
            handler._finished = True  # it is about to say so itself, or has
            return False
        offload.revoked = why
        self._abandoned = handler
        others = any(o is not offload and o.revoked is None for o in self.running)
        is_last = offload.future.is_last
        if is_last or not others:
            right.revoke(why)
        if not (is_last or others):
            # Who awaits it goes on with the handler, on the loop thread.
            handler._headers_written = right.writer.sent
            _give_right(handler, RequestConnection(right.writer, loop_only=True))
        refuse_abandoned_bodies()
        if right.writer.detached is not None:
            right.writer.detached.close()  # there is no other way to say it
        request = handler.request
        take_stream(right.writer.connection, request.server_connection, why)
        # Only now: who takes it from here on sees that it is revoked.
        right.writer.give_right_back()
        return True

    def is_answered(self, offload: Offload) -> bool:
        """Whether the response of ``offload`` is sent, or all but its end."""
        handler: RequestHandler = offload.handler
        writer = _right_to(handler).writer
        if not writer.may_finish:
            handler._finished = True  # as above
            return True
        if not writer.complete:
            return False
        if offload.abandon("all of its response was sent"):
            handler._headers_written = writer.sent
            _give_right(handler, RequestConnection(writer))
            handler.finish()
        return True

    def needs_copy(self, handler: RequestHandler) -> bool:
        """Whether this is the loop thread, and may not answer with ``handler``."""
        if running_loop() is not self._portal.loop:
            return False  # a worker that holds it answers itself
        return self._abandoned is handler or any(
            offload.handler is handler for offload in self.running
        )

    def is_taken(self, handler: RequestHandler) -> bool:
        """Whether this is the loop thread, whose right to answer has been revoked."""
        return self.needs_copy(handler) and not _right_to(handler).loop_only

    def answer_on_copy(
        self, handler: RequestHandler, answer: Callable[[RequestHandler], None]
    ) -> None:
        """Have a copy answer while a worker holds ``handler``, or has spoilt it."""
        right = _right_to(handler)
        twin = copy_for_error_page(handler, right.writer)
        why = "an error was sent in its place"
        if not self._part(handler, twin, why):
            twin._finished = True  # a body has finished the response
        elif right.revoked is None:
            right.revoke(why)
        answer(twin)

    def closing(self) -> None:
        """The client left: what has not started will not."""
        self.response_ended()
        for offload in self.running[:]:
            handler = offload.handler
            if offload.withdraw(ClientGoneError(), "client_gone"):
                # nginx's code for it; the access log shows it. If it may not be set any
                # more, then somebody else has answered.
                with contextlib.suppress(AbandonedError):
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

    def _goes_on(self, between: weakref.ref[Request]) -> None:
        requests_between_hops(self._portal).discard(between)
        self._between = None

    def _part(self, handler: RequestHandler, shown: RequestHandler, why: str) -> bool:
        """Let workers keep ``handler`` while ``shown`` finishes the response.

        Returns:
            False when a worker has finished it already.
        """
        parted, self._parted = self._parted, True
        running = [o for o in self.running if o.handler is handler]
        kept = [offload for offload in running if not offload.abandon(why)]
        if kept:
            return False
        if running and not parted:
            on_finish = handler.on_finish
            _skip_on_finish(shown)
            left = list(range(len(running)))
            for offload in running:
                offload.at_end(functools.partial(_clean_up, handler, on_finish, left))
        return True


def ownership_of(handler: RequestHandler, portal: Portal) -> Ownership:
    """Return the ownership of ``handler``'s request, made on its first hop."""
    ownership = _ownership_if_any(handler)
    if ownership is not None:
        return ownership
    _answer_on_copies()
    connection: Any = handler.request.connection
    ownership = Ownership(portal)
    writer = ResponseWriter(connection, portal, ownership)
    expect_head(connection)
    _give_right(handler, RequestConnection(writer))
    if handler.request.method == "HEAD":
        writer.method = "HEAD"
    if handler._headers_written:
        writer.predictable, writer.sent = False, True
    callback = getattr(connection, "_close_callback", None)
    if callback is not None:
        writer.watch_close(callback)
    return ownership


def _right_to(handler: RequestHandler) -> RequestConnection:
    """Return the right of those that hold ``handler`` now, or held it last."""
    return cast(RequestConnection, handler.request.connection)


def _give_right(handler: RequestHandler, right: RequestConnection) -> RequestConnection:
    request: Any = handler.request
    request.connection = right
    return right


def _ownership_if_any(handler: RequestHandler) -> Optional[Ownership]:
    connection: Any = handler.request.connection
    if type(connection) is RequestConnection:
        writer: Any = connection.writer
        ownership: Ownership = writer.listener
        return ownership
    return None


def is_held(handler: RequestHandler) -> bool:
    """Whether only a copy of ``handler`` may answer an error now; loop thread."""
    ownership = _ownership_if_any(handler)
    return ownership is not None and ownership.needs_copy(handler)


def reserve_this_worker(handler: RequestHandler) -> None:
    """Have what else of this request hops run on the calling worker.

    It may serve others meanwhile, when no other worker is free.
    """
    ownership = _ownership_if_any(handler)
    if ownership is not None and ownership.reserved_worker is None:
        ownership.reserved_worker = reserve_worker()


def let_worker_go(handler: RequestHandler) -> None:
    """End a `reserve_this_worker`, but for what is on its way; any thread."""
    ownership = _ownership_if_any(handler)
    if ownership is not None:
        ownership.reserved_worker = None


# What follows is done to Tornado's class, once for the process and when it is first
# needed: what stands on a handler itself, its own code could see.


@functools.cache
def _answer_on_copies() -> None:
    """Have Tornado answer errors on a copy where a worker holds the handler."""
    handle, send = RequestHandler._handle_request_exception, RequestHandler.send_error

    @functools.wraps(handle)
    def _handle_request_exception(self: RequestHandler, e: BaseException) -> None:
        ownership = _ownership_if_any(self)
        if ownership is not None and ownership.needs_copy(self):
            ownership.answer_on_copy(self, lambda twin: answer_error(twin, e))
        else:
            handle(self, e)

    @functools.wraps(send)
    def send_error(
        self: RequestHandler, status_code: int = 500, **kwargs: object
    ) -> None:
        ownership = _ownership_if_any(self)
        if ownership is not None and ownership.is_taken(self):
            ownership.answer_on_copy(
                self, lambda twin: send(twin, status_code, **kwargs)
            )
        else:
            _check_right(self)
            send(self, status_code, **kwargs)

    RequestHandler._handle_request_exception = (  # type: ignore[method-assign]
        _handle_request_exception
    )
    RequestHandler.send_error = send_error  # type: ignore[method-assign]


def break_cycles_after(ownership: Ownership) -> None:
    """Have a handler keep until the end of its ``on_finish`` what that may need."""
    ownership.on_finish_posted = True
    _break_cycles_late()


@functools.cache
def _break_cycles_late() -> None:
    """Have Tornado break no cycles where a worker does so after ``on_finish``."""
    own = RequestHandler._break_cycles

    @functools.wraps(own)
    def _break_cycles(self: RequestHandler) -> None:
        ownership = _ownership_if_any(self)
        posted = ownership is not None and ownership.on_finish_posted
        if not posted or running_loop() is None:
            own(self)

    RequestHandler._break_cycles = _break_cycles  # type: ignore[method-assign]


@functools.cache
def refuse_abandoned_bodies() -> None:
    """Have what changes a response refuse who may not answer.

    Once, when a body is abandoned for the first time, or before others take Tornado's
    methods to put theirs in their place.
    """
    for name in ANSWERS:
        own = getattr(RequestHandler, name)
        setattr(RequestHandler, name, functools.wraps(own)(_checked(own)))


def _checked(own: Callable[..., object]) -> Callable[..., object]:
    def method(self: RequestHandler, *args: object, **kwargs: object) -> object:
        _check_right(self)
        return own(self, *args, **kwargs)

    return method


def _check_right(handler: RequestHandler) -> None:
    """Raise unless this thread may answer, with what ``handler`` says; any thread."""
    # What is called on something else, a test's stand-in say, does what it always did.
    connection: Any = getattr(getattr(handler, "request", None), "connection", None)
    if type(connection) is RequestConnection:
        connection.check()
        if connection.loop_only:
            # What an abandoned body, or its delegate, was about to send is not sent.
            handler._headers_written = connection.writer.sent


def _skip_on_finish(handler: RequestHandler) -> None:
    """Have the next call of ``on_finish`` do nothing; then nothing shows of it."""
    own = vars(handler)
    kept = {name: own[name] for name in ("on_finish",) if name in own}

    def skip() -> None:
        del own["on_finish"]
        own.update(kept)

    own["on_finish"] = skip


# --- worker -----------------------------------------------------------------


def _clean_up(
    handler: RequestHandler, on_finish: Callable[[], None], left: list[int]
) -> None:
    """End a request whose body outlived it; the last body to end does it."""
    if left.pop() == 0:
        handler._finished = True
        on_finish()
        handler._break_cycles()
