"""`unblock_application`: every handler that an application reaches.

The router's ``find_handler`` is where all roads meet: nested routers, nested
applications, handlers added later, the 404 handler. What it returns is told to
make a view of its handler; handler classes stay as they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Callable, NamedTuple, Optional, TypedDict, TypeVar, Union

from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import ErrorHandler, RequestHandler, _HandlerDelegate

from tornado_unblock._connection.loop_owned import guard_tornado
from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.registry import AnyExecutor, JSONEncoder, check_known
from tornado_unblock._handlers.forms import defer_form
from tornado_unblock._handlers.options import BodyOptions, body_options, class_options
from tornado_unblock._handlers.plan import own_options
from tornado_unblock._handlers.routes import (
    NO_ROUTE,
    Route,
    is_known,
    may_meet,
    routes_of,
)
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
        self,
        own: Callable[..., Optional[HTTPMessageDelegate]],
        request: HTTPServerRequest,
        **kwargs: object,
    ) -> Optional[HTTPMessageDelegate]:
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
    cls: Callable[..., RequestHandler],
    options: BodyOptions,
    *args: object,
    **kwargs: object,
) -> object:
    handler = cls(*args, **kwargs)
    view = begin(handler, options, held=False)
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
            has routes and none of them can match a pattern, or is of a class.
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
    _check_classes(app, unblocking)
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
    """Refuse what can be meant for nothing of what ``app`` serves."""
    there = [route for route in routes_of(app) if route.pattern != NO_ROUTE]
    if not (there and is_known(app)):
        return
    for target in asked:
        if not any(_may_serve(route, target) for route in there):
            name = target.__qualname__ if isinstance(target, type) else repr(target)
            listed = ", ".join(
                f"{route.pattern!r} ({describe(route.target)})" for route in there
            )
            raise ConfigurationError(
                f"routes: {name} matches none of the application's routes, which "
                f"are {listed}; if its own is added later, call "
                "unblock_application after that"
            )


def _may_serve(route: Route, target: Target) -> bool:
    if isinstance(target, str):
        # A pattern that Tornado was given compiled may have flags of its own.
        flags = 0 if route.matcher is None else route.matcher.regex.flags
        return bool(flags & re.IGNORECASE) or may_meet(target, route.pattern)
    # Tornado answers with these itself, where there is no route.
    return issubclass(target, ErrorHandler) or (
        isinstance(route.target, type) and issubclass(route.target, target)
    )


def _check_classes(app: Router, unblocking: Unblocking) -> None:
    """Look at what the classes of the routes do, and at their own executors."""
    classes: dict[type[RequestHandler], bool] = {}
    for route in routes_of(app):
        cls = route.target
        if isinstance(cls, type) and issubclass(cls, RequestHandler):
            moved = unblocking.options_for(route.sample(), cls) is not None
            classes[cls] = moved or classes.get(cls, False)
    for cls, moved in classes.items():
        for options in own_options(cls):
            check_known(options.executor)
        if moved:
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
