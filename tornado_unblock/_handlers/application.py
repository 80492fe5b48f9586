"""`unblock_application`: every handler that an application reaches.

The router's ``find_handler`` is where all roads meet: nested routers, nested
applications, handlers added later, the 404 handler. What it returns is told to
make a view of its handler; handler classes stay as they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional, TypedDict, TypeVar, Union

from tornado.httputil import HTTPServerRequest
from tornado.routing import Router
from tornado.web import RequestHandler, _HandlerDelegate

from tornado_unblock._connection.loop_owned import guard_tornado
from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.registry import AnyExecutor, JSONEncoder
from tornado_unblock._handlers.forms import defer_form
from tornado_unblock._handlers.options import BodyOptions, body_options, class_options
from tornado_unblock._handlers.routes import is_known, may_meet, routes_of
from tornado_unblock._handlers.thread_bound import warn_of_initialize
from tornado_unblock._handlers.whole_request import begin

_App = TypeVar("_App", bound=Router)

Target = Union[str, type[RequestHandler]]


class RouteOptions(TypedDict, total=False):
    """What `unblock_application` takes for a route; as `unblock` does."""

    executor: Optional[AnyExecutor]
    timeout: Optional[float]
    json_encoder: Optional[JSONEncoder]


class _Choice(NamedTuple):
    """The options of the routes that match; None leaves them out."""

    matches: Callable[[str, type[RequestHandler]], bool]
    options: Optional[BodyOptions]


class Unblocking:
    """What was asked of one application."""

    def __init__(self, options: BodyOptions, choices: list[_Choice]) -> None:
        self._options = options
        self._choices = choices

    def options_for(
        self, path: str, cls: type[RequestHandler]
    ) -> Optional[BodyOptions]:
        """Return how requests for ``path`` to ``cls`` run; None: as ever."""
        if class_options(cls) is not None:
            return None  # the class does it itself
        for choice in self._choices:
            if choice.matches(path, cls):
                return choice.options
        return self._options

    def find_handler(
        self, own: Callable[..., Any], request: HTTPServerRequest, **kwargs: Any
    ) -> Any:
        """Find as the application does, and have a view made of the handler."""
        delegate = own(request, **kwargs)
        cls = getattr(delegate, "handler_class", None)
        if isinstance(delegate, _HandlerDelegate) and isinstance(cls, type):
            options = self.options_for(request.path or "", cls)
            if options is not None:
                defer_form(delegate.request)
                make = functools.partial(_make, cls, options)
                delegate.handler_class = make  # type: ignore[assignment]
        return delegate


def _make(
    cls: type[RequestHandler], options: BodyOptions, *args: Any, **kwargs: Any
) -> RequestHandler:
    handler = cls(*args, **kwargs)
    view: Any = begin(handler, options, held=False)
    return handler if view is None else view


def unblock_application(
    app: _App,
    *,
    routes: Optional[Mapping[Target, Optional[RouteOptions]]] = None,
    executor: Optional[AnyExecutor] = None,
    timeout: Optional[float] = None,
    json_encoder: Optional[JSONEncoder] = None,
) -> _App:
    """Have every handler that ``app`` reaches run as a class with `unblock` does.

    Nested routers and applications, handlers added later, Tornado's own
    (errors, redirects, static files) and ``default_handler_class`` are
    included. Classes stay as they are for everybody else; those that are
    unblocked already keep their own options.

    Args:
        app: A `tornado.web.Application`, or any router; before or after
            ``listen``, on any thread while no request is served.
        routes: Options for some: a regular expression that matches the whole
            path, or a handler class with its subclasses, and the options for
            it, or None to leave it out. The first match counts.
        executor: For all others; the default is the global executor.
        timeout: For all others, seconds; as for `unblock`.
        json_encoder: For all others; as for `unblock`.

    Returns:
        ``app``, changed.

    Raises:
        TypeError: ``app`` is no router, or an option makes no sense.
        ConfigurationError: A pattern or a timeout makes no sense, or the application
            has routes and none of them can match a pattern.
    """
    if not isinstance(app, Router):
        raise TypeError(
            f"unblock_application expects a tornado.web.Application, not {app!r}"
        )
    others = body_options(executor, timeout, json_encoder)
    choices = [
        _choice(target, _options_of_route(target, given))
        for target, given in (routes or {}).items()
    ]
    _check_routes(app, routes or {})
    unblocking = Unblocking(others, choices)
    _warn_of_initialize(app, unblocking)
    guard_tornado()
    own = app.find_handler
    app.find_handler = functools.partial(  # type: ignore[method-assign]
        unblocking.find_handler, own
    )
    app._unblocking = unblocking  # type: ignore[attr-defined]
    return app


def _options_of_route(
    target: Target, given: Optional[RouteOptions]
) -> Optional[BodyOptions]:
    if given is None:
        return None
    known = list(RouteOptions.__annotations__)
    for name in given:
        if name not in known:
            raise TypeError(
                f"unblock_application(routes={{{target!r}: ...}}) has no option "
                f"{name!r}; it takes {', '.join(known)}"
            )
    return body_options(**given)


def _check_routes(app: Router, asked: Iterable[Target]) -> None:
    """Refuse a pattern that can match none of what ``app`` serves."""
    there = [route.pattern for route in routes_of(app) if route.matcher is not None]
    if not (there and is_known(app)):
        return
    for target in asked:
        if isinstance(target, str) and not any(may_meet(target, p) for p in there):
            raise ConfigurationError(
                f"routes: {target!r} matches none of the application's routes, which "
                f"are {', '.join(map(repr, there))}; if its own is added later, call "
                "unblock_application after that"
            )


def _warn_of_initialize(app: Router, unblocking: Unblocking) -> None:
    classes = {
        route.target: None
        for route in routes_of(app)
        if isinstance(route.target, type)
        and issubclass(route.target, RequestHandler)
        and unblocking.options_for(route.sample(), route.target) is not None
    }
    for cls in classes:
        warn_of_initialize(cls, stacklevel=3)


def _choice(target: Target, options: Optional[BodyOptions]) -> _Choice:
    if isinstance(target, str):
        try:
            pattern = re.compile(target)
        except re.error as error:
            raise ConfigurationError(
                f"routes: {target!r} is no regular expression: {error}"
            ) from None
        return _Choice(lambda path, _: pattern.fullmatch(path) is not None, options)
    if isinstance(target, type) and issubclass(target, RequestHandler):
        wanted = target
        return _Choice(lambda _, cls: issubclass(cls, wanted), options)
    raise TypeError(
        f"routes: expected a path's regular expression or a handler class, "
        f"not {target!r}"
    )
