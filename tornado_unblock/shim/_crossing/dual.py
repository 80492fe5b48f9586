"""`dual` and `pair`: one function that both colours of callers can call.

# Threads: any; what is made here has no state.
# Guarantees, whatever the colour of the body:
# - ``f(x)`` blocks and returns the result, and is refused where it would stall a loop;
# - ``await f.aio(x)`` returns the same result, and never blocks the loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Coroutine,
    Iterator,
)
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    Optional,
    TypeVar,
    Union,
    overload,
)

from tornado_unblock._executors.functions import describe, is_async
from tornado_unblock.shim._crossing.iterators import DualIterator, is_generator
from tornado_unblock.shim._crossing.wait import call, check_may_block, wait

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    _P = ParamSpec("_P")
    _Q = ParamSpec("_Q")
else:
    # typing has ParamSpec from Python 3.10 on; nothing looks at it when run.
    _P = TypeVar("_P")

_R = TypeVar("_R", covariant=True)
_T = TypeVar("_T")

_Any = Callable[..., Any]


class _Function:
    """A function that stands for another one, also as a method."""

    # What it is bound to, as a method.
    _instance: object = None
    # Calling it blocks, whatever the body does.
    __tornado_coroutine__ = False

    def __init__(
        self, fn: Any, blocking: Optional[_Any], asynchronous: Optional[_Any]
    ) -> None:
        own: Any = self
        functools.update_wrapper(own, getattr(fn, "__func__", fn))
        vars(self).pop("__tornado_coroutine__", None)
        self.__wrapped__ = fn
        self._blocking = blocking
        self._asynchronous = asynchronous

    # The subclasses say what it returns.
    if not TYPE_CHECKING:  # pragma: no branch - for type checkers

        def __get__(self, instance, owner=None):
            bound = object.__new__(type(self))
            vars(bound).update(
                vars(self),
                _instance=instance,
                __wrapped__=_bind(self.__wrapped__, instance, owner),
                _blocking=_bind(self._blocking, instance, owner),
                _asynchronous=_bind(self._asynchronous, instance, owner),
            )
            return bound

    def __getattr__(self, name: str) -> Any:
        if name == "__code__":  # by which others tell coroutine functions
            raise AttributeError(name)
        return getattr(vars(self)["__wrapped__"], name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Function):
            return bool(self.__wrapped__ == other.__wrapped__)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __repr__(self) -> str:
        return f"<dual {self.__wrapped__!r}>"

    def __reduce__(self) -> Union[str, tuple[object, ...]]:
        owner = getattr(self.__wrapped__, "__self__", None)
        if owner is None:
            return str(self.__qualname__)
        return getattr, (owner, self.__name__)


class Dual(_Function, Generic[_P, _R]):
    """A function with two ways to call it; see `dual`."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call it and wait for the result; any thread that runs no loop.

        Raises:
            LoopThreadError: An event loop runs in this thread.
        """
        name = self.__qualname__
        check_may_block(f"{name}(...)", f"write `await {name}.aio(...)` there")
        if self._blocking is not None:
            return self._blocking(*args, **kwargs)  # type: ignore[no-any-return]
        return wait(self.aio(*args, **kwargs))

    @property
    def aio(self) -> Callable[_P, Coroutine[Any, Any, _R]]:
        """The same for coroutines: ``await f.aio(x)``."""
        if inspect.iscoroutinefunction(self._asynchronous):
            return self._asynchronous
        return self._aio

    async def _aio(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if self._asynchronous is not None:
            result: _R = await self._asynchronous(*args, **kwargs)
            return result
        assert self._blocking is not None
        return await call(functools.partial(self._blocking, *args, **kwargs))

    if TYPE_CHECKING:

        @overload  # a class method
        def __get__(
            self: Dual[Concatenate[type[Any], _Q], _R],
            instance: object,
            owner: Optional[type] = None,
        ) -> Dual[_Q, _R]: ...
        @overload
        def __get__(
            self, instance: None, owner: Optional[type] = None
        ) -> Dual[_P, _R]: ...
        @overload
        def __get__(
            self: Dual[Concatenate[Any, _Q], _R],
            instance: object,
            owner: Optional[type] = None,
        ) -> Dual[_Q, _R]: ...
        def __get__(self, instance: object, owner: Optional[type] = None) -> object: ...


class DualGenerator(_Function, Generic[_P, _T]):
    """A generator function with two ways to iterate; see `dual`."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> DualIterator[_T]:
        """Return what ``for`` and ``async for`` iterate over; any thread."""
        return DualIterator(functools.partial(self.__wrapped__, *args, **kwargs))

    @property
    def aio(self) -> Callable[_P, AsyncGenerator[_T, None]]:
        """The same for coroutines: ``async for row in f.aio(x)``."""
        return self._iterate

    def _iterate(self, *args: _P.args, **kwargs: _P.kwargs) -> AsyncGenerator[_T, None]:
        return self(*args, **kwargs).__aiter__()

    if TYPE_CHECKING:

        @overload
        def __get__(
            self, instance: None, owner: Optional[type] = None
        ) -> DualGenerator[_P, _T]: ...
        @overload
        def __get__(
            self: DualGenerator[Concatenate[Any, _Q], _T],
            instance: object,
            owner: Optional[type] = None,
        ) -> DualGenerator[_Q, _T]: ...
        def __get__(self, instance: object, owner: Optional[type] = None) -> object: ...


