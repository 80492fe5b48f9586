"""`run_in_executor`: any function, on any executor, from the loop or a worker.

Threads get the caller's context variables; other executors (processes, a
cluster) pickle the function and its arguments, and get no context.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
from typing import Callable, Optional, TypeVar

from tornado_unblock._connection.loop_owned import guard_tornado
from tornado_unblock._executors.functions import check_function, describe
from tornado_unblock._executors.options import check_seconds
from tornado_unblock._executors.registry import AnyExecutor, _resolve_any
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.lease import current_lease, running_loop
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._offload.future import OffloadFuture, WorkerFuture
from tornado_unblock._offload.offload import Offload, helper

_T = TypeVar("_T")


def run_in_executor(
    fn: Callable[..., _T],
    /,
    *args: object,
    executor: Optional[AnyExecutor] = None,
    timeout: Optional[float] = None,
    **kwargs: object,
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
    guard_tornado()
    check_function(fn)
    check_seconds("timeout", timeout)
    chosen = _resolve_any(executor)
    call = functools.partial(fn, *args, **kwargs)
    lease = current_lease()
    if running_loop() is None and lease is not None:
        return _from_worker(lease.portal, chosen, call, timeout)
    return _make(current_portal(), chosen, call, timeout, None).admit()


def _make(
    portal: Portal,
    executor: concurrent.futures.Executor,
    call: functools.partial[_T],
    timeout: Optional[float],
    future: Optional[OffloadFuture],
) -> Offload:
    where = placement(portal, executor, describe(call), timeout)
    return Offload(portal, where, call, future)


def _from_worker(
    portal: Portal,
    executor: concurrent.futures.Executor,
    call: functools.partial[_T],
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
    call: functools.partial[_T],
    timeout: Optional[float],
    future: WorkerFuture,
) -> None:
    try:
        _make(portal, executor, call, timeout, future).admit(nested=True)
    except Exception as error:
        future.set_exception(error)
