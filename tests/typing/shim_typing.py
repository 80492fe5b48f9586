"""What a user's type checker makes of the shim: both ways to call, of either colour.

Never run: mypy and basedpyright read it, see test_typing.py. Each line marked `ignore`
has to be an error for both of them, since an ignore without one is an error itself.

Left out, for they are typed wrongly, as docs/shim.md says: `C.method(c, x)`, and
static methods.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Callable, Optional

from tornado.web import RequestHandler
from typing_extensions import assert_type

from tornado_unblock import shim, unblock


@shim.dual
def load(key: int, *, default: str = "") -> list[str]:
    return [default] * key


@shim.dual
async def fetch(key: int) -> list[str]:
    return [str(key)]


@shim.dual
def lines(count: int) -> Iterator[str]:
    yield from map(str, range(count))


@shim.dual
async def pages(count: int) -> AsyncIterator[str]:
    yield str(count)


@shim.contextmanager
def transaction(name: str) -> Iterator[int]:
    yield len(name)


@shim.contextmanager
async def session(name: str) -> AsyncIterator[int]:
    yield len(name)


def old_total(key: int, cents: bool = False) -> float:
    return float(key)


async def new_total(key: int, cents: bool = False) -> float:
    return float(key)


total = shim.pair(old_total, new_total)


class Desk:
    @shim.dual
    def price(self, show: str) -> int:
        return len(show)

    @shim.dual
    async def reserve(self, show: str, seats: int = 1) -> Optional[str]:
        return show if seats else None

    @shim.dual
    @classmethod
    def named(cls, name: str) -> Desk:
        return cls()

    @shim.dual
    def rows(self, count: int) -> Iterator[str]:
        yield from map(str, range(count))

    @shim.contextmanager
    def transaction(self, name: str) -> Iterator[int]:
        yield len(name)


def blocks(desk: Desk) -> None:
    """`f(x)` gives the result, whatever the colour of the body."""
    assert_type(load(1, default=""), list[str])
    assert_type(fetch(1), list[str])
    assert_type(total(1, cents=True), float)
    assert_type(desk.price("x"), int)
    assert_type(desk.reserve("x"), Optional[str])
    assert_type(Desk.named("x"), Desk)
    assert_type(desk.named("x"), Desk)
    load("x")  # type: ignore[arg-type]
    load()  # type: ignore[call-arg]
    total(1, cents="x")  # type: ignore[arg-type]
    desk.price()  # type: ignore[call-arg]
    desk.reserve("x", seats="x")  # type: ignore[arg-type]


async def awaits(desk: Desk) -> None:
    """So does `await f.aio(x)`."""
    assert_type(await load.aio(1, default=""), list[str])
    assert_type(await fetch.aio(1), list[str])
    assert_type(await total.aio(1, cents=True), float)
    assert_type(await desk.price.aio("x"), int)
    assert_type(await desk.reserve.aio("x"), Optional[str])
    assert_type(await Desk.named.aio("x"), Desk)
    both = await asyncio.gather(desk.price.aio("x"), desk.price.aio("y"))
    assert_type(both, tuple[int, int])
    asyncio.create_task(fetch.aio(1)).cancel()
    await load.aio("x")  # type: ignore[arg-type]
    await total.aio(1, cents="x")  # type: ignore[arg-type]
    await desk.price.aio()  # type: ignore[call-arg]
    await load(1)  # type: ignore[misc]


def iterates(desk: Desk) -> None:
    """Generators of either colour, with `for`."""
    for line in lines(1):
        assert_type(line, str)
    for page in pages(1):
        assert_type(page, str)
    for row in desk.rows(1):
        assert_type(row, str)
    lines("x")  # type: ignore[arg-type]


async def iterates_async(desk: Desk) -> None:
    """And with `async for`."""
    async for line in lines(1):
        assert_type(line, str)
    async for line in lines.aio(1):
        assert_type(line, str)
    async for page in pages.aio(1):
        assert_type(page, str)
    async for row in desk.rows.aio(1):
        assert_type(row, str)
    pages.aio("x")  # type: ignore[arg-type]


def enters(desk: Desk) -> None:
    """Context managers of either colour, with `with`."""
    with transaction("x") as number:
        assert_type(number, int)
    with session("x") as number:
        assert_type(number, int)
    with desk.transaction("x") as number:
        assert_type(number, int)
    transaction(1)  # type: ignore[arg-type]


async def enters_async(desk: Desk) -> None:
    """And with `async with`."""
    async with transaction("x") as number:
        assert_type(number, int)
    async with session("x") as number:
        assert_type(number, int)
    async with desk.transaction("x") as number:
        assert_type(number, int)
    session(1)  # type: ignore[arg-type]


class Handler(RequestHandler):
    @unblock
    def get(self) -> None:
        assert_type(shim.wait(fetch.aio(1)), list[str])
        self.write({"lines": load(1)})

    async def post(self) -> None:
        self.write({"lines": await load.aio(1)})


def passes_on(sync_fn: Callable[[int], str], made: Awaitable[str]) -> None:
    """What was made elsewhere is typed, too."""
    assert_type(shim.dual(sync_fn), shim.Dual[[int], str])
    assert_type(shim.wait(made), str)
    shim.wait(1)  # type: ignore[arg-type]
    shim.pair(old_total, load)  # type: ignore[arg-type]
    shim.dual(1)  # type: ignore[call-overload]
    shim.contextmanager(old_total)  # type: ignore[arg-type, call-overload, unused-ignore]
