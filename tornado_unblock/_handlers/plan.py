"""What of a handler class runs where: decided once for each class and verb.

Both forms are planned here: a decorated method alone (`plan_step`), and the request
as a whole (`RequestPlan`, which is such steps, and what lies between them).

# Threads: `decide` runs on any, all else on the loop thread.
# Guarantees: what is kept depends on classes and their methods alone, never on what
# a request says.
"""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from tornado import web
from tornado.web import RequestHandler

from tornado_unblock._executors.functions import is_async
from tornado_unblock._executors.registry import JSONEncoder, resolve_executor
from tornado_unblock._handlers.methods import (
    ASKED_AHEAD,
    END,
    ERROR_PAGE,
    NOT_AWAITED,
    VERBS,
    base_of,
    hooks_of,
    is_socket_class,
    overridden,
)
from tornado_unblock._handlers.options import BodyOptions, class_options
from tornado_unblock._handlers.running_loop import shows_loop
from tornado_unblock._limits.placement import Placement, placement
from tornado_unblock._loop.portal import Portal

_PASSES_ON = (
    "it passes the request on; a WSGI application runs in a worker, if nobody has "
    "given its container an executor"
)


_WAITS_FOR_ITS_CLIENT = "its coroutine awaits only what it sends"


MOST_PLANS = 4096
"""How many plans a loop keeps; classes that are made for a request never end."""


def make_room(kept: dict[Any, Any]) -> None:
    """Forget all plans where there is no room for more: they are soon made again."""
    if len(kept) >= MOST_PLANS:
        kept.clear()


class Decision(NamedTuple):
    """What of a class hops when it serves a verb, and why; always built by keyword."""

    why: str
    prepare_hops: bool = False
    verb_hops: bool = False
    # prepare, verb and finish share a hop.
    together: bool = False
    # Whether the verb is a coroutine that awaits only what it sends.
    driven: bool = False
    # Whether sync hooks and error pages hop, too.
    others_hop: bool = True
    # Whether it has Tornado's own `prepare` of a FallbackHandler.
    passes_on: bool = False


class Step(NamedTuple):
    """One method of a handler class, as it runs on workers."""

    name: str
    placement: Placement
    # Whether Tornado looks at what it returns.
    awaited: bool
    # Whether what it returns is sent; of other methods it is for the caller.
    sends: bool
    # What encodes that; None for the one that is configured.
    encoder: Optional[JSONEncoder]
    # Whether Tornado calls it with nothing in between, and so finishes next.
    finishes: bool
    # Whether nothing but Tornado's own code runs when it finishes.
    ends_plainly: bool
    socket: bool


class RequestPlan(NamedTuple):
    """What of one verb of one handler class hops."""

    decision: Decision
    # The verb's lower-case name; empty where the class does not have it.
    verb: str
    # The verb's own; without a verb, what errors run as.
    step: Step
    # Other methods that hop.
    hooks: Mapping[str, Step]
    # Whether errors are answered in a worker.
    errors_hop: bool
    socket: bool
    # Whether more than one hop may be for the same thread.
    thread_bound: bool

    @property
    def moves(self) -> bool:
        """Whether anything hops."""
        return bool(
            self.decision.prepare_hops
            or self.decision.passes_on
            or self.decision.verb_hops
            or self.hooks
            or self.errors_hop
        )


def make_plan(
    portal: Portal, cls: type[RequestHandler], verb: str, options: BodyOptions
) -> RequestPlan:
    """Decide what of ``cls`` hops when it serves ``verb``."""
    options = options_of_method(cls, verb) or options
    decision = decide(cls, verb)
    hooks = hooks_of(cls) if decision.others_hop else ()
    errors_hop = decision.others_hop and bool(overridden(cls, ERROR_PAGE))
    thread_bound = (
        errors_hop
        or "data_received" in hooks
        or (decision.verb_hops and bool(overridden(cls, ("prepare",))))
    )
    return RequestPlan(
        decision=decision,
        verb=verb,
        step=plan_step(
            portal,
            cls,
            verb or "write_error",
            options,
            sends=True,
            finishes=True,
            shares=("prepare", "on_finish") if decision.together else (),
        ),
        hooks={
            name: plan_step(portal, cls, name, options, sends=False, finishes=False)
            for name in hooks
        },
        errors_hop=errors_hop,
        socket=is_socket_class(cls),
        thread_bound=thread_bound,
    )


def plan_step(
    portal: Portal,
    cls: type[RequestHandler],
    name: str,
    options: BodyOptions,
    *,
    sends: bool,
    finishes: bool,
    shares: tuple[str, ...] = (),
    shown_as: str = "",
) -> Step:
    """Return how the method called ``name`` of ``cls`` runs on workers.

    Args:
        portal: The way to the loop.
        cls: The class of the handler.
        name: The method's.
        options: How it runs.
        sends: Whether what it returns is sent.
        finishes: Whether Tornado finishes next.
        shares: Other methods that run in the same hop.
        shown_as: What its endpoint has instead of its name, if anything.
    """
    return Step(
        name=name,
        placement=placement(
            portal,
            resolve_executor(options.executor),
            f"{cls.__qualname__}.{shown_as or name}",
            options.timeout,
            shows_loop(cls, name, *shares),
        ),
        awaited=name not in NOT_AWAITED,
        sends=sends,
        encoder=options.json_encoder,
        finishes=finishes,
        ends_plainly=ends_plainly(cls),
        socket=is_socket_class(cls),
    )


