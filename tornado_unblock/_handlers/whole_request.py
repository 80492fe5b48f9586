"""The whole request in one hop: prepare, verb, finish and errors on one worker.

Tornado's own ``_execute`` stays on the loop thread and runs as it is; hooks on
the handler make its calls hop. The call of ``prepare`` goes to a worker, which
runs ``prepare``, the verb and ``finish`` in one go; ``_execute`` then finds the
response finished and ends.

# Threads: `begin` and the `_hop_*` functions run on the loop thread, the
# `_run_*` functions in the worker.
# Guarantees:
# - sync `prepare`, verb, `finish`, `on_finish` and what they call run on one
#   worker, in one hop; so do `log_exception` and `write_error` of their errors;
# - coroutines stay on the loop thread, and what is sync before, beside or after
#   them hops by itself;
# - called by a body, every method is the plain method again.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable

from tornado.log import app_log
from tornado.web import RequestHandler

from tornado_unblock._errors import ClientGoneError, RejectedError
from tornado_unblock._handlers.hooks import Hook, install_hook, remove_hook
from tornado_unblock._handlers.in_turn import (
    dispatch,
    dispatch_in_line,
    dispatch_not_awaited,
)
from tornado_unblock._handlers.methods import is_socket
from tornado_unblock._handlers.options import BodyOptions
from tornado_unblock._handlers.ownership import (
    is_held,
    let_worker_go,
    reserve_this_worker,
)
from tornado_unblock._handlers.plan import Plan, make_plan
from tornado_unblock._handlers.results import auto_finish, drive, is_awaitable, send
from tornado_unblock._handlers.websocket import abort_on_error, ask_ahead
from tornado_unblock._loop.lease import check_lease, current_lease, running_loop
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import current_portal

_PlanKey = tuple[BodyOptions, type[RequestHandler], str]

_plans: PerLoop[dict[_PlanKey, Plan]] = PerLoop(dict)


def begin(handler: RequestHandler, options: BodyOptions) -> None:
    """Have the request of ``handler`` run on a worker; before ``_execute``."""
    if isinstance(vars(handler).get("_break_cycles"), Hook):
        return  # begun by a subclass, whose options count
    portal = current_portal()
    verb = (handler.request.method or "").lower()
    key = (options, type(handler), verb)
    plans = _plans.of(portal)
    plan = plans.get(key)
    if plan is None:
        plan = plans[key] = make_plan(portal, type(handler), verb, options)
    if plan.together:
        install_hook(
            handler, "prepare", Hook(_hop, _run_together, "prepare", handler, plan)
        )
    elif plan.prepare_hops:
        install_hook(
            handler, "prepare", Hook(_hop, _run_prepare, "prepare", handler, plan)
        )
    if plan.verb_hops:
        install_hook(handler, verb, Hook(_hop, _run_verb, verb, handler, plan))
    for name in plan.awaited:
        install_hook(handler, name, Hook(_hop_in_line, handler, plan, name))
    for name in plan.not_awaited:
        install_hook(handler, name, Hook(_hop_not_awaited, handler, plan, name))
    if plan.errors_hop:
        hook = Hook(_hop_error, handler, plan)
        install_hook(handler, "_handle_request_exception", hook)
    install_hook(handler, "_break_cycles", Hook(_let_go, handler))


def _let_go(handler: RequestHandler) -> None:
    """Take the hooks away at the end: each refers to its handler."""
    open_socket = (
        is_socket(handler)
        and handler.get_status() == 101
        and not handler._on_close_called
    )
    if not open_socket:
        own = vars(handler)
        for name in [name for name, value in own.items() if isinstance(value, Hook)]:
            del own[name]
    let_worker_go(handler)
    type(handler)._break_cycles(handler)


# --- loop thread --------------------------------------------------------------


def _hop(
    run: Callable[..., Any],
    name: str,
    handler: RequestHandler,
    plan: Plan,
    *args: Any,
    **kwargs: Any,
) -> Any:
    if running_loop() is None:
        return getattr(type(handler), name)(handler, *args, **kwargs)
    body = functools.partial(_step, run, handler, plan, *args, **kwargs)
    return dispatch(current_portal(), handler, plan.placement, body, direct=True)


def _hop_in_line(handler: RequestHandler, plan: Plan, name: str, *args: Any) -> Any:
    if running_loop() is None:
        return getattr(type(handler), name)(handler, *args)
    body = functools.partial(_step, _run_hook, handler, plan, name, *args)
    future = dispatch_in_line(current_portal(), handler, plan.hooks[name], body)
    if name != "open" and is_socket(handler):
        return abort_on_error(handler, future)
    return future


def _hop_not_awaited(
    handler: RequestHandler, plan: Plan, name: str, *args: Any
) -> None:
    body = functools.partial(getattr(type(handler), name), handler, *args)
    if running_loop() is None:
        body()
    else:
        dispatch_not_awaited(current_portal(), handler, plan.hooks[name], body)


def _hop_error(handler: RequestHandler, plan: Plan, error: BaseException) -> None:
    own = functools.partial(type(handler)._handle_request_exception, handler)
    if (
        running_loop() is None
        or isinstance(error, (RejectedError, ClientGoneError))
        or is_held(handler)
    ):
        # Without a worker there is only the loop thread to say so.
        own(error)
        return
    body = functools.partial(_run_error, own, error)
    dispatch_not_awaited(current_portal(), handler, plan.placement, body)


# --- worker -------------------------------------------------------------------


def _step(
    run: Callable[..., Any],
    handler: RequestHandler,
    plan: Plan,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Run a part of a request; its next one may need this very thread."""
    try:
        return run(handler, plan, *args, **kwargs)
    finally:
        if plan.thread_bound and not handler._finished:
            lease = current_lease()
            if lease is None or not lease.leaves_finish:
                reserve_this_worker(handler)


