"""One decorated method of a handler, run on a worker.

Imported when a method is decorated, and not before: wrapt is slow to import.

# Threads: any decorates; `hand_over` runs on the loop thread, `_run_body` in the
# worker.
"""

from __future__ import annotations

import asyncio
import dis
import functools
import inspect
import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Callable, Optional

import wrapt
from tornado.web import RequestHandler

from tornado_unblock._executors.functions import describe
from tornado_unblock._handlers.in_turn import (
    offload_body,
    offload_in_line,
    offload_not_awaited,
    offload_on_finish,
)
from tornado_unblock._handlers.methods import VERBS, is_socket, overridden
from tornado_unblock._handlers.options import BodyOptions
from tornado_unblock._handlers.plan import (
    Step,
    decorated_options,
    make_room,
    plan_method,
    verb_of,
)
from tornado_unblock._handlers.results import auto_finish, send
from tornado_unblock._handlers.websocket import abort_on_error
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._loop.per_loop import PerLoop
from tornado_unblock._loop.portal import Portal, current_portal

_Body = Callable[..., object]

# The options are each decorated method's own. The verb counts too: a `post` may
# await the `get` that another request is served by.
_Key = tuple[BodyOptions, type[RequestHandler], Optional[str]]

_steps: PerLoop[dict[_Key, Step]] = PerLoop(dict)


def unblocked(method: _Body, options: BodyOptions) -> _Body:
    """Return ``method`` as it is put into its class: what runs it on a worker."""
    # One decorator with options may be put on many: they tell the methods apart.
    options = options.copy()
    wrapper = _Unblocked(method, functools.partial(_call, options))
    wrapper._self_unblock_options = options
    return wrapper


if TYPE_CHECKING:
    _Wrapper = wrapt.FunctionWrapper[..., object]
else:
    _Wrapper = wrapt.FunctionWrapper


class _Unblocked(_Wrapper):
    """An unblocked method, in its class."""

    _self_unblock_options: BodyOptions

    def __set_name__(self, owner: type, name: str) -> None:
        method: object = self.__wrapped__
        set_name = getattr(type(method), "__set_name__", None)
        if set_name is not None:
            set_name(method, owner, name)
        if name in VERBS:
            _warn_of_hooks(owner, name)


# What runs beside a verb, and in legacy code is about its database session.
_BESIDE = ("initialize", "prepare", "get_current_user", "on_finish")

_warned: weakref.WeakSet[type] = weakref.WeakSet()


def _warn_of_hooks(cls: type, verb: str) -> None:
    """Warn, once for a class, if only a verb is unblocked, and hooks are not."""
    if not issubclass(cls, RequestHandler) or cls in _warned:
        return
    hooks = [
        name
        for name in overridden(cls, _BESIDE)
        if decorated_options(cls, name) is None
        and (name != "initialize" or _calls(cls.initialize))
    ]
    if not hooks:
        return
    _warned.add(cls)
    code = getattr(inspect.unwrap(vars(cls)[verb]), "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    advice = "put @unblock on the class, or call unblock_application"
    if "initialize" in hooks:
        advice += "; what initialize does, which stays there, belongs into prepare"
    warnings.warn(
        f"{cls.__qualname__}{where}: {verb} is unblocked and runs on a worker; "
        f"on the loop thread remains {', '.join(hooks)}. To have a request on one "
        f"thread, {advice}",
        stacklevel=3,
    )


def _calls(fn: object) -> bool:
    """Whether a function does more than keep what it is given."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return True
    names = [step.opname for step in dis.get_instructions(code)]
    calls = [n for n in names if n.startswith("CALL") and "INTRINSIC" not in n]
    # `super()`, which Python 3.12 does not call, and its `initialize`.
    of_super = 1 + ("LOAD_SUPER_ATTR" not in names) if "super" in code.co_names else 0
    return len(calls) > of_super


def _call(
    options: BodyOptions,
    wrapped: _Body,
    instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    if running_loop() is None:
        return wrapped(*args, **kwargs)
    handler = instance
    if handler is None and args:
        # Called through the class, as a decorator above this one does.
        handler = args[0]
    if not isinstance(handler, RequestHandler):
        raise TypeError(
            f"{describe(wrapped)}: unblock is for methods of "
            f"tornado.web.RequestHandler, not of {type(handler).__name__}; "
            "call it with run_in_executor instead"
        )
    return hand_over(handler, wrapped, args, kwargs, options)


def hand_over(
    handler: RequestHandler,
    fn: _Body,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    options: BodyOptions,
) -> Optional[asyncio.Future[object]]:
    """Run ``fn(*args, **kwargs)``, a method of ``handler``, on a worker.

    Returns:
        Its Future; None for a hook whose result Tornado ignores.

    Raises:
        RejectedError: There is no worker for it, and no room to wait.
    """
    portal = current_portal()
    key = (options, type(handler), handler.request.method)
    step = _steps.of(portal).get(key) or _plan(portal, handler, fn, options)
    body = functools.partial(_run_body, handler, fn, args, kwargs, step)
    if not step.awaited:
        post = offload_on_finish if step.name == "on_finish" else offload_not_awaited
        post(portal, handler, step.placement, body)
        return None
    if step.socket and is_socket(handler) and handler.ws_connection is not None:
        future = offload_in_line(portal, handler, step.placement, body)
        return future if step.name == "open" else abort_on_error(handler, future)
    return offload_body(portal, handler, step.placement, body, direct=step.finishes)


def _plan(
    portal: Portal,
    handler: RequestHandler,
    fn: _Body,
    options: BodyOptions,
) -> Step:
    cls = type(handler)
    verb = verb_of(cls, handler.request.method)
    # What the class does not know is nothing to keep a plan under.
    key = (options, cls, handler.request.method if verb else None)
    steps = _steps.of(portal)
    if key not in steps:
        make_room(steps)
        # What a descriptor binds may have no name of its own.
        name = describe(fn).rpartition(".")[2]
        steps[key] = plan_method(portal, cls, verb, name, options)
    return steps[key]


def _run_body(
    handler: RequestHandler,
    fn: _Body,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    step: Step,
) -> object:
    value = fn(*args, **kwargs)
    if value is not None and step.sends:
        value = send(handler, value, step.encoder, step.placement.endpoint.name)
    if value is None and step.finishes:
        auto_finish(handler, step.ends_plainly)
    return value
