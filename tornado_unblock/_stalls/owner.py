"""Whose a piece of work on the loop is: told by a context variable.

Tornado serves a request in a task of its own; what a handler starts (tasks, callbacks,
timers) runs in a copy of that task's context. So one variable, set where Tornado makes
the handler, tells whose all of it is.

# Threads: `mark` runs on loop threads; all else on the watcher's, which only reads.
# Guarantees:
# - of a request that is over a context keeps the headers, neither body nor handler;
# - what a client sends is cut short, has no control characters, and never is a key.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.routing import PathMatches, Rule, RuleRouter
from tornado.web import Application, RequestHandler, _HandlerDelegate

_VERBS = frozenset(RequestHandler.SUPPORTED_METHODS)
_ID_HEADERS = ("X-Request-Id", "X-Correlation-Id", "X-Trace-Id", "Traceparent")
_ID_ATTRIBUTES = ("request_id", "correlation_id", "trace_id")
# Longer is nobody's path or id, and makes a log line hard to read.
_LONGEST = 200


class Mark(NamedTuple):
    """What is noted of a request. Each makes one, but as a plain tuple."""

    headers: HTTPHeaders
    application: Any
    made_by: Any
    method: Optional[str]
    path: Optional[str]
    # When the request came, by `time.time`.
    came: float


class Owner:
    """A request, as far as one may be named after it is over."""

    __slots__ = (
        *("_application", "_handler_class", "_headers", "_id", "method", "path"),
    )

    def __init__(self, mark: Mark) -> None:
        self._headers, self._application, self._handler_class = mark[:3]
        self.method, self.path, _ = mark[3:]
        # The watcher's: what names the request, once it was asked for.
        self._id: Optional[str] = None

    @property
    def handler_class(self) -> type:
        """The class of its handler."""
        return _class_of(self._handler_class)

    @property
    def verb(self) -> str:
        """The method of the request, if it is one that Tornado knows."""
        return self.method if self.method in _VERBS else ""

    def endpoint(self, method: str = "") -> str:
        """Return the class and the method, such as ``Orders.get``."""
        name = str(self.handler_class.__qualname__)
        method = method or self.verb.lower()
        return f"{name}.{method}" if method else name

    def shown_path(self) -> str:
        """Return the path without its query, fit for a log."""
        return _clean(self.path or "")

    def route(self) -> str:
        """Return the pattern of the URL rule that leads here; "" if none is found."""
        if not isinstance(self._application, Application):
            return ""
        cls, path = self.handler_class, self.path or ""
        found = _route(self._application.default_router, cls, path)
        return found or _route(self._application.wildcard_router, cls, path) or ""

    def request_id(self) -> str:
        """Return what names the request in other logs; "" if nothing does."""
        if self._id is None:
            self._id = _id_in(self._headers)
        return self._id

    def ask(self, request: HTTPServerRequest) -> None:
        """Take the id from the request itself, if it has one."""
        for name in _ID_ATTRIBUTES:
            # No property: it would run the program's code in the watcher.
            value = vars(request).get(name)
            if isinstance(value, (str, int)):
                self._id = _clean(str(value))
                return


marked: contextvars.ContextVar[Mark] = contextvars.ContextVar("tornado_unblock_owner")


class Latest:
    """The request that came last, on any thread."""

    __slots__ = ("mark",)

    def __init__(self) -> None:
        self.mark: Optional[Mark] = None


latest = Latest()


def _class_of(made_by: Any) -> type:
    """Return the class behind what makes a handler: `unblock_application` wraps it."""
    while isinstance(made_by, functools.partial):
        classes = [arg for arg in made_by.args if isinstance(arg, type)]
        made_by = classes[0] if classes else made_by.func
    return made_by if isinstance(made_by, type) else RequestHandler


def _clean(text: str) -> str:
    kept = text[:_LONGEST].encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in kept)


def _id_in(headers: HTTPHeaders) -> str:
    found = (headers.get(name) for name in _ID_HEADERS)
    return _clean(next(filter(None, found), ""))


def _route(router: Any, cls: type, path: str) -> Optional[str]:
    """Return the pattern of the first rule for ``cls`` that ``path`` matches."""
    rules: list[Rule] = list(router.rules) if isinstance(router, RuleRouter) else []
    for rule in rules:
        pattern = ""
        if isinstance(rule.matcher, PathMatches):
            if rule.matcher.regex.match(path) is None:
                continue
            pattern = rule.matcher.regex.pattern.rstrip("$")
        target = rule.target
        if isinstance(target, Application):
            target = target.default_router
        if target is cls:
            return pattern
        found = _route(target, cls, path)
        if found is not None:
            return found
    return None


def owner_in(context: Optional[Mapping[Any, Any]]) -> Optional[Owner]:
    """Return whose what runs in ``context`` is; any thread."""
    mark = None if context is None else context.get(marked)
    return None if mark is None else Owner(mark)


def mark_of(delegate: Any) -> Mark:
    """Return what is noted of the request that ``delegate`` serves."""
    request = delegate.request
    return Mark(
        request.headers,
        delegate.application,
        delegate.handler_class,
        request.method,
        request.path,
        request._start_time,
    )


_own_execute: Any = None


def mark_requests() -> None:
    """Have every request from now on mark what it starts."""
    global _own_execute
    if _own_execute is not None:
        return
    own = _own_execute = _HandlerDelegate.execute
    put, reset, kept = marked.set, marked.reset, latest

    @functools.wraps(own)
    def execute(self: _HandlerDelegate) -> Any:
        request = self.request
        # As `mark_of` does, but without a call: it happens to each request.
        kept.mark = mark = (  # type: ignore[assignment]
            request.headers,
            self.application,
            self.handler_class,
            request.method,
            request.path,
            request._start_time,
        )
        token = put(mark)  # type: ignore[arg-type]
        try:
            return own(self)
        finally:
            reset(token)

    _HandlerDelegate.execute = execute  # type: ignore[method-assign]


def stop_marking() -> None:
    """Undo `mark_requests`."""
    global _own_execute
    own, _own_execute = _own_execute, None
    if own is not None:
        _HandlerDelegate.execute = own  # type: ignore[method-assign]
    latest.mark = None
