"""What of each route runs where, and why: `report`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import NamedTuple, Optional

from tornado.routing import Router
from tornado.web import FallbackHandler, RequestHandler

from tornado_unblock._executors.functions import describe, is_async
from tornado_unblock._executors.options import DEFAULT
from tornado_unblock._executors.registry import executor_name
from tornado_unblock._handlers.application import Unblocking
from tornado_unblock._handlers.methods import (
    SOCKET_HOOKS,
    VERBS,
    hooks_of,
    is_socket_class,
)
from tornado_unblock._handlers.options import BodyOptions, class_options
from tornado_unblock._handlers.plan import (
    Decision,
    below,
    decide,
    decorated_methods,
    options_of_method,
)
from tornado_unblock._handlers.routes import Route, routes_of
from tornado_unblock._handlers.running_loop import shows_loop
from tornado_unblock._handlers.wsgi import is_on_loop

# The options of the methods that have `unblock` on them.
_Decorated = Mapping[str, BodyOptions]

_ON_LOOP = "on the loop, because"


class RouteReport(NamedTuple):
    """Where one verb of one route runs."""

    path: str
    handler: str
    verb: str
    prepare: str
    body: str
    executor: str
    why: str


def report(app: Router) -> list[RouteReport]:
    """Return what `unblock_application` makes of each route; any thread.

    Args:
        app: The application.

    Returns:
        A row for each route and each verb that its class defines: what of it runs
        in a ``"worker"`` or on the ``"loop"``, and why. What serves all verbs alike
        has one row, for ``"*"``. `format_report` makes a table of the rows.
    """
    unblocking: Optional[Unblocking] = getattr(app, "_unblocking", None)
    return [row for route in routes_of(app) for row in _rows(unblocking, route)]


def format_report(rows: list[RouteReport]) -> str:
    """Return ``rows`` as a table of text."""
    table = [RouteReport._fields, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in table
    )
    return "\n".join(lines)


def _rows(unblocking: Optional[Unblocking], route: Route) -> list[RouteReport]:
    cls = route.target
    if not (isinstance(cls, type) and issubclass(cls, RequestHandler)):
        why = f"{_ON_LOOP} it is no RequestHandler"
        return [_row(route, describe(cls), "*", why=why)]
    options = class_options(cls)
    if options is None and unblocking is not None:
        options = unblocking.options_for(route.sample(), cls)
    left_out = "it is not unblocked" if unblocking is None else "it is left out"
    if issubclass(cls, FallbackHandler):
        return [_fallback_row(route, cls, options, left_out)]
    verbs = [
        verb
        for verb in sorted(VERBS)
        if getattr(cls, verb) is not RequestHandler._unimplemented_method
    ]
    return [_verb_row(route, cls, verb, options, left_out) for verb in verbs or ["*"]]


def _fallback_row(
    route: Route,
    cls: type[FallbackHandler],
    options: Optional[BodyOptions],
    left_out: str,
) -> RouteReport:
    fallback = route.kwargs.get("fallback")
    name = cls.__qualname__
    if options is None:
        return _row(route, name, "*", why=f"{_ON_LOOP} {left_out}")
    if decide(cls, "get").passes_on and is_on_loop(fallback):
        why = "its WSGI application runs in a worker"
        executor = _executor_name(options)
        return _row(route, name, "*", why=why, body="worker", executor=executor)
    why = f"{_ON_LOOP} it passes the request on to {type(fallback).__name__}"
    return _row(route, name, "*", why=why)


def _verb_row(
    route: Route,
    cls: type[RequestHandler],
    verb: str,
    options: Optional[BodyOptions],
    left_out: str,
) -> RouteReport:
    # What has no verbs of its own runs `prepare` before each.
    name = "get" if verb == "*" else verb
    decision = Decision(left_out, others_hop=False)
    if options is not None:
        decision = decide(cls, name)
    decorated = decorated_methods(cls)
    hooks = _hooks(cls, decision, decorated)
    prepare = decision.prepare_hops or "prepare" in decorated
    body = bool(decision.verb_hops or name in decorated or hooks)
    why = _why(decision, name, decorated, hooks)
    if body and not hooks and not decision.driven and _is_async_below(cls, name):
        body = False
        why = "its verb is a coroutine below a decorator, which runs in a worker"
    if body and _sees_loop(cls, name, decision, hooks):
        why += "; it sees the running loop"
    executor = ""
    if body or prepare or decision.verb_hops:
        executor = _executor_name(_chosen(cls, name, options, decision, decorated))
    return _row(
        route,
        cls.__qualname__,
        verb.upper(),
        prepare="worker" if prepare else "loop",
        body="worker" if body else "loop",
        executor=executor,
        why=why,
    )


def _sees_loop(
    cls: type[RequestHandler], name: str, decision: Decision, hooks: list[str]
) -> bool:
    """Whether what runs in workers finds the application's loop running there."""
    if hooks:
        return any(shows_loop(cls, hook) for hook in hooks)
    shares = ("prepare", "on_finish") if decision.together else ()
    return shows_loop(cls, name, *shares)


def _hooks(
    cls: type[RequestHandler], decision: Decision, decorated: _Decorated
) -> list[str]:
    """Return the hooks of a WebSocket that hop; of others they are not the body."""
    if not is_socket_class(cls):
        return []
    moved = hooks_of(cls) if decision.others_hop else ()
    return sorted({*moved, *(SOCKET_HOOKS & decorated.keys())})


def _why(decision: Decision, name: str, decorated: _Decorated, hooks: list[str]) -> str:
    moved = decision.verb_hops or decision.prepare_hops
    if moved or (hooks and decision.others_hop):
        why = decision.why
    elif hooks:
        why = "a WebSocket"
    elif name in decorated:
        why = "@unblock is on the method"
    elif decision.others_hop:
        why = f"{_ON_LOOP} it is a WebSocket without sync hooks"
    else:
        why = f"{_ON_LOOP} {decision.why}"
    # Elsewhere these run in the hop that there is.
    others = sorted(decorated.keys() - VERBS)
    if others and not (decision.verb_hops or name in decorated):
        why += f"; @unblock is on {', '.join(others)}"
    return why


def _is_async_below(cls: type[RequestHandler], name: str) -> bool:
    """Whether a decorator that is sync itself stands around a coroutine."""
    method = inspect.getattr_static(cls, name, None)
    while method is not None and not is_async(method):
        method = below(method)
    return method is not None


def _chosen(
    cls: type[RequestHandler],
    name: str,
    options: Optional[BodyOptions],
    decision: Decision,
    decorated: _Decorated,
) -> Optional[BodyOptions]:
    """Return the options that count where more than one `unblock` is at work."""
    if decision.verb_hops or decision.prepare_hops or decision.others_hop:
        return options_of_method(cls, name) or options
    first = next(iter(decorated.values()), None)
    return decorated.get(name) or decorated.get("prepare") or first


def _executor_name(options: Optional[BodyOptions]) -> str:
    executor = None if options is None else options.executor
    if executor is None or isinstance(executor, str):
        return executor or DEFAULT
    return executor_name(executor)


def _row(
    route: Route,
    handler: str,
    verb: str,
    *,
    why: str,
    prepare: str = "loop",
    body: str = "loop",
    executor: str = "",
) -> RouteReport:
    return RouteReport(
        path=route.pattern,
        handler=handler,
        verb=verb,
        prepare=prepare,
        body=body,
        executor=executor,
        why=why,
    )
