"""The view of a handler that Tornado's own code holds, and through which it calls hops.

A hop that stood on the handler could be seen there by the user's code, and would hide
what a decorator has left on a method. So it stands on a view, an object that Tornado
takes for the handler. What the plan of the request names is a hop there; all else is
the handler's own. The user's methods are bound to the handler, and never see a view.

# Threads: a view is the loop thread's. A worker reads what was set before it was given
# the handler, and what it sets is read when it has given it back.
# Guarantees: nothing of a hop is in `vars(handler)`, in `dir(handler)` or on its class,
# and a hop looks like the method in whose place it is.
"""

from __future__ import annotations

import concurrent.futures
import functools
import inspect
import operator
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional, SupportsIndex, Union

from tornado.web import HTTPError, RequestHandler

from tornado_unblock._handlers.methods import VERBS
from tornado_unblock._handlers.plan import RequestPlan
from tornado_unblock._loop.lease import running_loop

HopFunction = Callable[..., object]


class _StandIn:
    """Looks like its target in all but its slots, whose names nothing else has."""

    __slots__ = ("__weakref__", "_unblock_target")

    _unblock_target: Any

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._unblock_target)

    @property
    def __dict__(self) -> object:  # type: ignore[override]
        return self._unblock_target.__dict__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unblock_target, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._unblock_target, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._unblock_target, name)

    def __dir__(self) -> Iterable[str]:
        return dir(self._unblock_target)

    def __eq__(self, other: object) -> bool:
        if issubclass(type(other), _StandIn):
            other = object.__getattribute__(other, "_unblock_target")
        return bool(self._unblock_target == other)

    def __hash__(self) -> int:
        return hash(self._unblock_target)

    def __repr__(self) -> str:
        return repr(self._unblock_target)

    def __str__(self) -> str:
        return str(self._unblock_target)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Union[str, tuple[Any, ...]]:
        target: object = self._unblock_target
        return target.__reduce_ex__(protocol)


def _transparent(cls: type[_StandIn]) -> None:
    """Have instances show the texts of their target that classes show by themselves."""
    texts: Any = cls
    texts.__annotations__ = property(lambda self: self._unblock_target.__annotations__)
    texts.__doc__ = property(lambda self: self._unblock_target.__doc__)
    texts.__module__ = property(lambda self: self._unblock_target.__module__)


class MethodHop(_StandIn):
    """A hop in the place of a bound method, with its name, attributes and all."""

    __slots__ = ("_unblock_hop",)

    _unblock_hop: Callable[..., object]

    def __init__(self, method: object, hop: Callable[..., object]) -> None:
        _set_method(self, method)
        _set_hop(self, hop)

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        return self._unblock_hop(*args, **kwargs)


class Answer(NamedTuple):
    """What a worker has answered before Tornado asks."""

    question: object
    outcome: concurrent.futures.Future[object]


_NO_ANSWERS: Mapping[str, Answer] = {}


class LoopView(_StandIn):
    """What Tornado's own code holds in place of a handler.

    Attributes:
        _unblock_target: The handler.
        _unblock_plan: What of it hops.
        _unblock_hops: The hops, by the name of the method. They are called with the
            view, that name and the arguments.
        _unblock_ran: Whether the verb has run in the hop of ``prepare``.
        _unblock_answers: What Tornado will ask, by the name of the method.
        _unblock_within: The names of the methods on the class that stand in for hops
            and are running; set where there are such.
    """

    __slots__ = (
        *("_unblock_answers", "_unblock_hops", "_unblock_plan", "_unblock_ran"),
        "_unblock_within",
    )

    _unblock_target: RequestHandler
    _unblock_plan: RequestPlan
    _unblock_hops: Mapping[str, HopFunction]
    _unblock_ran: bool
    _unblock_answers: Mapping[str, Answer]
    _unblock_within: set[str]

    def __init__(
        self,
        handler: RequestHandler,
        plan: RequestPlan,
        hops: Mapping[str, HopFunction],
    ) -> None:
        _set_handler(self, handler)
        _set_plan(self, plan)
        _set_hops(self, hops)
        _set_ran(self, False)
        _set_answers(self, _NO_ANSWERS)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._unblock_target, name)
        hop = self._unblock_hops.get(name)
        if hop is None:
            return value
        return MethodHop(value, functools.partial(hop, self, name))


def _get_hop(view: LoopView, name: str) -> object:
    return LoopView.__getattr__(view, name)


# What Tornado asks each handler for: a look at the class that finds nothing costs ten
# times as much as one that finds a property.
_OFTEN = (
    *("SUPPORTED_METHODS", "_auto_finish", "_cross_origin_protection", "_finished"),
    *("_prepared_future", "check_xsrf_cookie", "decode_argument", "request"),
)
for _name in _OFTEN:
    _get = operator.attrgetter(f"_unblock_target.{_name}")
    setattr(LoopView, _name, property(_get))
