"""Giving a handler to a worker, now or when others have let go of it.

# Threads: the loop thread.
# Guarantees:
# - what needs a handler to itself runs when nothing else holds it, in order;
# - clean-up is let in however full the executor is.
"""

from __future__ import annotations

import functools
from typing import Callable

from tornado.log import app_log
from tornado.web import RequestHandler

from tornado_unblock._connection.websocket import read_on
from tornado_unblock._errors import RejectedError
from tornado_unblock._handlers.methods import is_socket
from tornado_unblock._handlers.ownership import (
    Ownership,
    break_cycles_after,
    ownership_of,
)
from tornado_unblock._limits.placement import Placement
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.future import OffloadFuture
from tornado_unblock._offload.offload import REFUSED, Offload

# How it is let in, given whether its request has had a worker before.
_Admit = Callable[[Offload, bool], OffloadFuture]


def offload_body(
    portal: Portal,
    handler: RequestHandler,
    where: Placement,
    body: Callable[[], object],
    *,
    direct: bool,
) -> OffloadFuture:
    """Run ``body``, which may do anything with ``handler``, on a worker.

    Args:
        portal: The way to the handler's loop.
        handler: Not touched by the loop thread until the Future is done.
        where: Executor, limiter and time limit.
        body: What to run.
        direct: Whether Tornado itself awaits it, and so waits for its end.

    Raises:
        RejectedError: There is no worker for it, and no room to wait.
    """
    ownership = ownership_of(handler, portal)
    offload = Offload(portal, where, body)
    if not ownership.running:
        offload.reserved_worker = ownership.reserved_worker
    offload.future.is_last = direct
    under_way = ownership.begun
    ownership.enter(offload, handler)
    return offload.admit(under_way)


def offload_in_line(
    portal: Portal,
    handler: RequestHandler,
    where: Placement,
    body: Callable[[], object],
) -> OffloadFuture:
    """Run ``body`` on a worker once whatever else holds ``handler`` has ended.

    Raises:
        RejectedError: There is no worker for it, and no room to wait; also from
            the Future, when something else held the handler.
    """
    if is_socket(handler) and handler.ws_connection is not None:
        read_on(handler.ws_connection)
    return _in_line(portal, handler, where, body, _admit)


def offload_always(
    portal: Portal,
    handler: RequestHandler,
    where: Placement,
    body: Callable[[], object],
) -> OffloadFuture:
    """Run ``body`` likewise, however full the executor is."""
    return _in_line(portal, handler, where, body, _admit_always)


def offload_not_awaited(
    portal: Portal,
    handler: RequestHandler,
    where: Placement,
    body: Callable[[], object],
) -> OffloadFuture:
    """Run ``body`` likewise, where Tornado does not wait for its result.

    Such hooks clean up: they run however full the executor is, and their
    errors are logged.
    """
    future = offload_always(portal, handler, where, body)
    future.add_done_callback(functools.partial(_log_not_awaited, where.endpoint.name))
    return future


def offload_on_finish(
    portal: Portal,
    handler: RequestHandler,
    where: Placement,
    body: Callable[[], object],
) -> None:
    """Run ``body``, which is ``on_finish``, likewise."""
    break_cycles_after(ownership_of(handler, portal))
    body = functools.partial(_run_on_finish, handler, body)
    future = offload_not_awaited(portal, handler, where, body)
    if portal.shared_context is not None:
        portal.shared_context.hooks.append(future)


def _run_on_finish(handler: RequestHandler, body: Callable[[], object]) -> None:
    """Run it as Tornado does; in a worker."""
    try:
        body()
    finally:
        handler._break_cycles()


def _admit(offload: Offload, under_way: bool) -> OffloadFuture:
    return offload.admit(under_way)


def _admit_always(offload: Offload, under_way: bool) -> OffloadFuture:
    return offload.admit_always()


def _in_line(
    portal: Portal,
    handler: RequestHandler,
    where: Placement,
    body: Callable[[], object],
    admit: _Admit,
) -> OffloadFuture:
    ownership = ownership_of(handler, portal)
    offload = Offload(portal, where, body)
    offload.reserved_worker = ownership.reserved_worker
    future = offload.future
    if ownership.running:
        ownership.follow(functools.partial(_follow, ownership, offload, handler, admit))
        return future
    under_way = ownership.begun
    ownership.enter(offload, handler)
    return admit(offload, under_way)


def _follow(
    ownership: Ownership,
    offload: Offload,
    handler: RequestHandler,
    admit: _Admit,
) -> None:
    if offload.state is REFUSED:  # cancelled while it waited
        return
    future = offload.future
    ownership.enter(offload, handler)
    try:
        admit(offload, True)
    except RejectedError as error:
        future.set_exception(error)


def _log_not_awaited(endpoint: str, future: OffloadFuture) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        app_log.error("Uncaught exception in %s", endpoint, exc_info=error)
