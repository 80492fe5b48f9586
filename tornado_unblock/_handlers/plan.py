"""What of a handler class runs where, decided once for each verb.

# Threads: the loop thread only.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from tornado import web
from tornado.web import RequestHandler

from tornado_unblock._executors.functions import is_async
from tornado_unblock._executors.registry import (
    JSONEncoder,
    json_encoder,
    resolve_executor,
)
from tornado_unblock._handlers.methods import base_of, is_socket_class
from tornado_unblock._handlers.options import BodyOptions
from tornado_unblock._handlers.results import ends_plainly
from tornado_unblock._handlers.running_loop import shows_loop
from tornado_unblock._limits.placement import Placement, placement
from tornado_unblock._loop.portal import Portal

# What Tornado calls on the handler after an error. Where a class changes none
# of them, an error is cheap enough for the loop thread.
_ERROR_HOOKS = (
    "get_current_user",
    "get_user_locale",
    "log_exception",
    "on_finish",
    "send_error",
    "set_default_headers",
    "write_error",
)

# What Tornado calls on a WebSocketHandler and waits for, or does not.
_SOCKET_AWAITED = ("open", "on_message", "on_pong")
_SOCKET_NOT_AWAITED = ("on_close", "on_ping")


class Plan(NamedTuple):
    """What of one verb of one handler class hops."""

    placement: Placement
    # The sites of other methods that hop.
    hooks: Mapping[str, Placement]
    encoder: JSONEncoder
    verb: str
    prepare_hops: bool
    verb_hops: bool
    # prepare, verb and finish share a hop.
    together: bool
    errors_hop: bool
    # Whether nothing but Tornado's own code runs when it finishes.
    ends_plainly: bool
    # Other methods that hop: those that Tornado waits for, those it does not.
    awaited: tuple[str, ...]
    not_awaited: tuple[str, ...]
    # Whether Tornado's questions are answered in the hop of prepare.
    asks_ahead: bool
    # Whether the verb is a coroutine that awaits only what it sends.
    driven: bool
    # Whether more than one hop may be for the same thread.
    thread_bound: bool


class Where(NamedTuple):
    """The part of a plan that depends on the class alone."""

    prepare_hops: bool
    verb_hops: bool
    together: bool
    driven: bool
    why: str


def make_plan(
    portal: Portal, cls: type[RequestHandler], verb: str, options: BodyOptions
) -> Plan:
    """Decide what of ``cls`` hops when it serves ``verb``."""
    own = options_of_method(cls, verb) or options
    where = decide(cls, verb)
    socket = is_socket_class(cls)
    awaited = _overridden(cls, _SOCKET_AWAITED if socket else ())
    not_awaited = _overridden(cls, _SOCKET_NOT_AWAITED if socket else ())
    if cls._stream_request_body:
        awaited += _overridden(cls, ("data_received",))
    # Called on the loop thread where a coroutine or an awaitable ends a request.
    not_awaited += _overridden(cls, ("on_finish",))
    executor = resolve_executor(own.executor)
    # What shares a hop shares what it finds there.
    verb_hop = (verb, "prepare", "on_finish") if where.together else (verb,)
    verb_placement, *hook_placements = (
        placement(
            portal,
            executor,
            f"{cls.__qualname__}.{names[0]}",
            own.timeout,
            shows_loop(cls, *names),
        )
        for names in (verb_hop, *((name,) for name in (*awaited, *not_awaited)))
    )
    errors_hop = bool(_overridden(cls, _ERROR_HOOKS))
    return Plan(
        verb_placement,
        dict(zip((*awaited, *not_awaited), hook_placements)),
        own.json_encoder or json_encoder(),
        verb,
        where.prepare_hops,
        where.verb_hops,
        where.together,
        errors_hop,
        ends_plainly(cls),
        awaited,
        not_awaited,
        socket,
        where.driven,
        errors_hop
        or "data_received" in awaited
        or (where.verb_hops and bool(_overridden(cls, ("prepare",)))),
    )


def decide(cls: type[RequestHandler], verb: str) -> Where:
    """Decide where ``prepare`` and the verb of ``cls`` run, and say why."""
    method = getattr(cls, verb, None)
    if issubclass(cls, web.FallbackHandler):
        return Where(False, False, False, False, "it passes the request on")
    if is_socket_class(cls):
        if cls.get is not base_of(cls).get and not is_async(cls.get):
            why = "a WebSocket: a sync get, then its hooks hop"
            return Where(True, True, not is_async(cls.prepare), False, why)
        asks = _overridden(cls, ("prepare", "check_origin", "select_subprotocol"))
        return Where(bool(asks), False, False, False, "a WebSocket: its hooks hop")
    driven = (
        issubclass(cls, web.StaticFileHandler)
        and cls.get is web.StaticFileHandler.get
        and verb in ("get", "head")
    )
    if method is None:
        return Where(False, False, False, False, "Tornado answers 405 itself")
    if is_async(method) and not driven:
        moves = bool(_overridden(cls, ("prepare",)))
        return Where(moves, False, False, False, "its verb is a coroutine")
    if is_async(cls.prepare):
        return Where(False, True, False, driven, "its prepare is a coroutine")
    if cls._stream_request_body:
        moves = bool(_overridden(cls, ("prepare",)))
        return Where(moves, True, False, driven, "its body is streamed in between")
    return Where(True, True, True, driven, "all of it is sync")


def options_of_method(cls: type[RequestHandler], name: str) -> Optional[BodyOptions]:
    """Return the options that ``@unblock(...)`` gave a method, if it gave any."""
    method = inspect.getattr_static(cls, name, None)
    options: Any = getattr(method, "_self_unblock_options", None)
    if isinstance(options, BodyOptions) and options.given():
        return options
    return None


def _overridden(cls: type[RequestHandler], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the methods ``cls`` overrides with a sync one of its own."""
    base: Any = base_of(cls)
    return tuple(
        name
        for name in names
        if getattr(cls, name, None) is not getattr(base, name, None)
        and not is_async(getattr(cls, name))
    )