for _name in ("_execute", "prepare", "finish", *VERBS):
    setattr(LoopView, _name, property(functools.partial(_get_hop, name=_name)))


class EarlyView(LoopView):
    """A view that keeps an error from before ``prepare``, to be raised there.

    Tornado awaits nothing before that, and so no worker that answers an error.

    Attributes:
        _unblock_early: The first error.
    """

    __slots__ = ("_unblock_early",)

    _unblock_early: Optional[Exception]

    def __init__(
        self,
        handler: RequestHandler,
        plan: RequestPlan,
        hops: Mapping[str, HopFunction],
    ) -> None:
        LoopView.__init__(self, handler, plan, hops)
        _set_early(self, None)

    @property
    def SUPPORTED_METHODS(self) -> Any:
        """What Tornado looks up the request's method in, first of all."""
        own = self._unblock_target.SUPPORTED_METHODS
        method = self._unblock_target.request.method
        if method in own:
            return own
        _set_early(self, HTTPError(405))
        return (method,)


def _check(name: str, view: EarlyView) -> Callable[..., object]:
    own: Callable[..., object] = getattr(view._unblock_target, name)

    def check(*args: object, **kwargs: object) -> object:
        if view._unblock_early is None:
            try:
                return own(*args, **kwargs)
            except Exception as error:
                _set_early(view, error)
        return None  # what comes of it is not looked at before `prepare`

    return check


for _name in ("_cross_origin_protection", "check_xsrf_cookie", "decode_argument"):
    setattr(EarlyView, _name, property(functools.partial(_check, _name)))

# Around `__setattr__`, which sets what the target has.
_slots: dict[str, Any] = {}
for _cls in (_StandIn, MethodHop, LoopView, EarlyView):
    _slots.update(vars(_cls))
_set_early = _slots["_unblock_early"].__set__
_set_method = _set_handler = _slots["_unblock_target"].__set__
_set_hop = _slots["_unblock_hop"].__set__
_set_hops = _slots["_unblock_hops"].__set__
_set_plan = _slots["_unblock_plan"].__set__
_set_ran = _slots["_unblock_ran"].__set__
_set_answers = _slots["_unblock_answers"].__set__
_set_within = _slots["_unblock_within"].__set__

_transparent(MethodHop)
_transparent(LoopView)
_transparent(EarlyView)


def set_ran(view: LoopView) -> None:
    """Take note that the verb has run: Tornado will call it next."""
    _set_ran(view, True)


def take_early(view: EarlyView) -> Optional[Exception]:
    """Return the error from before ``prepare``, if there is one, and let go of it."""
    error = view._unblock_early
    if error is not None:
        _set_early(view, None)
    return error


def set_answers(view: LoopView, answers: Mapping[str, Answer]) -> None:
    """Take note of what was answered before Tornado asks."""
    _set_answers(view, answers)


# --- where Tornado has the handler itself -----------------------------------------

# By the handler's id, which is its own while its view lives.
_views: weakref.WeakValueDictionary[int, LoopView] = weakref.WeakValueDictionary()


def find_by_handler(view: LoopView) -> None:
    """Have the methods that `intercept` stands before find ``view`` by its handler."""
    _set_within(view, set())
    _views[id(view._unblock_target)] = view


def intercept(cls: type[RequestHandler], name: str) -> None:
    """Stand before a method of ``cls`` that Tornado calls on handlers, not on views."""
    own = inspect.getattr_static(cls, name)
    if not isinstance(own, _Intercepted):
        setattr(cls, name, _Intercepted(own, name))


class _Intercepted:
    """A method that is a hop on the loop thread, for handlers that have a view there.

    For all others, in workers, for whoever looks at the class, and for what it calls
    itself, it is the plain method.
    """

    def __init__(self, own: Any, name: str) -> None:
        self._own = own
        self._name = name

    def __get__(self, handler: Optional[RequestHandler], cls: Optional[type]) -> object:
        own, name = self._own, self._name
        if hasattr(type(own), "__get__"):
            own = own.__get__(handler, cls)
        if handler is None or running_loop() is None:
            return own
        view = _views.get(id(handler))
        if view is None or name in view._unblock_within:
            return own
        return MethodHop(own, functools.partial(_hop_within, view, name, own))


def _hop_within(
    view: LoopView,
    name: str,
    own: Callable[..., object],
    /,
    *args: object,
    **kwargs: object,
) -> object:
    if running_loop() is None:
        return own(*args, **kwargs)  # looked up on the loop thread, called in a worker
    view._unblock_within.add(name)
    try:
        return view._unblock_hops[name](view, name, *args, **kwargs)
    finally:
        view._unblock_within.discard(name)
