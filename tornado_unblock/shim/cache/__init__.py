"""Caching of results for both colours; on cachetools (extra: ``cache``).

    from tornado_unblock.shim.cache import cached

    @cached(ttl=30, maxsize=1000)
    def load_order(key): ...                 # or: async def, or a dual

    load_order(7)                            # both share one cache,
    await load_order.aio(7)                  # and one call for each key

One call is made for each key however many ask for it at once.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Hashable
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, overload

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.options import check_seconds, is_number
from tornado_unblock.shim._crossing.dual import Dual, dual
from tornado_unblock.shim.cache._store import (
    CacheStatistics,
    Store,
    call,
    call_aio,
    hashkey,
)

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    _P = ParamSpec("_P")
    _Q = ParamSpec("_Q")
else:
    _P = TypeVar("_P")

_R = TypeVar("_R", covariant=True)

__all__ = ["CacheStatistics", "Cached", "cached"]

_Key = Callable[..., Hashable]


class Cached(Dual[_P, _R]):
    """A `Dual` whose results are kept; see `cached`."""

    _store: Store
    _key: _Key

    def statistics(self) -> CacheStatistics:
        """Return what the cache has done and holds; any thread."""
        return self._store.statistics()

    def clear(self) -> None:
        """Forget every result; any thread. Calls under way are not kept either."""
        self._store.clear()

    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Forget the result for these arguments; any thread."""
        owners = () if self._instance is None else (self._instance,)
        self._store.drop(_key_of(self._key, (*owners, *args), kwargs))

    if TYPE_CHECKING:

        @overload  # a class method
        def __get__(
            self: Cached[Concatenate[type[Any], _Q], _R],
            instance: object,
            owner: Any = None,
        ) -> Cached[_Q, _R]: ...
        @overload
        def __get__(self, instance: None, owner: Any = None) -> Cached[_P, _R]: ...
        @overload
        def __get__(
            self: Cached[Concatenate[Any, _Q], _R], instance: object, owner: Any = None
        ) -> Cached[_Q, _R]: ...
        def __get__(self, instance: Any, owner: Any = None) -> Any: ...


class _Decorator:
    """What `cached` returns."""

    def __init__(self, ttl: Optional[float], maxsize: float, key: _Key) -> None:
        self._ttl, self._maxsize, self._key = ttl, maxsize, key

    @overload
    def __call__(self, fn: Dual[_P, _R]) -> Cached[_P, _R]: ...
    @overload
    def __call__(self, fn: Callable[_P, Awaitable[_R]]) -> Cached[_P, _R]: ...
    @overload
    def __call__(self, fn: Callable[_P, _R]) -> Cached[_P, _R]: ...
    def __call__(self, fn: Any) -> Any:
        inner: Any = fn if isinstance(fn, Dual) else dual(fn)
        above = isinstance(fn, (classmethod, staticmethod))
        if above or not isinstance(inner, Dual):
            raise TypeError(
                f"@cached is for a function that returns its result, not {fn!r}; "
                "put it below @classmethod and @staticmethod, and on no generator"
            )
        store, key = Store(self._ttl, self._maxsize), self._key

        def blocking(*args: Any, **kwargs: Any) -> Any:
            made = functools.partial(inner, *args, **kwargs)
            return call(store, _key_of(key, args, kwargs), made)

        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            made = functools.partial(inner.aio, *args, **kwargs)
            return await call_aio(store, _key_of(key, args, kwargs), made)

        made: Any = Cached(fn, blocking, asynchronous)
        made._store, made._key = store, key
        return made


def _key_of(key: _Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    made = key(*args, **kwargs)
    try:
        hash(made)
    except TypeError as error:
        raise TypeError(
            f"the arguments of a cached function must be hashable ({error}); "
            "say what tells them apart with @cached(key=lambda ...: ...)"
        ) from None
    return made


def cached(
    *,
    ttl: Optional[float] = None,
    maxsize: float = 1024,
    key: _Key = hashkey,
) -> _Decorator:
    """Return a decorator that keeps a function's results; any thread.

    One call is made for each key however many ask for it at once, in both colours
    together; the others wait for its result. A call that raises is not kept. On a
    method the object is part of the key, so it is kept as long as the result.

    Args:
        ttl: Seconds for which a result is given out; None: for ever.
        maxsize: Results kept; the one used least recently goes first.
        key: Gets the arguments, and returns what tells calls apart. Default: all of
            them, which must be hashable.

    Returns:
        A decorator for a function of either colour, or one that is `dual` already;
        what it makes is dual, and has ``statistics()``, ``clear()`` and
        ``invalidate(*args)``.

    Raises:
        ConfigurationError: ``ttl`` or ``maxsize`` is not positive.
        TypeError: When it decorates something else.
    """
    check_seconds("ttl", ttl)
    if not is_number(maxsize) or maxsize <= 0:
        raise ConfigurationError(f"maxsize must be positive, not {maxsize!r}")
    if not callable(key):
        raise TypeError(f"key must be a function of the arguments, not {key!r}")
    return _Decorator(ttl, maxsize, key)
