"""The whole request in one hop: prepare, verb, finish and errors on one worker.

Tornado's own ``_execute`` stays on the loop thread and runs as it is, but for a view in
place of the handler (`loop_view`), on which what the plan names is a hop. The call of
``prepare`` goes to a worker, which runs ``prepare``, the verb and ``finish`` in one go;
``_execute`` then finds the response finished and ends.

What Tornado calls on the handler itself (`on_finish` when the loop thread finishes a
response, `on_close`; with ``@unblock`` on the class `data_received`, too) is reached by
a descriptor on the class, which asks whether there is a view.

# Threads: `begin` and the `_hop_*` functions run on the loop thread, the
# `_run_*` functions in the worker.
# Guarantees:
# - sync `prepare`, verb, `finish`, `on_finish` and what they call run on one
#   worker, in one hop; so do `log_exception` and `write_error` of their errors;
# - what a request with a coroutine for a verb runs stays on the loop thread;
# - when ``_execute`` ends, an error that a hop raised has been answered;
# - what a body calls is the plain method.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any, Callable, NamedTuple, Optional

from tornado.web import RequestHandler

from tornado_unblock._errors import ClientGoneError, RejectedError
from tornado_unblock._executors.functions import is_async
from tornado_unblock._handlers.error_page import answer_error
from tornado_unblock._handlers.forms import has_large_form, parse_first
from tornado_unblock._handlers.in_turn import (
    offload_always,
    offload_body,
    offload_in_line,
    offload_not_awaited,
    offload_on_finish,
)
from tornado_unblock._handlers.loop_view import (
    EarlyView,
    HopFunction,
    LoopView,
    find_by_handler,
    intercept,
    set_ran,
    take_early,
)
from tornado_unblock._handlers.methods import ASKED_AHEAD, NOT_AWAITED, base_of
from tornado_unblock._handlers.one_context import is_tornados
from tornado_unblock._handlers.options import BodyOptions
from tornado_unblock._handlers.ownership import (
    is_held,
    let_worker_go,
    reserve_this_worker,
)
from tornado_unblock._handlers.plan import RequestPlan, make_plan, make_room, verb_of
from tornado_unblock._handlers.results import auto_finish, drive, is_awaitable, send
from tornado_unblock._handlers.websocket import (
    abort_on_error,
    ask_ahead,
    socket_hops,
)
from tornado_unblock._handlers.wsgi import answer_by_wsgi
from tornado_unblock._loop.lease import check_lease, current_lease, running_loop
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._loop.shared_context import in_one_context

_Key = tuple[BodyOptions, type[RequestHandler], Optional[str]]


class _Known(NamedTuple):
    """What is kept for the requests of one class and verb."""

    plan: RequestPlan
    hops: Mapping[str, HopFunction]
    # Whether methods on the class have to find the view.
    by_handler: bool


# Where a request that is not finished, and not executed any more, keeps its view.
_PARKED = "_unblock_parked"

_known: PerLoop[dict[_Key, _Known]] = PerLoop(dict)


def begin(
    handler: RequestHandler, options: BodyOptions, *, held: bool
) -> Optional[LoopView]:
    """Return what Tornado is to have in place of ``handler``; None: nothing hops.

    Args:
        handler: Just made.
        options: How it runs. Those of a class are of no application.
        held: Whether Tornado holds the handler already, and will for good.
    """
    portal = current_portal()
    key = (options, type(handler), handler.request.method)
    known = _known.of(portal).get(key) or _learn(portal, handler, options, held)
    if not known.plan.moves and not has_large_form(handler.request):
        return None
    make = EarlyView if known.plan.errors_hop else LoopView
    view = make(handler, known.plan, known.hops)
    if known.by_handler:
        find_by_handler(view)
    return view


def execute(
    view: LoopView,
    own: Callable[..., Awaitable[None]],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> Awaitable[None]:
    """Run the ``_execute`` that is bound to ``view``, and what is due at its end."""
    plan = view._unblock_plan
    if has_large_form(view._unblock_target.request):
        own = functools.partial(parse_first, view, own)
    running = own(*args, **kwargs)
    if plan.thread_bound or plan.hooks:
        return _execute(view, running)
    return running


def _learn(
    portal: Portal, handler: RequestHandler, options: BodyOptions, held: bool
) -> _Known:
    cls = type(handler)
    verb = verb_of(cls, handler.request.method)
    # What the class does not know is nothing to keep a plan under.
    key = (options, cls, handler.request.method if verb else None)
    kept = _known.of(portal)
    if key not in kept:
        plan = make_plan(portal, cls, verb, options)
        hops = _hops(cls, plan)
        names = [name for name in hops if _is_called_on_handler(cls, name, held)]
        for name in names:
            intercept(cls, name)
        make_room(kept)
        kept[key] = _Known(plan=plan, hops=hops, by_handler=bool(names))
    return kept[key]


def _is_called_on_handler(cls: type[RequestHandler], name: str, held: bool) -> bool:
    """Whether Tornado, or what it calls, calls a method on the handler itself."""
    if name == "data_received":
        return held
    if name in ("get_websocket_protocol", *ASKED_AHEAD):
        # Its own `get` gets the view; another gets the handler, and so does Tornado's.
        return cls.get is not base_of(cls).get
    return name in NOT_AWAITED


def _hops(cls: type[RequestHandler], plan: RequestPlan) -> dict[str, HopFunction]:
    """Return what stands on a view in place of the handler's methods."""
    hops: dict[str, HopFunction] = {"_execute": _execute_on_view}
    if plan.socket:
        hops.update(socket_hops(cls))
    if plan.decision.passes_on:
        hops["prepare"] = _hop_fallback
    elif plan.decision.prepare_hops:
        run = _run_together if plan.decision.together else _run_prepare
        hops["prepare"] = functools.partial(_hop, run)
    elif plan.errors_hop and is_async(cls.prepare):
        hops["prepare"] = _watch
    if plan.errors_hop:
        hops["prepare"] = functools.partial(_raise_early, hops.get("prepare"))
    if plan.decision.verb_hops:
        hops[plan.verb] = _hop_verb
    for name, step in plan.hooks.items():
        hops[name] = _hop_in_line if step.awaited else _hop_not_awaited
    if plan.errors_hop:
        hops["_handle_request_exception"] = _hop_error
    return hops