def plan_method(
    portal: Portal,
    cls: type[RequestHandler],
    verb: str,
    function: str,
    options: BodyOptions,
) -> Step:
    """Return how a decorated method runs while ``cls`` serves ``verb``.

    Args:
        portal: The way to the loop.
        cls: The class of the handler.
        verb: What the request asks for, or empty where the class does not have it.
        function: The name of what is decorated. What it does for Tornado is told by
            the name under which the class has it.
        options: The method's own; no other has the same object.
    """
    serving = inspect.getattr_static(cls, verb, None)
    under = getattr(serving, "__wrapped__", None)
    # Another decorator above it may show its options, as that of wrapt does.
    finishes = _options(serving) is options and _options(under) is not options
    names = [n for n, own in decorated_methods(cls).items() if own is options]
    name = verb if finishes else function
    if names and name not in names:
        name = names[0]
    return plan_step(
        portal,
        cls,
        name,
        options,
        sends=finishes or name in VERBS,
        finishes=finishes,
        shown_as=function,
    )


def verb_of(cls: type[RequestHandler], method: Optional[str]) -> str:
    """Return the verb that a request's ``method`` selects of ``cls``.

    What a client sends selects nothing else: it is no attribute's name and no key
    before it has been looked up here.

    Returns:
        Its name in lower case; empty where ``cls`` does not serve it.
    """
    if method is None or method not in cls.SUPPORTED_METHODS:
        return ""
    verb = method.lower()
    return verb if getattr(cls, verb, None) is not None else ""


def decide(cls: type[RequestHandler], verb: str) -> Decision:
    """Decide where ``prepare`` and the verb of ``cls`` run, and say why; any thread."""
    if issubclass(cls, web.FallbackHandler):
        own = cls.prepare is web.FallbackHandler.prepare
        return Decision(_PASSES_ON, others_hop=False, passes_on=own)
    if is_socket_class(cls):
        return _decide_socket(cls)
    if getattr(cls, verb, None) is None:
        sync = overridden(cls, tuple(VERBS))
        return Decision("Tornado answers 405 itself", others_hop=bool(sync))
    driven = (
        issubclass(cls, web.StaticFileHandler)
        and cls.get is web.StaticFileHandler.get
        and verb in ("get", "head")
    )
    if is_async(getattr(cls, verb)) and not driven:
        return Decision(
            "its verb is a coroutine: unblock the sync methods that block",
            others_hop=False,
        )
    if is_async(cls.prepare):
        why = "its prepare is a coroutine"
        return Decision(why, verb_hops=True, driven=driven)
    if cls._stream_request_body:
        return Decision(
            "its body is streamed in between",
            prepare_hops=bool(overridden(cls, ("prepare",))),
            verb_hops=True,
            driven=driven,
        )
    return Decision(
        _WAITS_FOR_ITS_CLIENT if driven else "all of it is sync",
        prepare_hops=True,
        verb_hops=True,
        together=True,
        driven=driven,
    )


def _decide_socket(cls: type[RequestHandler]) -> Decision:
    if cls.get is not base_of(cls).get and not is_async(cls.get):
        return Decision(
            "a WebSocket: a sync get, then its hooks hop",
            prepare_hops=True,
            verb_hops=True,
            together=not is_async(cls.prepare),
        )
    asks = overridden(cls, ("prepare", *ASKED_AHEAD))
    return Decision(
        "a WebSocket: its hooks hop",
        prepare_hops=bool(asks) and not is_async(cls.prepare),
    )


def ends_plainly(cls: type[RequestHandler]) -> bool:
    """Whether nothing but Tornado's own code runs when a response is finished."""
    return all(
        getattr(cls, name, None) is getattr(RequestHandler, name, None) for name in END
    )


def options_of_method(cls: type[RequestHandler], name: str) -> Optional[BodyOptions]:
    """Return the options that ``@unblock(...)`` gave a method, if it gave any."""
    options = _options(inspect.getattr_static(cls, name, None))
    return options if options is not None and options.given() else None


def decorated_options(cls: type[RequestHandler], name: str) -> Optional[BodyOptions]:
    """Return the options of the ``@unblock`` on a method, below whatever decorators."""
    method = inspect.getattr_static(cls, name, None)
    options = _options(method)
    while options is None and method is not None:
        method = below(method)
        options = _options(method)
    return options


def below(method: object) -> object:
    """Return what a decorator says it stands around; None: nothing."""
    # Not the attribute: an object may claim any. A proxy has that of what it wraps.
    own = _ask(method, "__dict__")
    return own.get("__wrapped__") if isinstance(own, Mapping) else None


def decorated_methods(cls: type[RequestHandler]) -> dict[str, BodyOptions]:
    """Return the options of every ``@unblock`` on a method of ``cls``, by its name."""
    found = {name: decorated_options(cls, name) for name in dir(cls)}
    return {name: options for name, options in found.items() if options is not None}


def own_options(cls: type[RequestHandler]) -> list[BodyOptions]:
    """Return the options that ``cls`` has itself, from whatever form of `unblock`."""
    of_class = class_options(cls)
    own = [] if of_class is None else [of_class]
    return own + list(decorated_methods(cls).values())


def _options(method: object) -> Optional[BodyOptions]:
    options = _ask(method, "_self_unblock_options")
    return options if issubclass(type(options), BodyOptions) else None


def _ask(method: object, name: str) -> Any:
    try:
        return getattr(method, name, None)
    except Exception:  # a proxy of what is there within a request only
        return None
