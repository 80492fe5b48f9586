"""One decorated method of a handler, run on a worker.

# Threads: `hand_over` runs on the loop thread, `_run_body` in the worker.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable, NamedTuple, Optional

from tornado.web import RequestHandler

from tornado_unblock._executors.registry import (
    JSONEncoder,
    json_encoder,
    resolve_executor,
)
from tornado_unblock._handlers.in_turn import (
    dispatch,
    dispatch_in_line,
    dispatch_not_awaited,
)
from tornado_unblock._handlers.methods import is_socket
from tornado_unblock._handlers.options import BodyOptions
from tornado_unblock._handlers.results import auto_finish, ends_plainly, send
from tornado_unblock._handlers.running_loop import shows_loop
from tornado_unblock._handlers.websocket import abort_on_error
from tornado_unblock._limits.placement import Placement, placement
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal, current_portal

VERBS = frozenset(name.lower() for name in RequestHandler.SUPPORTED_METHODS)

# Hooks whose result Tornado ignores: nobody awaits what they return.
NOT_AWAITED = frozenset(["on_finish", "on_close", "on_connection_close", "on_ping"])


class BodyPlacement(NamedTuple):
    """Where and how the bodies of one handler class's method run."""

    placement: Placement
    # Encodes what a verb returns; None for other methods, whose result is
    # their caller's.
    encoder: Optional[JSONEncoder]
    # Whether Tornado calls it with nothing in between, and so finishes next.
    finishes: bool
    # Whether nothing but Tornado's own code runs when it finishes.
    ends_plainly: bool
    not_awaited: bool
    socket: bool


_Key = tuple[BodyOptions, type[RequestHandler]]

_placements: PerLoop[dict[_Key, BodyPlacement]] = PerLoop(dict)


def hand_over(
    handler: RequestHandler,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
    options: BodyOptions,
) -> Optional[asyncio.Future[Any]]:
    """Run ``fn(*args, **kwargs)``, a method of ``handler``, on a worker.

    Returns:
        Its Future; None for a hook whose result Tornado ignores.

    Raises:
        RejectedError: There is no worker for it, and no room to wait.
    """
    portal = current_portal()
    key = (options, type(handler))
    placements = _placements.of(portal)
    where = placements.get(key)
    if where is None:
        where = placements[key] = _place(portal, handler, fn, options)
    body = functools.partial(_run_body, handler, fn, args, kwargs, where)
    where_it_runs, _, finishes, _, not_awaited, socket = (
        where  # faster than by their names
    )
    if not_awaited:
        dispatch_not_awaited(portal, handler, where_it_runs, body)
        return None
    if socket and is_socket(handler) and handler.ws_connection is not None:
        future = dispatch_in_line(portal, handler, where_it_runs, body)
        return future if fn.__name__ == "open" else abort_on_error(handler, future)
    return dispatch(portal, handler, where_it_runs, body, direct=finishes)


def _place(
    portal: Portal, handler: RequestHandler, fn: Any, options: BodyOptions
) -> BodyPlacement:
    name, cls = fn.__name__, type(handler)
    verb = (handler.request.method or "").lower()
    serving = getattr(getattr(cls, verb, None), "__wrapped__", None)
    serves = serving is not None and serving is getattr(fn, "__func__", fn)
    is_verb = name in VERBS or serves
    return BodyPlacement(
        placement(
            portal,
            resolve_executor(options.executor),
            f"{cls.__qualname__}.{name}",
            options.timeout,
            shows_loop(cls, name),
        ),
        (options.json_encoder or json_encoder()) if is_verb else None,
        serves,
        ends_plainly(cls),
        name in NOT_AWAITED,
        is_socket(handler),
    )


def _run_body(
    handler: RequestHandler,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
    where: BodyPlacement,
) -> Any:
    value = fn(*args, **kwargs)
    where_it_runs, encoder, finishes, plainly, _, _ = where
    if value is not None and encoder is not None:
        value = send(handler, value, encoder, where_it_runs.endpoint.name)
    if value is None and finishes:
        auto_finish(handler, plainly)
    return value