# --- loop thread --------------------------------------------------------------


def _execute_on_view(
    view: LoopView, name: str, /, *args: object, **kwargs: object
) -> object:
    """Call the handler's ``_execute``, with the view in place of the handler."""
    handler = view._unblock_target
    own = vars(handler).get(name)
    if own is None:
        own = getattr(type(handler), name).__get__(view, type(handler))
    return execute(view, own, args, kwargs)


async def _execute(view: LoopView, running: Awaitable[None]) -> None:
    """Await ``running``, and do what is due when Tornado lets go of the request.

    It has the name of what it runs: who lists tasks looks for that.
    """
    handler = view._unblock_target
    try:
        await in_one_context(current_portal(), running, is_tornados)
    finally:
        if handler._finished or "on_finish" not in view._unblock_plan.hooks:
            let_worker_go(handler)
        else:
            # Somebody will finish it: until then, the view is to be found.
            vars(handler.request)[_PARKED] = view


def _hop(
    run: Callable[..., object],
    view: LoopView,
    name: str,
    /,
    *args: object,
    **kwargs: object,
) -> object:
    handler, plan = view._unblock_target, view._unblock_plan
    if running_loop() is None:
        return getattr(handler, name)(*args, **kwargs)
    body = functools.partial(_step, run, view, *args, **kwargs)
    future = offload_body(
        current_portal(), handler, plan.step.placement, body, direct=True
    )
    return _answered(view, future) if plan.errors_hop else future


class _LeftUnfinished(Exception):
    """An error page did not finish; the request ends with it all the same."""


def _raise_early(hop: Optional[HopFunction], view: EarlyView, name: str) -> object:
    """Answer an error from before ``prepare`` where Tornado awaits that."""
    error = take_early(view)
    try:
        if error is None:
            own = getattr(view._unblock_target, name)
            return own() if hop is None else hop(view, name)
        if _for_worker(view, error):
            return _answer_early(view, error)
        raise error
    finally:
        del error  # error -> traceback -> this frame -> error: no cycle


async def _answer_early(view: EarlyView, error: Exception) -> None:
    handler, plan = view._unblock_target, view._unblock_plan
    body = functools.partial(_step, _run_error, view, error)
    del error  # no cycle, as above
    await offload_always(current_portal(), handler, plan.step.placement, body)
    if not handler._finished:
        raise _LeftUnfinished


def _hop_fallback(view: LoopView, name: str) -> object:
    handler: Any = view._unblock_target
    answer = answer_by_wsgi(handler, view._unblock_plan.step.placement)
    return getattr(handler, name)() if answer is None else answer


def _hop_verb(view: LoopView, name: str, /, *args: object, **kwargs: object) -> object:
    if view._unblock_ran:
        return None  # in the hop of prepare
    return _hop(_run_verb, view, name, *args, **kwargs)


def _watch(view: LoopView, name: str) -> object:
    return _answered(view, getattr(view._unblock_target, name)())


async def _answered(view: LoopView, running: Awaitable[object]) -> object:
    """Await ``running``; if it raises, wait until a worker has answered the error.

    Tornado would not wait for that, and what stands around ``_execute`` (Sentry,
    OpenTelemetry) would see a request without status that goes on.
    """
    try:
        return await running
    except Exception as error:
        if not _for_worker(view, error):
            raise
        handler, plan = view._unblock_target, view._unblock_plan
        body = functools.partial(_step, _run_error, view, error)
        await offload_in_line(current_portal(), handler, plan.step.placement, body)
        set_ran(view)
        return None
    finally:
        del running


