"""What of each route runs where, and why: `report`."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tornado.routing import Router
from tornado.web import FallbackHandler, RequestHandler

from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.options import DEFAULT
from tornado_unblock._executors.registry import AnyExecutor, executor_name
from tornado_unblock._handlers.application import Unblocking
from tornado_unblock._handlers.methods import VERBS, is_socket_class
from tornado_unblock._handlers.options import BodyOptions, class_options
from tornado_unblock._handlers.plan import (
    Decision,
    decide,
    decorated_options,
    options_of_method,
)
from tornado_unblock._handlers.routes import Route, routes_of
from tornado_unblock._handlers.wsgi import is_on_loop

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
        executor = _executor_name(options.executor)
        return _row(route, name, "*", why=why, body="worker", executor=executor)
    why = f"{_ON_LOOP} it passes the request on to {type(fallback).__name__}"
    return _row(route, name, "*", why=why)


def _executor_name(executor: Optional[AnyExecutor]) -> str:
    if executor is None or isinstance(executor, str):
        return executor or DEFAULT
    return executor_name(executor)


def _verb_row(
    route: Route,
    cls: type[RequestHandler],
    verb: str,
    options: Optional[BodyOptions],
    left_out: str,
) -> RouteReport:
    decision = Decision(left_out, others_hop=False)
    if options is not None:
        # What has no verbs of its own runs `prepare` before each.
        decision = decide(cls, "get" if verb == "*" else verb)
    own = decorated_options(cls, verb)
    prepare = decision.prepare_hops or decorated_options(cls, "prepare") is not None
    body = decision.verb_hops or own is not None
    if is_socket_class(cls) and decision.others_hop:
        body = True
    why = decision.why
    if not (decision.verb_hops or decision.prepare_hops or decision.others_hop):
        why = f"{_ON_LOOP} {why}"
    if own is not None and not decision.verb_hops:
        why = "@unblock is on the method"
    chosen = options_of_method(cls, verb) or own or options
    executor = _executor_name(chosen.executor if chosen is not None else None)
    return _row(
        route,
        cls.__qualname__,
        verb.upper(),
        prepare="worker" if prepare else "loop",
        body="worker" if body else "loop",
        executor=executor if prepare or body else "",
        why=why,
    )


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
