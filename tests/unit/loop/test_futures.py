"""A Future of the loop is given what another has, or will have."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from typing import Any, Callable

import pytest

from tornado_unblock._loop.futures import _copy_not_awaited, copy_outcome, deliver

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def pair() -> tuple[asyncio.Future[Any], asyncio.Future[Any]]:
    loop = asyncio.get_running_loop()
    return loop.create_future(), loop.create_future()


async def settled() -> None:
    """Let the callbacks of Futures run."""
    for _ in range(3):
        await asyncio.sleep(0)


def succeed(future: asyncio.Future[Any]) -> None:
    future.set_result("done")


def fail(future: asyncio.Future[Any]) -> None:
    future.set_exception(LookupError("not found"))


def outcome(future: asyncio.Future[Any]) -> Any:
    if future.cancelled():
        return "cancelled"
    return repr(future.exception()) if future.exception() else future.result()


ENDS = pytest.mark.parametrize(
    ("end", "expected"),
    [
        (succeed, "done"),
        (fail, "LookupError('not found')"),
        (asyncio.Future.cancel, "cancelled"),
    ],
)


@ENDS
@pytest.mark.parametrize("before", [True, False])
def test_copied(end: Callable[[Any], Any], expected: str, before: bool):
    """Result, error and cancellation, whether they are there or come later."""

    async def main() -> Any:
        source, target = pair()
        if before:
            end(source)
        copy_outcome(source, target)
        if not before:
            assert not target.done()
            end(source)
        await settled()
        return outcome(target), outcome(source)

    assert asyncio.run(main()) == (expected, expected)


@ENDS
def test_target_that_has_one_already(end: Callable[[Any], Any], expected: str):
    """It keeps its own, and the source is left alone."""

    async def main() -> None:
        source, target = pair()
        copy_outcome(source, target)
        target.set_result("own")
        await settled()
        assert not source.done()
        end(source)
        await settled()
        assert target.result() == "own"
        assert outcome(source) == expected

    asyncio.run(main())


def test_cancelled_target_cancels_its_source():
    """Nobody waits for it any more; one that is done stays as it is."""

    async def main() -> None:
        source, target = pair()
        copy_outcome(source, target)
        target.cancel()
        await settled()
        assert source.cancelled()

        source, target = pair()
        copy_outcome(source, target)
        target.cancel()
        source.set_result("done")
        await settled()
        assert source.result() == "done"

    asyncio.run(main())


async def look() -> str:
    return variable.get()


class Awaitable:
    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return variable.get()


def done_elsewhere() -> concurrent.futures.Future[str]:
    future: concurrent.futures.Future[str] = concurrent.futures.Future()
    future.set_result("elsewhere")
    return future


def done_here() -> asyncio.Future[str]:
    future = asyncio.get_running_loop().create_future()
    future.set_result("here")
    return future


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: 7, 7),
        (lambda: None, None),
        (done_here, "here"),
        (done_elsewhere, "elsewhere"),
        (look, "of the body"),
        (Awaitable, "of the body"),
    ],
)
def test_delivered(make: Callable[[], Any], expected: Any):
    """A value as it is; what can be awaited, awaited in the body's context."""
    context = contextvars.Context()
    context.run(variable.set, "of the body")

    async def main() -> Any:
        future = asyncio.get_running_loop().create_future()
        deliver(make(), future, context)
        return await future

    assert asyncio.run(main()) == expected


def test_copy_that_nobody_wants_any_more():
    """A Future of another loop that was cancelled meanwhile stays as it is."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        own, done = loop.create_future(), loop.create_future()
        done.set_result(1)
        own.cancel()
        _copy_not_awaited(own, done)
        assert own.cancelled()

    asyncio.run(main())