def _for_worker(view: LoopView, error: BaseException) -> bool:
    """Whether a worker is to answer ``error``, and there may be one."""
    return not (
        running_loop() is None
        or issubclass(type(error), (RejectedError, ClientGoneError))
        or is_held(view._unblock_target)
    )


def _hop_error(view: EarlyView, name: str, error: BaseException) -> None:
    if type(error) is _LeftUnfinished:
        return
    handler, plan = view._unblock_target, view._unblock_plan
    error = take_early(view) or error
    try:
        if not _for_worker(view, error):
            # Without a worker there is only the loop thread to say so.
            answer_error(handler, error)
            return
        body = functools.partial(_run_error, view, error)
        offload_not_awaited(current_portal(), handler, plan.step.placement, body)
    finally:
        del error  # no cycle, as above


def _hop_in_line(view: LoopView, name: str, /, *args: object) -> object:
    handler, plan = view._unblock_target, view._unblock_plan
    if running_loop() is None:
        return getattr(handler, name)(*args)
    body = functools.partial(_step, _run_hook, view, name, *args)
    where = plan.hooks[name].placement
    future = offload_in_line(current_portal(), handler, where, body)
    if plan.socket and name not in ("open", "data_received"):
        return abort_on_error(view._unblock_target, future)
    return future


def _hop_not_awaited(view: LoopView, name: str, /, *args: object) -> None:
    handler, plan = view._unblock_target, view._unblock_plan
    if running_loop() is None:
        getattr(handler, name)(*args)
        return
    body = functools.partial(_run_hook, view, name, *args)
    post = offload_on_finish if name == "on_finish" else offload_not_awaited
    post(current_portal(), handler, plan.hooks[name].placement, body)
    if vars(handler.request).pop(_PARKED, None) is not None:
        let_worker_go(handler)


# --- worker -------------------------------------------------------------------


def _step(
    run: Callable[..., object], view: LoopView, /, *args: object, **kwargs: object
) -> object:
    """Run a part of a request; its next one may need this very thread."""
    try:
        return run(view, *args, **kwargs)
    finally:
        handler = view._unblock_target
        if view._unblock_plan.thread_bound and not handler._finished:
            lease = current_lease()
            if lease is None or not lease.leaves_finish:
                reserve_this_worker(handler)


def _run_hook(view: LoopView, name: str, /, *args: object) -> object:
    return getattr(view._unblock_target, name)(*args)


def _run_together(view: LoopView) -> object:
    handler, plan = view._unblock_target, view._unblock_plan
    value: object = None
    try:
        value = handler.prepare()
        if is_awaitable(value):
            return value  # the verb gets a hop of its own
        if handler._finished:
            return None
        check_lease()
        if plan.socket:
            ask_ahead(view)
        value = _send(view, *handler.path_args, **handler.path_kwargs)
    except Exception as error:
        _handle(view, error)
    # Tornado calls the verb next, if the response is not finished.
    set_ran(view)
    return value


def _run_prepare(view: LoopView) -> object:
    handler = view._unblock_target
    try:
        value = handler.prepare()
        if view._unblock_plan.socket and not handler._finished:
            ask_ahead(view)
    except Exception as error:
        _handle(view, error)
        set_ran(view)
        return None
    return value


def _run_verb(view: LoopView, /, *args: object, **kwargs: object) -> object:
    try:
        return _send(view, *args, **kwargs)
    except Exception as error:
        _handle(view, error)
        return None


def _send(view: LoopView, /, *args: object, **kwargs: object) -> object:
    """Run the verb, send what it returns, and finish."""
    handler, plan = view._unblock_target, view._unblock_plan
    value = getattr(handler, plan.verb)(*args, **kwargs)
    lease = current_lease()
    if plan.decision.driven and lease is not None and inspect.iscoroutine(value):
        value = drive(value, lease.portal)
    step = plan.step
    if value is not None:
        value = send(handler, value, step.encoder, step.placement.endpoint.name)
    if value is None:
        auto_finish(handler, step.ends_plainly)
    return value


def _handle(view: LoopView, error: BaseException) -> None:
    """Do in the worker what ``_execute`` does with an error on the loop thread."""
    lease = current_lease()
    if lease is not None and lease.revoked is not None:
        raise error
    handler = view._unblock_target
    answer_error(handler, error)
    # After an error Tornado leaves an unfinished request alone.
    handler._auto_finish = False


def _run_error(view: LoopView, error: BaseException) -> None:
    """Answer an error that the loop thread has caught."""
    try:
        raise error
    except BaseException:  # `log_exception` may ask for what is handled
        _handle(view, error)
    finally:
        del error