# A function that returns an iterator is taken for a generator; so does `Iterator`
# leave open which of the two it is.
@overload
def dual(fn: Callable[_P, Awaitable[_R]]) -> Dual[_P, _R]: ...
@overload
def dual(  # type: ignore[overload-overlap]
    fn: Callable[_P, AsyncIterator[_T]],  # pyright: ignore[reportOverlappingOverload]
) -> DualGenerator[_P, _T]: ...
@overload
def dual(  # type: ignore[overload-overlap]
    fn: Callable[_P, Iterator[_T]],
) -> DualGenerator[_P, _T]: ...
@overload
def dual(fn: Callable[_P, _R]) -> Dual[_P, _R]: ...
def dual(fn: object) -> object:
    """Make a function callable from sync and from async code; any thread.

        @shim.dual
        def load(key): ...          # or: async def load(key)

        row = load(7)               # blocks: in a worker, a script, a test
        row = await load.aio(7)     # in a coroutine: the loop stays free

    Both calls hold for either colour of body, so that it can change its colour
    without a caller noticing. A generator function of either colour gives what
    both ``for`` and ``async for`` iterate over.

    An async body that a worker calls runs on the application's loop; where there is
    none, on a loop that the process keeps. A sync body that is awaited runs in the
    thread that waits for the coroutine, if there is one, else on the global
    executor, within its limits.

    Args:
        fn: A function or method, sync or async. Above ``@classmethod`` and
            ``@staticmethod``, not below.

    Raises:
        TypeError: ``fn`` is no function, or is dual already.
    """
    inner = getattr(fn, "__func__", fn)
    if isinstance(inner, _Function):
        raise TypeError(f"{describe(inner)} is dual already")
    if not callable(inner) or inspect.isclass(inner):
        raise TypeError(
            f"@shim.dual is for a function or method, sync or async, not {fn!r}"
        )
    if is_generator(inner):
        return DualGenerator(fn, None, None)
    return Dual(fn, *((None, fn) if is_async(inner) else (fn, None)))


def pair(
    sync_fn: Callable[_P, _R], async_fn: Callable[_P, Awaitable[_R]]
) -> Dual[_P, _R]:
    """Join a sync and an async function that do the same into one; any thread.

    Args:
        sync_fn: What ``f(x)`` calls.
        async_fn: What ``await f.aio(x)`` calls, with the same arguments.

    Returns:
        What `dual` returns.

    Raises:
        TypeError: They are not one sync and one async function.
    """
    if not callable(sync_fn) or is_async(sync_fn) or not is_async(async_fn):
        raise TypeError(
            "shim.pair takes a sync function, then an async one, not "
            f"{sync_fn!r}, {async_fn!r}"
        )
    return Dual(sync_fn, sync_fn, async_fn)


def _bind(fn: object, instance: object, owner: object) -> object:
    bind = getattr(fn, "__get__", None)
    return bind(instance, owner) if bind is not None else fn
