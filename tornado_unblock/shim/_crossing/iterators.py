"""Generators of either colour, iterated with ``for`` or with ``async for``.

# Threads: any. A sync generator runs in one thread from its first step to its end:
# the one that iterates, or a worker held for it; an async one runs in one task.
# Guarantees: whoever leaves early closes the generator, where it ran.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any, Callable, Generic, TypeVar, Union

from tornado_unblock._executors.functions import describe
from tornado_unblock.shim._crossing.held import held_lane
from tornado_unblock.shim._crossing.homes import TaskHome, ThreadHome
from tornado_unblock.shim._crossing.wait import check_may_block

_T = TypeVar("_T")


class _End:
    """No value: the generator has ended."""


_END = _End()


def is_generator(fn: Callable[..., object]) -> bool:
    """Whether calling ``fn`` makes a generator, of either colour."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)


class DualIterator(Generic[_T]):
    """What a generator function that is `dual` returns: iterable in both colours.

    Making one never blocks. ``for`` blocks, so it is refused where a loop runs;
    ``async for`` does not.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[_T]:
        name = describe(self._make)
        check_may_block(f"iterating over {name}(...)", "write `async for` there")
        made = self._make()
        return _waiting(made) if isinstance(made, AsyncGenerator) else iter(made)

    def __aiter__(self) -> AsyncGenerator[_T, None]:
        made = self._make()
        if isinstance(made, AsyncGenerator):
            return made
        return _stepping(made, describe(self._make))


def _waiting(generator: AsyncGenerator[_T, None]) -> Iterator[_T]:
    home = TaskHome()

    async def step() -> Union[_T, _End]:
        async for value in generator:
            return value
        return _END

    async def close() -> None:
        await generator.aclose()

    try:
        while True:
            value = home.run(step)
            if isinstance(value, _End):
                return
            yield value
    finally:
        home.run_last(close)


async def _stepping(
    generator: Generator[_T, None, None], name: str
) -> AsyncGenerator[_T, None]:
    def step() -> Union[_T, _End]:
        return next(generator, _END)

    async with held_lane(name) as lane:
        home = ThreadHome(lane, name)
        try:
            while True:
                value = await home.run(step)
                if isinstance(value, _End):
                    return
                yield value
        finally:
            await home.run(generator.close)
