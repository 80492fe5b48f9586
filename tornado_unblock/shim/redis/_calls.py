"""Which methods are commands of the server, and methods with two ways to call them.

# Threads: any; nothing here has state but a `Scan`, which belongs to who iterates.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, NamedTuple, Optional

import redis

from tornado_unblock.shim._crossing.wait import check_may_block

_MODULES = ("redis.commands.core", "redis.commands.sentinel")


def _functions() -> Iterator[tuple[str, Any]]:
    for name, fn in inspect.getmembers(redis.Redis, inspect.isfunction):
        if fn.__module__ in _MODULES and not name.startswith("_"):
            yield name, fn


COMMANDS = [
    name
    for name, fn in _functions()
    if not inspect.isgeneratorfunction(fn) and name != "register_script"
]
"""The methods that send one command."""

SCANS = [name for name, fn in _functions() if inspect.isgeneratorfunction(fn)]
"""The generator methods."""


class Call(NamedTuple):
    """A method of an object: called, or awaited as ``.aio``."""

    blocking: Callable[..., Any]
    aio: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.blocking(*args, **kwargs)


class CallMethod:
    """A method that does not block as it is, and has another way to be awaited."""

    def __init__(self, blocking: Any, asynchronous: Any) -> None:
        self._blocking, self._asynchronous = blocking, asynchronous

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return Call(
            functools.partial(self._blocking, instance),
            functools.partial(self._asynchronous, instance),
        )

    def __call__(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        return self._blocking(instance, *args, **kwargs)


class Scan:
    """What a scan returns: ``for`` blocks, ``async for`` does not."""

    def __init__(
        self,
        name: str,
        blocking: Callable[[], Iterator[Any]],
        asynchronous: Callable[[], AsyncIterator[Any]],
    ) -> None:
        self._name = name
        self._blocking, self._asynchronous = blocking, asynchronous
        self._iterator: Optional[Iterator[Any]] = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        check_may_block(f"iterating over {self._name}(...)", "write `async for` there")
        if self._iterator is None:
            self._iterator = self._blocking()
        return next(self._iterator)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._asynchronous()


class ScanMethod:
    """A generator method: ``for x in r.m()``, ``async for x in r.m()``.

    Args:
        original: The sync generator function.
        other: What has the async generator function of the same name, given the
            object whose method it is.
    """

    def __init__(self, original: Any, other: Callable[[Any], Any]) -> None:
        self._original, self._other = original, other

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self

        def make(*args: Any, **kwargs: Any) -> Scan:
            name = self._original.__name__
            blocking = functools.partial(self._original, instance, *args, **kwargs)
            return Scan(
                name,
                blocking,
                lambda: getattr(self._other(instance), name)(*args, **kwargs),
            )

        return Call(make, make)
