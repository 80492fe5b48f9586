"""`unblock`: checks what it is put on, and glues it to the ownership."""

from __future__ import annotations

import dis
import functools
import inspect
import warnings
import weakref
from collections.abc import Awaitable
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Optional,
    Protocol,
    TypeVar,
    overload,
)

import wrapt
from tornado.web import RequestHandler

from tornado_unblock._connection.loop_owned import guard_tornado
from tornado_unblock._executors.functions import describe
from tornado_unblock._executors.registry import AnyExecutor, JSONEncoder
from tornado_unblock._handlers.loop_view import LoopView
from tornado_unblock._handlers.methods import VERBS, overridden
from tornado_unblock._handlers.one_method import hand_over
from tornado_unblock._handlers.options import BodyOptions, body_options, check_method
from tornado_unblock._handlers.plan import decorated_options
from tornado_unblock._handlers.thread_bound import warn_of_initialize
from tornado_unblock._handlers.whole_request import begin, execute
from tornado_unblock._loop.lease import running_loop

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_H = TypeVar("_H", bound=RequestHandler)

_Execute = Callable[..., Awaitable[None]]


class _Decorator(Protocol):
    """``unblock`` with options, for a class or a method."""

    @overload
    def __call__(self, body: type[_H], /) -> type[_H]: ...

    @overload
    def __call__(self, body: Callable[_P, Any], /) -> Callable[_P, Any]: ...


@overload
def unblock(body: type[_H], /) -> type[_H]: ...


@overload
def unblock(body: Callable[_P, Any], /) -> Callable[_P, Any]: ...


@overload
def unblock(
    *,
    executor: Optional[AnyExecutor] = None,
    timeout: Optional[float] = None,
    json_encoder: Optional[JSONEncoder] = None,
) -> _Decorator: ...


def unblock(
    body: Any = None,
    /,
    *,
    executor: Optional[AnyExecutor] = None,
    timeout: Optional[float] = None,
    json_encoder: Optional[JSONEncoder] = None,
) -> Any:
    """Run sync handler code on a worker, so that the event loop stays free.

    Put it on a `tornado.web.RequestHandler` subclass, and each request runs
    there as a whole: ``prepare``, the verb, ``finish`` and ``on_finish`` in one
    hop on one worker, for its subclasses too. Coroutines stay on the loop
    thread.

    Or put it on any sync method: a verb, ``prepare``, or a helper that a
    coroutine awaits. The body keeps its real
    ``self`` and may call whatever it called before; what reaches the
    connection goes out on the loop thread. Called on a running loop the method
    returns an `asyncio.Future`; called in a worker, or where no loop runs, it
    runs there and then.

    What a verb returns is sent: str and bytes as they are, a generator chunk
    by chunk, other values as JSON; an awaitable is awaited.

    Args:
        body: The class or method, when used as ``@unblock``.
        executor: The name of an executor, or a
            `concurrent.futures.ThreadPoolExecutor`. Default: the global
            executor of 50 workers.
        timeout: Seconds the body may run before the client gets a 504 and the
            body is abandoned. Default: the executor's, which is none.
        json_encoder: ``value -> str | bytes`` for returned values. Default: the
            one set by `configure`.

    Raises:
        TypeError: It is put on what it cannot serve; the message says what to
            do instead.
        ConfigurationError: ``timeout`` is not positive.
        RejectedError: From the call: no worker, and no room to wait for one.
    """
    options = body_options(executor, timeout, json_encoder)
    if body is None:
        return lambda target: _unblock(target, options)
    return _unblock(body, options)


def _unblock(target: Any, options: BodyOptions) -> Any:
    guard_tornado()
    if isinstance(target, type):
        return _unblock_class(target, options)
    return _unblock_method(target, options)


def _unblock_method(method: Any, options: BodyOptions) -> Any:
    check_method(method)
    # One decorator with options may be put on many: they tell the methods apart.
    options = options.copy()
    unblocked = _Unblocked(method, functools.partial(_call, options))
    unblocked._self_unblock_options = options
    return unblocked


if TYPE_CHECKING:
    _Wrapper = wrapt.FunctionWrapper[..., Any]
else:
    _Wrapper = wrapt.FunctionWrapper


class _Unblocked(_Wrapper):
    """An unblocked method, in its class."""

    _self_unblock_options: BodyOptions

    def __set_name__(self, owner: type, name: str) -> None:
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
    wrapped: Callable[..., Any],
    instance: Any,
    args: Any,
    kwargs: Any,
) -> Any:
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


def _unblock_class(cls: type, options: BodyOptions) -> type:
    if not issubclass(cls, RequestHandler):
        raise TypeError(
            f"unblock expects a subclass of tornado.web.RequestHandler, not {cls!r}; "
            "for the methods of other classes use run_in_executor"
        )
    warn_of_initialize(cls, stacklevel=4)
    target: Any = cls
    target._execute = _execute_of(cls, options)
    return cls


def _execute_of(cls: type[RequestHandler], options: BodyOptions) -> _Execute:
    """Return an ``_execute`` for ``cls`` whose requests run on workers."""
    own: Optional[_Execute] = vars(cls).get("_execute")

    @functools.wraps(cls._execute)
    def _execute(self: Any, /, *args: Any, **kwargs: Any) -> Awaitable[None]:
        # A view: begun by a subclass, whose options count.
        view = self if type(self) is LoopView else begin(self, options, held=True)
        target: Any = self if view is None else view
        # What is inherited is looked up now: others may have wrapped it meanwhile.
        inherited: _Execute = (
            super(cls, target)._execute if own is None else own.__get__(target, cls)
        )
        if view is None or view is self:
            return inherited(*args, **kwargs)
        return execute(view, inherited, args, kwargs)

    _execute._unblock_class_options = options  # type: ignore[attr-defined]
    return _execute