def _run_hook(handler: RequestHandler, plan: Plan, name: str, *args: Any) -> Any:
    return getattr(type(handler), name)(handler, *args)


def _run_together(handler: RequestHandler, plan: Plan) -> Any:
    remove_hook(handler, "prepare")
    value = None
    try:
        value = handler.prepare()
        if is_awaitable(value):
            return value  # the verb gets a hop of its own
        if handler._finished:
            return None
        check_lease()
        if plan.asks_ahead:
            ask_ahead(handler)
        value = _run_verb(handler, plan, *handler.path_args, **handler.path_kwargs)
    except Exception as error:
        _handle(handler, error)
        # After an error Tornado leaves an unfinished request alone.
        handler._auto_finish = False
    if not handler._finished:
        # Tornado calls the verb next, and is to find that it has run.
        install_hook(handler, plan.verb, Hook(_ran, handler, plan.verb))
    return value


def _run_prepare(handler: RequestHandler, plan: Plan) -> Any:
    remove_hook(handler, "prepare")
    value = handler.prepare()
    if plan.asks_ahead and not handler._finished:
        ask_ahead(handler)
    return value


def _run_verb(handler: RequestHandler, plan: Plan, *args: Any, **kwargs: Any) -> Any:
    remove_hook(handler, plan.verb)
    value = getattr(handler, plan.verb)(*args, **kwargs)
    lease = current_lease()
    if plan.driven and lease is not None and inspect.iscoroutine(value):
        value = drive(value, lease.portal)
    if value is not None:
        value = send(handler, value, plan.encoder, plan.placement.endpoint.name)
    if value is None:
        auto_finish(handler, plan.ends_plainly)
    return value


def _ran(handler: RequestHandler, verb: str, *args: Any, **kwargs: Any) -> None:
    remove_hook(handler, verb)


def _handle(handler: RequestHandler, error: Exception) -> None:
    """Do in the worker what ``_execute`` does with an error on the loop thread."""
    lease = current_lease()
    if lease is not None and lease.revoked is not None:
        raise error
    try:
        type(handler)._handle_request_exception(handler, error)
    except Exception:
        app_log.error("Exception in exception handler", exc_info=True)


def _run_error(own: Callable[[BaseException], None], error: BaseException) -> None:
    try:
        raise error
    except BaseException:
        own(error)
    finally:
        del error
