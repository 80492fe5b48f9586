"""`tornado.concurrent` of old: return_future and run_on_executor.

# Threads: the decorated functions may be called on the loop thread and in workers.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any, Callable, Optional

from tornado.concurrent import DummyExecutor, ReturnValueIgnoredError
from tornado.ioloop import IOLoop

from tornado_unblock._executors.functions import check_function, describe
from tornado_unblock._offload.run_in_executor import run_in_executor
from tornado_unblock.shim.legacy._contexts import ExceptionStackContext, pushed
from tornado_unblock.shim.legacy._futures import (
    fail,
    give,
    new_future,
    on_loop,
    when_done,
)


def return_future(fn: Callable[..., Any]) -> Callable[..., asyncio.Future[Any]]:
    """Give a function that takes ``callback`` a Future to return.

    Args:
        fn: It calls ``callback(result)`` once, in any thread, and returns None.

    Returns:
        The function. Its Future has what ``fn`` calls back with, or what ``fn`` or
        one of its callbacks raises. Called with ``callback``, it also calls that
        with the result.

    Raises:
        TypeError: ``fn`` has no argument called ``callback``.
    """
    index = _callback_index(fn)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        io_loop = IOLoop.current()
        future = new_future(io_loop)
        values: list[Any] = []

        def back(*value: Any) -> None:
            values.extend(value)
            on_loop(io_loop, give, future, value[0] if value else None)

        def handle(kind: object, error: BaseException, trace: object) -> bool:
            if future.done():
                return False
            on_loop(io_loop, fail, future, error)
            return True

        callback = kwargs.pop("callback", None)
        if index is not None and len(args) > index:
            callback, args = args[index], (*args[:index], back, *args[index + 1 :])
        else:
            kwargs["callback"] = back
        # What it raises before it returns is its caller's.
        with pushed(ExceptionStackContext(handle)):
            if fn(*args, **kwargs) is not None:
                raise ReturnValueIgnoredError(
                    f"{describe(fn)} returned a value, which return_future cannot "
                    "deliver: call callback(value), or write a coroutine"
                )
        if callback is not None:
            when_done(io_loop, future, functools.partial(_run, callback, values))
        return future

    return call


def _callback_index(fn: Callable[..., Any]) -> Optional[int]:
    """Return where ``fn`` takes its callback; None when only by name."""
    parameters = inspect.signature(fn).parameters
    if "callback" in parameters:
        by_name = parameters["callback"].kind is inspect.Parameter.KEYWORD_ONLY
        return None if by_name else list(parameters).index("callback")
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    raise TypeError(
        f"{describe(fn)} takes no argument called callback: return_future has "
        "nothing to give it; write it as a coroutine"
    )


def _run(
    callback: Callable[..., Any], values: list[Any], future: asyncio.Future[Any]
) -> Any:
    future.result()
    return callback(*values)


def _run_with_result(callback: Callable[..., Any], future: asyncio.Future[Any]) -> Any:
    return callback(future.result())


def run_on_executor(
    fn: Optional[Callable[..., Any]] = None,
    *,
    executor: str = "executor",
    io_loop: str = "io_loop",
) -> Any:
    """Run a method on the executor that ``self`` carries.

    As `tornado.concurrent.run_on_executor`, but the method gets the caller's
    context variables, and waits, is turned away and is counted as
    `run_in_executor` has it. The method takes ``callback=``.

    Args:
        fn: The method, when used as ``@run_on_executor``.
        executor: The name of the attribute with a `concurrent.futures.Executor`,
            or the name of one of this library.
        io_loop: Not looked at: the loop is the current one.

    Raises:
        TypeError: The method is asynchronous already.
    """
    if fn is None:
        return functools.partial(run_on_executor, executor=executor, io_loop=io_loop)
    check_function(fn)
    method = fn

    @functools.wraps(fn)
    def call(self: Any, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        callback = kwargs.pop("callback", None)
        job = functools.partial(method, self, *args, **kwargs)
        chosen = getattr(self, executor)
        if isinstance(chosen, DummyExecutor):
            future = _at_once(job)
        else:
            future = run_in_executor(job, executor=chosen)
        if callback is not None:
            done = functools.partial(_run_with_result, callback)
            when_done(IOLoop.current(), future, done)
        return future

    return call


def _at_once(job: Callable[[], Any]) -> asyncio.Future[Any]:
    future = new_future(IOLoop.current())
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    return future
