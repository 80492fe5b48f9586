"""How the bodies of a case run.

A mode makes the application of a case. Inline is the measure of all others; a new
one is one more function in `MODES`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Callable
from unittest import mock

from tornado.web import Application, RequestHandler

from tests.conformance.runner import AWAITED_HOOKS, VERBS, Bodies, sync_methods
from tests.differential.table import Case, Decorator, Method
from tornado_unblock import unblock, unblock_application


def application(case: Case, place: Decorator) -> Application:
    """Return a fresh application of ``case``, its own decorators being ``place``."""
    site = case.site(place) if case.places else case.site()
    routes, settings = site if isinstance(site, tuple) else (site, {})
    if not isinstance(routes, list):
        routes = [("/.*", routes)]
    return Application(routes, **{**case.settings, **settings})


def inline(
    case: Case,
    bodies: Bodies,
    *,
    names: Sequence[str] = VERBS,
    method: Decorator = lambda fn: fn,
    each_class: Callable[[type[RequestHandler]], object] = lambda cls: cls,
) -> Application:
    """Return the application with its bodies counted, and changed no further.

    Args:
        case: What to serve.
        bodies: Counts the calls of sync methods among ``names``.
        names: Which methods.
        method: Put on each of them, or where the case places it.
        each_class: Called with each handler class.
    """

    def place(fn: Method) -> Method:
        return method(bodies.counted(fn))

    made: list[type[RequestHandler]] = []
    with classes_made(made):
        app = application(case, place)
    for cls in made:
        if not case.places:
            for name, fn in sync_methods(cls, names):
                setattr(cls, name, place(fn))
        each_class(cls)
    return app


def verbs(case: Case, bodies: Bodies) -> Application:
    """Put ``@unblock`` on each verb."""
    return inline(case, bodies, method=unblock)


def hooks(case: Case, bodies: Bodies) -> Application:
    """Put ``@unblock`` on each method that Tornado awaits."""
    return inline(case, bodies, names=VERBS + AWAITED_HOOKS, method=unblock)


def classes(case: Case, bodies: Bodies) -> Application:
    """Put ``@unblock`` on each class."""
    return inline(case, bodies, each_class=unblock)


def whole_application(case: Case, bodies: Bodies) -> Application:
    """Unblock the application, and no class."""
    return unblock_application(inline(case, bodies))


MODES: dict[str, Callable[[Case, Bodies], Application]] = {
    "inline": inline,
    "verbs": verbs,
    "hooks": hooks,
    "class": classes,
    "application": whole_application,
}


@contextlib.contextmanager
def classes_made(made: list[type[RequestHandler]]) -> Iterator[None]:
    """Have every handler class that is made meanwhile put into ``made``."""

    def __init_subclass__(cls: type[RequestHandler], **kwargs: Any) -> None:
        super(RequestHandler, cls).__init_subclass__(**kwargs)
        made.append(cls)

    with mock.patch.object(
        RequestHandler, "__init_subclass__", classmethod(__init_subclass__)
    ):
        yield
