"""`unblock`: checks what it is put on, and glues it to the ownership."""

from __future__ import annotations

import functools
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

from tornado.web import RequestHandler

from tornado_unblock._connection.loop_owned import guard_tornado
from tornado_unblock._executors.registry import AnyExecutor, JSONEncoder
from tornado_unblock._handlers.loop_view import LoopView
from tornado_unblock._handlers.one_context import share_contexts
from tornado_unblock._handlers.options import BodyOptions, body_options, check_method
from tornado_unblock._handlers.thread_bound import warn_of_initialize
from tornado_unblock._handlers.whole_request import begin, execute

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
    if issubclass(type(target), type):  # its type is asked: a proxy may say anything
        return _unblock_class(target, options)
    return _unblock_method(target, options)


def _unblock_method(method: Any, options: BodyOptions) -> Any:
    # Here, since it brings wrapt.
    from tornado_unblock._handlers.one_method import unblocked

    check_method(method)
    share_contexts()
    return unblocked(method, options)


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
        view = (
            self
            if issubclass(type(self), LoopView)
            else begin(self, options, held=True)
        )
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
