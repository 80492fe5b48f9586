"""Context managers of either colour, entered with ``with`` or with ``async with``.

# Threads: any. A sync body runs in one thread from its beginning to its end, and so
# do the sync functions called inside its block; an async body runs in one task.
# Guarantees:
# - what was entered is left, with the exception that ended the block;
# - context variables that the body sets are set for the block.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, overload

from tornado_unblock._executors.functions import describe
from tornado_unblock.shim._crossing.held import held_lane
from tornado_unblock.shim._crossing.homes import TaskHome, ThreadHome
from tornado_unblock.shim._crossing.wait import check_may_block

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_T = TypeVar("_T")
_Kind = Optional[type[BaseException]]
_Trace = Optional[TracebackType]


class DualContext(Generic[_T]):
    """One use of a context manager, in the colour of whoever uses it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._name = describe(make)
        self._used: Any = None

    def __enter__(self) -> _T:
        check_may_block(f"with {self._name}(...)", "write `async with` there")
        made = self._make()
        self._used = _InThread(made) if _is_sync(made) else _InTask(made)
        return self._used.enter()  # type: ignore[no-any-return]

    def __exit__(
        self, kind: _Kind, error: Optional[BaseException], trace: _Trace
    ) -> Optional[bool]:
        return self._used.leave(error)  # type: ignore[no-any-return]

    async def __aenter__(self) -> _T:
        made = self._make()
        self._used = _OnLane(made, self._name) if _is_sync(made) else _OnLoop(made)
        return await self._used.enter()  # type: ignore[no-any-return]

    async def __aexit__(
        self, kind: _Kind, error: Optional[BaseException], trace: _Trace
    ) -> Optional[bool]:
        return await self._used.leave(error)  # type: ignore[no-any-return]


@overload
def contextmanager(
    fn: Callable[_P, AsyncIterator[_T]],
) -> Callable[_P, DualContext[_T]]: ...
@overload
def contextmanager(fn: Callable[_P, Iterator[_T]]) -> Callable[_P, DualContext[_T]]: ...
def contextmanager(fn: Callable[..., Any]) -> Callable[..., DualContext[Any]]:
    """Make a generator function a context manager for both colours; any thread.

    As `contextlib.contextmanager` and `contextlib.asynccontextmanager`, for a
    generator function of either colour, and usable in both:

        @shim.contextmanager
        def transaction(): ...

        with transaction(): ...            # blocks; not on a loop thread
        async with transaction(): ...      # does not block

    With ``async with`` and a sync body, a worker is held for the block, and every
    sync function of the shim that is awaited inside the block runs on it, one at a
    time: what the body has bound to its thread is there for them.

    Args:
        fn: A function that yields once.

    Raises:
        TypeError: ``fn`` is no generator function.
    """
    if not (inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)):
        raise TypeError(
            f"@shim.contextmanager is for a function that yields once, not {fn!r}"
        )

    @functools.wraps(fn)
    def make(*args: Any, **kwargs: Any) -> DualContext[Any]:
        return DualContext(functools.partial(fn, *args, **kwargs))

    return make


def _is_sync(made: Any) -> bool:
    return inspect.isgenerator(made)


def _sync_manager(generator: Any) -> Any:
    return contextlib.contextmanager(lambda: generator)()


def _async_manager(generator: Any) -> Any:
    return contextlib.asynccontextmanager(lambda: generator)()


def _parts(error: Optional[BaseException]) -> Any:
    return type(error) if error else None, error, error and error.__traceback__


class _InThread:
    """A sync body, used by a thread that may block."""

    def __init__(self, generator: Any) -> None:
        self._manager = _sync_manager(generator)

    def enter(self) -> Any:
        return self._manager.__enter__()

    def leave(self, error: Optional[BaseException]) -> bool:
        return bool(self._manager.__exit__(*_parts(error)))


class _OnLoop:
    """An async body, used by a coroutine."""

    def __init__(self, generator: Any) -> None:
        self._manager = _async_manager(generator)

    async def enter(self) -> Any:
        return await self._manager.__aenter__()

    async def leave(self, error: Optional[BaseException]) -> bool:
        return bool(await self._manager.__aexit__(*_parts(error)))


class _OnLane:
    """A sync body, used by a coroutine: each step on one held thread."""

    def __init__(self, generator: Any, name: str) -> None:
        self._body = _InThread(generator)
        self._name = name
        self._entered = False
        self._stack = contextlib.AsyncExitStack()
        self._home: ThreadHome

    async def enter(self) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            lane = await stack.enter_async_context(held_lane(self._name))
            self._home = ThreadHome(lane, self._name)
            stack.push_async_exit(self._leave)
            value = await self._home.run(self._enter_now)
            stack.enter_context(lane.current())
            self._stack = stack.pop_all()
        return value

    async def leave(self, error: Optional[BaseException]) -> bool:
        return bool(await self._stack.__aexit__(*_parts(error)))

    async def _leave(
        self, kind: _Kind, error: Optional[BaseException], trace: _Trace
    ) -> bool:
        leave = functools.partial(self._leave_now, error)
        return bool(await self._home.run(leave))

    def _enter_now(self) -> Any:
        value = self._body.enter()
        self._entered = True
        return value

    def _leave_now(self, error: Optional[BaseException]) -> bool:
        # Also after an entrance that nobody awaited to its end.
        return self._entered and self._body.leave(error)


class _InTask:
    """An async body, used by a thread that may block: one task from end to end."""

    def __init__(self, generator: Any) -> None:
        self._body = _OnLoop(generator)
        self._home = TaskHome()

    def enter(self) -> Any:
        try:
            return self._home.run(self._body.enter)
        except BaseException:
            self._home.run_last(_nothing)
            raise

    def leave(self, error: Optional[BaseException]) -> bool:
        return bool(self._home.run_last(functools.partial(self._body.leave, error)))


async def _nothing() -> None:
    pass
