"""Generators of either colour, iterated by either colour of code."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.unit.shim.conftest import (
    in_coroutine,
    in_foreign_thread,
    in_script,
    in_worker,
)
from tornado_unblock import LoopThreadError, configure, run_in_executor, shim, unblock

Events = list[tuple[str, str]]


def note(events: Events, what: str) -> None:
    events.append((what, threading.current_thread().name))


@shim.dual
def sync_rows(events: Events, count: int) -> Iterator[int]:
    """Count in a worker."""
    try:
        for number in range(count):
            note(events, str(number))
            yield number
    finally:
        note(events, "closed")


@shim.dual
async def async_rows(events: Events, count: int) -> AsyncIterator[int]:
    """Count on the loop, with a sync step between."""
    try:
        for number in range(count):
            await asyncio.sleep(0)
            await step.aio(events, str(number))
            yield number
    finally:
        await step.aio(events, "closed")


@shim.dual
def step(events: Events, what: str) -> None:
    note(events, what)


ROWS = {"sync": sync_rows, "async": async_rows}
each_colour = pytest.mark.parametrize("colour", ROWS)
each_thread = pytest.mark.parametrize(
    "place", [in_script, in_foreign_thread, in_worker], ids=lambda f: f.__name__
)


def whats(events: Events) -> list[str]:
    assert len({thread for _, thread in events}) == 1
    return [what for what, _ in events]


@each_colour
@each_thread
def test_for(colour, place):
    """`for` gets every item, all of them made in one thread."""
    events: Events = []
    assert place(lambda: list(ROWS[colour](events, 3))) == [0, 1, 2]
    assert whats(events) == ["0", "1", "2", "closed"]


@each_colour
@each_thread
def test_leaving_a_for_early(colour, place):
    """The generator is closed where it was used."""
    events: Events = []

    def body() -> int:
        for number in ROWS[colour](events, 3):
            return number
        raise AssertionError

    assert place(body) == 0
    assert whats(events) == ["0", "closed"]


@each_colour
@pytest.mark.parametrize("through", ["aio", "call"])
def test_async_for(colour, through):
    """`async for` gets every item, and the loop stays free."""
    events: Events = []
    rows = ROWS[colour].aio if through == "aio" else ROWS[colour]

    async def main() -> list[int]:
        return [number async for number in rows(events, 3)]

    assert in_coroutine(main) == [0, 1, 2]
    assert [what for what, _ in events] == ["0", "1", "2", "closed"]
    if colour == "sync":
        assert {thread for _, thread in events} == {"unblock-default-1"}


@each_colour
def test_leaving_an_async_for_early(colour):
    """The generator is closed, and its worker let go, at the latest with the loop."""
    configure(max_workers=1, max_waiting=0)
    events: Events = []

    async def main() -> Any:
        rows = ROWS[colour].aio(events, 3)
        async for _ in rows:
            break
        await rows.aclose()
        return await run_in_executor(lambda: threading.current_thread().name)

    assert in_coroutine(main) == "unblock-default-1"
    assert whats(events) == ["0", "closed"]


@each_colour
def test_errors(colour):
    """What the body raises is raised, in both."""

    @shim.dual
    def sync_body() -> Iterator[int]:
        yield 1
        raise KeyError("x")

    @shim.dual
    async def async_body() -> AsyncIterator[int]:
        yield 1
        raise KeyError("x")

    body = {"sync": sync_body, "async": async_body}[colour]

    async def main() -> None:
        async for number in body():
            assert number == 1

    with pytest.raises(KeyError, match="x"):
        list(body())
    with pytest.raises(KeyError, match="x"):
        in_coroutine(main)


@each_colour
def test_refused_on_the_loop_thread(colour):
    """`for` would stall the loop, and says what to write; making one does not."""

    async def main() -> None:
        rows = ROWS[colour]([], 1)
        list(rows)

    with pytest.raises(LoopThreadError, match="write `async for` there"):
        asyncio.run(main())


def test_methods_and_partials():
    """As methods they bind, and `functools.partial` objects are seen through."""

    class Table:
        rows = ["a", "b"]

        @shim.dual
        def each(self, times: int = 1) -> Iterator[str]:
            """Yield the rows."""
            yield from self.rows * times

    assert list(Table().each()) == ["a", "b"]
    assert list(Table().each(times=2)) == ["a", "b", "a", "b"]
    assert Table.each.__doc__ == "Yield the rows."
    events: Events = []
    two = shim.dual(functools.partial(sync_rows.__wrapped__, events, count=2))
    assert list(two()) == [0, 1]


def test_streamed_by_handlers(serve):
    """A body streams it as its own generator; a native handler with `async for`."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Iterator[str]:
            for number in async_rows([], 3):
                yield f"{number},"

        async def post(self) -> None:
            async for number in sync_rows([], 3):
                self.write(f"{number},")
                await self.flush()

    server = serve(Application([("/", Handler)]))
    assert b"0," in server.get("/").raw
    assert b"2," in server.get("/", method="POST").raw
