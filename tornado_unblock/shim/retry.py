"""Trying again, with waits that hold up nobody; on stamina (extra: ``retry``).

    from tornado_unblock.shim.retry import retry

    @retry(on=ConnectionError, attempts=3)
    def fetch(key): ...                      # or: async def

    fetch(7)                                 # waits in its own thread
    await fetch.aio(7)                       # waits on the loop, holding no worker

It replaces ``for _ in range(3): try: ... except: time.sleep(...)``.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import TYPE_CHECKING, Any, Callable, TypeVar, Union, overload

from tornado_unblock._errors import AbandonedError, LoopClosedError, LoopThreadError
from tornado_unblock.shim._crossing.dual import Dual, dual, pair
from tornado_unblock.shim._crossing.wait import check_may_block

try:
    import stamina
except ImportError as error:  # pragma: no cover - the tests have it
    raise ImportError(
        "tornado_unblock.shim.retry needs stamina: pip install 'tornado-unblock[retry]'"
    ) from error

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_R = TypeVar("_R")

__all__ = ["retry", "retry_context"]

On = Union[type[Exception], tuple[type[Exception], ...], Callable[[Exception], bool]]
Seconds = Union[float, dt.timedelta]

# Trying again cannot help: nobody waits any more, or the call itself is wrong.
_FINAL = (AbandonedError, LoopClosedError, LoopThreadError)


class _Decorator:
    """What `retry` returns."""

    def __init__(self, policy: Callable[[Any], Any]) -> None:
        self._policy = policy

    @overload
    def __call__(self, fn: Dual[_P, _R]) -> Dual[_P, _R]: ...
    @overload
    def __call__(self, fn: Callable[_P, Awaitable[_R]]) -> Dual[_P, _R]: ...
    @overload
    def __call__(self, fn: Callable[_P, _R]) -> Dual[_P, _R]: ...
    def __call__(self, fn: Any) -> Any:
        attempt: Any = fn if isinstance(fn, Dual) else dual(fn)
        if not isinstance(attempt, Dual):
            raise TypeError(
                f"{fn!r} is a generator function: what it yielded before it failed "
                "cannot be taken back; put @retry on a function that it calls"
            )

        @functools.wraps(fn)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            return attempt(*args, **kwargs)

        @functools.wraps(fn)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return await attempt.aio(*args, **kwargs)

        return pair(self._policy(blocking), self._policy(asynchronous))


def retry(
    on: On,
    *,
    attempts: int | None = 10,
    timeout: Seconds | None = 45.0,
    wait_initial: Seconds = 0.1,
    wait_max: Seconds = 5.0,
    wait_jitter: Seconds = 1.0,
    wait_exp_base: float = 2.0,
) -> _Decorator:
    """Return a decorator that calls a function again when it fails; any thread.

    The n-th wait is ``wait_initial * wait_exp_base ** (n - 1)`` seconds and up to
    ``wait_jitter`` seconds more, at most ``wait_max``. Awaited, an attempt of a sync
    function takes a worker only while it runs, not while it waits for the next one.

    Args:
        on: The exceptions after which to try again: a class, a tuple of classes, or
            a function that gets the exception and says so.
        attempts: Attempts in all; None: no limit.
        timeout: Seconds after which no further attempt is made; None: no limit.
        wait_initial: Seconds before the second attempt.
        wait_max: Seconds that a wait lasts at most.
        wait_jitter: Seconds of chance in each wait.
        wait_exp_base: What the wait is multiplied with each time.

    Returns:
        A decorator for a function of either colour, or one that is `dual` already;
        what it makes is `dual`. When all attempts have failed, the last exception is
        raised.

    Raises:
        TypeError: When it decorates something else, or a generator function.
    """
    return _Decorator(
        stamina.retry(
            on=_unless_final(on),
            attempts=attempts,
            timeout=timeout,
            wait_initial=wait_initial,
            wait_max=wait_max,
            wait_jitter=wait_jitter,
            wait_exp_base=wait_exp_base,
        )
    )


class retry_context:
    """The same for a block: ``for attempt in retry_context(...): with attempt: ...``.

    In a coroutine it is ``async for``; the block is the same. Arguments are those of
    `retry`.

    Raises:
        LoopThreadError: ``for`` is used where an event loop runs.
    """

    def __init__(self, on: On, **options: Any) -> None:
        self._attempts = stamina.retry_context(on=_unless_final(on), **options)

    def __iter__(self) -> Iterator[stamina.Attempt]:
        check_may_block("retry_context(...)", "write `async for` there")
        return iter(self._attempts)

    def __aiter__(self) -> AsyncIterator[stamina.Attempt]:
        return self._attempts.__aiter__()


def _unless_final(on: On) -> Callable[[Exception], bool]:
    def again(error: Exception) -> bool:
        if isinstance(error, _FINAL):
            return False
        return isinstance(error, on) if isinstance(on, (type, tuple)) else on(error)

    return again
