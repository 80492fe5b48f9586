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
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Callable,
    Generic,
    Optional,
    Protocol,
    TypeVar,
    Union,
    overload,
)

from tornado_unblock._executors.functions import describe
from tornado_unblock.shim._crossing.held import held_lane
from tornado_unblock.shim._crossing.homes import TaskHome, ThreadHome
from tornado_unblock.shim._crossing.wait import check_may_block

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_T = TypeVar("_T", covariant=True)
_Kind = Optional[type[BaseException]]
_Trace = Optional[TracebackType]
# What a generator function of either colour makes.
_Body = Union[Generator[_T, None, None], AsyncGenerator[_T, None]]


class _Sync(Protocol[_T]):
    """One use, by a thread that may block."""

    def enter(self) -> _T: ...
    def leave(self, error: Optional[BaseException]) -> bool: ...


class _Async(Protocol[_T]):
    """One use, by a coroutine."""

    async def enter(self) -> _T: ...
    async def leave(self, error: Optional[BaseException]) -> bool: ...


class DualContext(Generic[_T]):
    """One use of a context manager, in the colour of whoever uses it."""

    _in_thread: _Sync[_T]
    _in_task: _Async[_T]

    def __init__(self, make: Callable[[], _Body[_T]]) -> None:
        self._make = make
        self._name = describe(make)

    def __enter__(self) -> _T:
        check_may_block(f"with {self._name}(...)", "write `async with` there")
        made = self._make()
        self._in_thread = (
            _InThread(made) if isinstance(made, Generator) else _InTask(made)
        )
        return self._in_thread.enter()

    def __exit__(
        self, kind: _Kind, error: Optional[BaseException], trace: _Trace
    ) -> Optional[bool]:
        return self._in_thread.leave(error)

    async def __aenter__(self) -> _T:
        made = self._make()
        self._in_task = (
            _OnLane(made, self._name) if isinstance(made, Generator) else _OnLoop(made)
        )
        return await self._in_task.enter()

    async def __aexit__(
        self, kind: _Kind, error: Optional[BaseException], trace: _Trace
    ) -> Optional[bool]:
        return await self._in_task.leave(error)


@overload
def contextmanager(
    fn: Callable[_P, AsyncIterator[_T]],
) -> Callable[_P, DualContext[_T]]: ...
@overload
def contextmanager(fn: Callable[_P, Iterator[_T]]) -> Callable[_P, DualContext[_T]]: ...
def contextmanager(fn: Callable[..., object]) -> Callable[..., DualContext[object]]:
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
    def make(*args: object, **kwargs: object) -> DualContext[object]:
        return DualContext(functools.partial(fn, *args, **kwargs))

    return make


def _parts(
    error: Optional[BaseException],
) -> tuple[_Kind, Optional[BaseException], _Trace]:
    if error is None:
        return None, None, None
    return type(error), error, error.__traceback__


class _InThread(Generic[_T]):
    """A sync body, used by a thread that may block."""

    def __init__(self, generator: Generator[_T, None, None]) -> None:
        self._manager = contextlib.contextmanager(lambda: generator)()

    def enter(self) -> _T:
        return self._manager.__enter__()

    def leave(self, error: Optional[BaseException]) -> bool:
        return bool(self._manager.__exit__(*_parts(error)))


class _OnLoop(Generic[_T]):
    """An async body, used by a coroutine."""

    def __init__(self, generator: AsyncGenerator[_T, None]) -> None:
        self._manager = contextlib.asynccontextmanager(lambda: generator)()

    async def enter(self) -> _T:
        return await self._manager.__aenter__()

    async def leave(self, error: Optional[BaseException]) -> bool:
        return bool(await self._manager.__aexit__(*_parts(error)))


class _OnLane(Generic[_T]):
    """A sync body, used by a coroutine: each step on one held thread."""

    def __init__(self, generator: Generator[_T, None, None], name: str) -> None:
        self._body = _InThread(generator)
        self._name = name
        self._entered = False
        self._stack = contextlib.AsyncExitStack()
        self._home: ThreadHome

    async def enter(self) -> _T:
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

    def _enter_now(self) -> _T:
        value = self._body.enter()
        self._entered = True
        return value

    def _leave_now(self, error: Optional[BaseException]) -> bool:
        # Also after an entrance that nobody awaited to its end.
        return self._entered and self._body.leave(error)


class _InTask(Generic[_T]):
    """An async body, used by a thread that may block: one task from end to end."""

    def __init__(self, generator: AsyncGenerator[_T, None]) -> None:
        self._body = _OnLoop(generator)
        self._home = TaskHome()

    def enter(self) -> _T:
        try:
            return self._home.run(self._body.enter)
        except BaseException:
            self._home.run_last(_nothing)
            raise

    def leave(self, error: Optional[BaseException]) -> bool:
        return bool(self._home.run_last(functools.partial(self._body.leave, error)))


async def _nothing() -> None:
    pass
