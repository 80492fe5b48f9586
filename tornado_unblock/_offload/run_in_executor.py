"""`run_in_executor`: any function, on any executor, from the loop or a worker.

Threads get the caller's context variables; other executors (processes, a
cluster) pickle the function and its arguments, and get no context.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import pickle
import re
import time
from typing import Any, Callable, Optional, TypeVar, Union

from tornado import gen

from tornado_unblock._errors import AbandonedError, LoopClosedError, crossing_error
from tornado_unblock._executors.options import DEFAULT, check_seconds
from tornado_unblock._executors.processes import submitters
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.portal import (
    Portal,
    current_lease,
    current_portal,
    running_loop,
)
from tornado_unblock._offload.future import OffloadFuture
from tornado_unblock._offload.offload import Offload, helper

_T = TypeVar("_T")

# The latter is what Python 3.13 says of a function in a function.
_is_about_pickling = re.compile("(?i)pickl|get local object").search

AnyExecutor = Union[str, concurrent.futures.Executor]


def run_in_executor(
    fn: Callable[..., _T],
    /,
    *args: Any,
    executor: Optional[AnyExecutor] = None,
    timeout: Optional[float] = None,
    **kwargs: Any,
) -> asyncio.Future[_T]:
    """Run ``fn(*args, **kwargs)`` on an executor; loop thread or worker.

    It starts at once, also when nothing awaits it.

    Args:
        fn: A sync function.
        *args: Its positional arguments.
        executor: A name, or any `concurrent.futures.Executor`. Default: the
            global executor.
        timeout: Seconds it may run. Default: the executor's.
        **kwargs: Its keyword arguments. For ones named like an option, use
            `functools.partial`.

    Returns:
        An `asyncio.Future` of the running loop. In a worker its
        ``result(timeout)`` waits, and meanwhile the worker's place serves
        others, so that nested work cannot deadlock a full executor.

    Raises:
        TypeError: ``fn`` is no sync function, or ``executor`` no executor.
        ConfigurationError: ``timeout`` is not positive.
        LoopThreadError: No loop runs in this thread, and it is no worker.
        RejectedError: The executor is full; also from the Future, when no
            worker came free within ``queue_timeout``.
        RunTimeoutError: From the Future, when ``timeout`` passed.
    """
    check_function(fn)
    check_seconds("timeout", timeout)
    chosen = _resolve_any(executor)
    call = functools.partial(fn, *args, **kwargs)
    lease = current_lease()
    if running_loop() is None and lease is not None:
        return _from_worker(lease.portal, chosen, call, timeout)
    return _make(current_portal(), chosen, call, timeout, None).admit()


class WorkerFuture(OffloadFuture):
    """The Future of an offload that a worker asked for."""

    def result(self, timeout: Optional[float] = None) -> Any:
        """Return the outcome; in a worker, wait for it first.

        Args:
            timeout: Seconds to wait; None for ever. On the loop thread nothing
                waits.

        Raises:
            asyncio.InvalidStateError: There is no outcome yet, on the loop thread.
            asyncio.TimeoutError: None came in time.
        """
        lease = current_lease()
        if not self.done() and running_loop() is None and isinstance(lease, Offload):
            self._wait(lease, timeout)
        return super().result()

    def _wait(self, lease: Offload, timeout: Optional[float]) -> None:
        latch = Latch()
        lease.portal.call_soon(self.add_done_callback, latch.open)
        with lease.lending():
            if not latch.wait(lease.portal.loop, timeout):
                raise asyncio.TimeoutError(
                    f"no result within {timeout:g} s; the work goes on"
                )


def check_function(fn: object) -> None:
    """Raise `TypeError` unless ``fn`` is a callable that is not asynchronous."""
    if not callable(fn):
        raise TypeError(f"expected a function, not {fn!r}")
    if is_async(fn):
        raise TypeError(
            f"{describe(fn)} is asynchronous already: await it instead of "
            "running it on an executor"
        )


def is_async(fn: Any) -> bool:
    """Whether calling ``fn`` makes a coroutine or an asynchronous generator."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if not inspect.isroutine(fn) and not inspect.isclass(fn):
        fn = type(fn).__call__
    flags = getattr(getattr(fn, "__code__", None), "co_flags", 0)
    return (
        inspect.iscoroutinefunction(fn)
        or inspect.isasyncgenfunction(fn)
        or bool(gen.is_coroutine_function(fn))
        or bool(flags & inspect.CO_ITERABLE_COROUTINE)
    )


