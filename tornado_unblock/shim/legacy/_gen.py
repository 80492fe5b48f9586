"""`tornado.gen` of old: engine, Task, Callback, Wait and WaitAll.

# Threads: generators run on the loop thread. An engine called in a worker
# starts there soon; what it is given to call back with may be called anywhere.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Generator, Hashable, Iterable
from typing import Any, Callable, NamedTuple, Optional

from tornado import gen
from tornado.ioloop import IOLoop

from tornado_unblock._loop.lease import in_worker
from tornado_unblock.shim.legacy._callbacks import with_callback
from tornado_unblock.shim.legacy._contexts import ExceptionStackContext, wrap
from tornado_unblock.shim.legacy._futures import fail, give, new_future, on_loop


class Arguments(NamedTuple):
    """What a callback was called with, when that was not one positional argument."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def Task(func: Callable[..., Any], *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
    """Call a function that takes ``callback=``; loop thread or worker.

    Args:
        func: Called with ``callback=`` and the arguments. Methods of Tornado that
            took a callback once, such as `AsyncHTTPClient.fetch`, are welcome.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        A Future with what the callback is called with: None for nothing,
        `Arguments` for more than one value; or with what ``func`` or one of its
        callbacks raises.
    """
    io_loop = IOLoop.current()
    future = new_future(io_loop)

    def handle(kind: object, error: BaseException, trace: object) -> bool:
        if future.done():
            return False
        on_loop(io_loop, fail, future, error)
        return True

    with ExceptionStackContext(handle):
        with_callback(func)(*args, callback=_giver(io_loop, future), **kwargs)
    return future


def _giver(io_loop: IOLoop, future: asyncio.Future[Any]) -> Callable[..., None]:
    def callback(*args: Any, **kwargs: Any) -> None:
        if kwargs or len(args) > 1:
            value: Any = Arguments(args, kwargs)
        else:
            value = args[0] if args else None
        on_loop(io_loop, give, future, value)

    return callback


# --- yield points ---------------------------------------------------------------


class _Run:
    """The callbacks that one generator waits for; loop thread only."""

    def __init__(self) -> None:
        self.io_loop = IOLoop.current()
        self._futures: dict[Hashable, asyncio.Future[Any]] = {}

    def callback(self, key: Hashable) -> Callable[..., None]:
        if key in self._futures:
            raise gen.KeyReuseError(f"key {key!r} is waited for already")
        future = self._futures[key] = new_future(self.io_loop)
        return _giver(self.io_loop, future)

    def wait(self, key: Hashable) -> asyncio.Future[Any]:
        try:
            return self._futures.pop(key)
        except KeyError:
            raise gen.UnknownKeyError(f"no gen.Callback has the key {key!r}") from None

    def end(self) -> None:
        """The generator has returned."""
        if self._futures:
            raise gen.LeakedCallbackError(
                f"it ended without waiting for the callbacks {set(self._futures)!r}"
            )

    def resolve(self, yielded: Any) -> Any:
        """Return what Tornado can wait for in place of yield points."""
        if isinstance(yielded, YieldPoint):
            return yielded.start(self)
        if isinstance(yielded, list):
            return [self.resolve(child) for child in yielded]
        if isinstance(yielded, dict):
            return {key: self.resolve(child) for key, child in yielded.items()}
        return yielded


class YieldPoint:
    """What only generators of `engine` and of this module's `coroutine` may yield."""

    def start(self, run: _Run) -> Any:
        """Return what Tornado can wait for."""
        raise NotImplementedError(
            f"{type(self).__name__}: yield points of your own are not carried; "
            "return a Future instead"
        )


class Callback(YieldPoint):
    """Yields a function to be called back with; `Wait` with its key gets the value.

    Args:
        key: Anything hashable; unique among what the generator waits for.
    """

    def __init__(self, key: Hashable) -> None:
        self.key = key

    def start(self, run: _Run) -> Any:
        """Make the function."""
        future = new_future(run.io_loop)
        future.set_result(run.callback(self.key))
        return future


class Wait(YieldPoint):
    """Yields what the `Callback` of the same key is called with."""

    def __init__(self, key: Hashable) -> None:
        self.key = key

    def start(self, run: _Run) -> Any:
        """Wait for one."""
        return run.wait(self.key)


class WaitAll(YieldPoint):
    """Yields what the `Callback` of each key is called with, as a list."""

    def __init__(self, keys: Iterable[Hashable]) -> None:
        self.keys = list(keys)

    def start(self, run: _Run) -> Any:
        """Wait for all."""
        return [run.wait(key) for key in self.keys]


def _refuse(point: YieldPoint) -> Any:
    raise gen.BadYieldError(
        f"gen.{type(point).__name__} can be yielded by a generator of "
        "tornado_unblock.shim.legacy's engine or coroutine, not by one of "
        "tornado.gen's coroutine"
    )


gen.convert_yielded.register(YieldPoint, _refuse)  # type: ignore[attr-defined]


def _resolving(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run ``generator``, and yield what it yields with its yield points resolved."""
    run = _Run()
    error: Optional[BaseException] = None
    value: Any = None
    try:
        while True:
            try:
                if error is not None:
                    yielded = generator.throw(error)
                else:
                    yielded = generator.send(value)
            except (StopIteration, gen.Return) as stop:
                run.end()
                return stop.value
            error = None
            try:
                value = yield run.resolve(yielded)
            except Exception as raised:
                error = raised
    finally:
        generator.close()
        del error  # error -> traceback -> this frame: no cycle


# --- decorators -------------------------------------------------------------------

_coroutine = gen.coroutine  # `install` puts the one below in its place


def coroutine(func: Callable[..., Any]) -> Callable[..., asyncio.Future[Any]]:
    """`tornado.gen.coroutine`, whose generators may yield `Callback` and `Wait`."""

    @_coroutine
    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if inspect.isgenerator(result):
            result = yield from _resolving(result)
        return result

    return run


def engine(func: Callable[..., Any]) -> Callable[..., None]:
    """Run a generator, and return nothing to its caller; loop thread or worker.

    What it raises goes to the contexts it was called in: under `asynchronous`
    it is answered with a 500.

    Args:
        func: It yields Futures, `Task`, `Callback` and `Wait`, and returns None.

    Returns:
        The function. For `unblock` it is a coroutine, and stays on the loop thread.
    """
    body = coroutine(func)

    def ended(future: asyncio.Future[Any]) -> None:
        if future.result() is not None:
            raise gen.ReturnValueIgnoredError(
                f"{func.__qualname__} returned {future.result()!r}, which nobody "
                "gets from an engine; use gen.coroutine"
            )

    def start(*args: Any, **kwargs: Any) -> None:
        future = body(*args, **kwargs)
        if future.done():
            ended(future)
        else:
            IOLoop.current().add_future(future, wrap(ended))

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> None:
        if in_worker():
            IOLoop.current().add_callback(functools.partial(start, *args, **kwargs))
        else:
            start(*args, **kwargs)

    run.__tornado_coroutine__ = True  # type: ignore[attr-defined]
    run._legacy_engine = True  # type: ignore[attr-defined]
    return run


def is_engine(fn: object) -> bool:
    """Whether ``fn`` is what `engine` returns, or a decorator's copy of it."""
    return hasattr(fn, "_legacy_engine")
