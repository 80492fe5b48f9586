"""One decorated method of a handler, run on a worker.

# Threads: `hand_over` runs on the loop thread, `_run_body` in the worker.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from tornado.web import RequestHandler

from tornado_unblock._handlers.in_turn import (
    dispatch,
    dispatch_in_line,
    dispatch_not_awaited,
)
from tornado_unblock._handlers.methods import is_socket
from tornado_unblock._handlers.options import BodyOptions
from tornado_unblock._handlers.plan import Step, plan_method, verb_of
from tornado_unblock._handlers.results import auto_finish, send
from tornado_unblock._handlers.websocket import abort_on_error
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal, current_portal

# The options are each decorated method's own. The verb counts too: a `post` may
# await the `get` that another request is served by.
_Key = tuple[BodyOptions, type[RequestHandler], Optional[str]]

_steps: PerLoop[dict[_Key, Step]] = PerLoop(dict)


def hand_over(
    handler: RequestHandler,
    fn: Callable[..., object],
    args: Sequence[object],
    kwargs: Mapping[str, object],
    options: BodyOptions,
) -> Optional[asyncio.Future[object]]:
    """Run ``fn(*args, **kwargs)``, a method of ``handler``, on a worker.

    Returns:
        Its Future; None for a hook whose result Tornado ignores.

    Raises:
        RejectedError: There is no worker for it, and no room to wait.
    """
    portal = current_portal()
    key = (options, type(handler), handler.request.method)
    step = _steps.of(portal).get(key) or _plan(portal, handler, fn, options)
    body = functools.partial(_run_body, handler, fn, args, kwargs, step)
    if not step.awaited:
        dispatch_not_awaited(portal, handler, step.placement, body)
        return None
    if step.socket and is_socket(handler) and handler.ws_connection is not None:
        future = dispatch_in_line(portal, handler, step.placement, body)
        return future if step.name == "open" else abort_on_error(handler, future)
    return dispatch(portal, handler, step.placement, body, direct=step.finishes)


def _plan(
    portal: Portal,
    handler: RequestHandler,
    fn: Callable[..., object],
    options: BodyOptions,
) -> Step:
    cls = type(handler)
    verb = verb_of(cls, handler.request.method)
    # What the class does not know is nothing to keep a plan under.
    key = (options, cls, handler.request.method if verb else None)
    steps = _steps.of(portal)
    if key not in steps:
        steps[key] = plan_method(portal, cls, verb, fn.__name__, options)
    return steps[key]


def _run_body(
    handler: RequestHandler,
    fn: Callable[..., object],
    args: Sequence[object],
    kwargs: Mapping[str, object],
    step: Step,
) -> object:
    value = fn(*args, **kwargs)
    if value is not None and step.sends:
        value = send(handler, value, step.encoder, step.placement.endpoint.name)
    if value is None and step.finishes:
        auto_finish(handler, step.ends_plainly)
    return value