def describe(fn: Any) -> str:
    """Return what errors and statistics call ``fn``."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return str(getattr(fn, "__qualname__", None) or repr(fn))


def resolve_executor(executor: Optional[AnyExecutor]) -> concurrent.futures.Executor:
    """Return the executor meant by a name, an executor or None, to run handlers on.

    Raises:
        TypeError: It is none of these, or its workers are not threads.
    """
    resolved = _resolve_any(executor)
    if not isinstance(resolved, concurrent.futures.ThreadPoolExecutor):
        raise TypeError(
            f"a handler cannot be pickled, so its body cannot run on {executor!r}, an "
            "executor of processes; unblock it on threads, and call what is to run "
            f"there with run_in_executor(fn, ..., executor={executor!r})"
        )
    return resolved


def _resolve_any(executor: Optional[AnyExecutor]) -> concurrent.futures.Executor:
    if executor is None or isinstance(executor, str):
        return get_executor(executor or DEFAULT)
    if not isinstance(executor, concurrent.futures.Executor):
        raise TypeError(
            "executor must be a name or a concurrent.futures.Executor, "
            f"not {executor!r}"
        )
    return executor


def _make(
    portal: Portal,
    executor: concurrent.futures.Executor,
    call: functools.partial[Any],
    timeout: Optional[float],
    future: Optional[OffloadFuture],
) -> Offload:
    in_threads = isinstance(executor, concurrent.futures.ThreadPoolExecutor)
    kind = Offload if in_threads else RemoteOffload
    where = placement(portal, executor, describe(call), timeout)
    return kind(portal, where, call, future)


def _from_worker(
    portal: Portal,
    executor: concurrent.futures.Executor,
    call: functools.partial[Any],
    timeout: Optional[float],
) -> WorkerFuture:
    future = WorkerFuture(loop=portal.loop)
    context = contextvars.copy_context()
    # This worker gives its token back while it waits; it cannot help as well.
    context.run(helper.set, None)
    portal.call_soon(context.run, _admit, portal, executor, call, timeout, future)
    return future


def _admit(
    portal: Portal,
    executor: concurrent.futures.Executor,
    call: functools.partial[Any],
    timeout: Optional[float],
    future: WorkerFuture,
) -> None:
    try:
        _make(portal, executor, call, timeout, future).admit(nested=True)
    except Exception as error:
        future.set_exception(error)


class RemoteOffload(Offload):
    """An offload to an executor that pickles what it is given."""

    def _put(self) -> bool:
        # Not here: starting a process takes long, reaching a cluster longer.
        submitters().submit(self._submit)
        return True

    def _submit(self) -> None:
        call = self._fn
        assert isinstance(call, functools.partial)
        self.started_at = self.ended_at = time.monotonic()
        try:
            if self.revoked is not None:
                raise AbandonedError(self.revoked)
            job = self.executor.submit(call.func, *call.args, **call.keywords)
        except BaseException as error:
            self._error = error
            try:
                self.portal.call_soon(self._refuse)
            except LoopClosedError:
                self._error = None
        else:
            job.add_done_callback(functools.partial(self._take, call))

    def _refuse(self) -> None:
        """End it: its executor did not take it; loop thread."""
        error = self._error
        assert error is not None
        if isinstance(error, concurrent.futures.BrokenExecutor):
            error = RuntimeError(
                f"{error}; an executor made by configure(name, processes=...) or "
                "configure(name, factory=...) is made again when it breaks"
            )
        if type(error) is RuntimeError:
            self._refused(str(error))
        else:
            self._end_unstarted(crossing_error(error, self.endpoint.name), True)

    def _take(self, call: Any, job: concurrent.futures.Future[Any]) -> None:
        # Runs in a thread of the executor's own, or in the one that submits.
        self.ended_at = time.monotonic()
        if job.cancelled():
            self._error = concurrent.futures.CancelledError(
                "the executor was shut down"
            )
        else:
            self._error = job.exception()
            if self._error is None:
                self._value = job.result()
            elif self.revoked and isinstance(
                self._error, concurrent.futures.BrokenExecutor
            ):
                self._error = AbandonedError(self.revoked)
            elif _is_about_pickling(f"{type(self._error).__name__} {self._error}"):
                self._error = _name_unpicklable(call, self._error)
        self._post_end()


def _name_unpicklable(call: Any, error: BaseException) -> BaseException:
    parts = [("the function", call.func)]
    parts += [(f"positional argument {i}", a) for i, a in enumerate(call.args, 1)]
    parts += [(f"argument {name!r}", a) for name, a in call.keywords.items()]
    for name, part in parts:
        try:
            pickle.dumps(part)
        except Exception as cause:
            named = TypeError(
                f"{describe(call.func)}: {name} ({type(part).__name__}) cannot be "
                f"pickled for an executor of processes: {cause}; pass plain data, "
                "or use an executor of threads"
            )
            named.__cause__ = error
            return named
    return error
