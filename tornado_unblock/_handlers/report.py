"""What of each route runs where, and why: `report`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional

from tornado.routing import PathMatches, Router, Rule, RuleRouter
from tornado.web import Application, RequestHandler

from tornado_unblock._executors.options import DEFAULT
from tornado_unblock._executors.registry import AnyExecutor, executor_name
from tornado_unblock._handlers.application import Unblocking
from tornado_unblock._handlers.methods import VERBS
from tornado_unblock._handlers.options import class_options
from tornado_unblock._handlers.plan import decide, options_of_method


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
        A row for each route and verb that its class defines: what of it runs
        in a ``"worker"`` or on the ``"loop"``, and why. `str` of the list's rows
        joined by lines makes a table; see `format_report`.
    """
    unblocking: Optional[Unblocking] = getattr(app, "_unblocking", None)
    rows: list[RouteReport] = []
    for path, cls in _walk(app, ""):
        rows.extend(_rows(unblocking, path, cls))
    return rows


def format_report(rows: list[RouteReport]) -> str:
    """Return ``rows`` as a table of text."""
    table = [RouteReport._fields, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in table
    )
    return "\n".join(lines)


def _walk(router: Any, prefix: str) -> list[tuple[str, type[RequestHandler]]]:
    found: list[tuple[str, type[RequestHandler]]] = []
    if isinstance(router, Application):
        found += _walk(router.default_router, prefix)
        default = router.settings.get("default_handler_class")
        if default is not None:
            found.append(("(no route)", default))
    elif isinstance(router, RuleRouter):
        for rule in router.rules:
            found += _walk_rule(rule, prefix)
    return found


def _walk_rule(rule: Rule, prefix: str) -> list[tuple[str, type[RequestHandler]]]:
    path = prefix
    if isinstance(rule.matcher, PathMatches):
        path += rule.matcher.regex.pattern
    if isinstance(rule.target, type) and issubclass(rule.target, RequestHandler):
        return [(path, rule.target)]
    return _walk(rule.target, path)


def _name(executor: AnyExecutor) -> str:
    return executor if isinstance(executor, str) else executor_name(executor)


def _rows(
    unblocking: Optional[Unblocking], path: str, cls: type[RequestHandler]
) -> list[RouteReport]:
    sample = re.sub(r"[\^$]", "", path)
    rows = []
    for verb in sorted(VERBS):
        if getattr(cls, verb) is RequestHandler._unimplemented_method:
            continue
        options = class_options(cls)
        if options is None and unblocking is not None:
            options = unblocking.options_for(sample, cls)
        where = decide(cls, verb)
        if options is None:
            why = "not unblocked" if unblocking is None else "left out"
            prepare, body, executor = "loop", "loop", ""
        else:
            own = options_of_method(cls, verb) or options
            prepare = "worker" if where.prepare_hops else "loop"
            body = "worker" if where.verb_hops else "loop"
            executor = _name(own.executor or DEFAULT)
            why = where.why
        rows.append(
            RouteReport(
                path, cls.__qualname__, verb.upper(), prepare, body, executor, why
            )
        )
    return rows
