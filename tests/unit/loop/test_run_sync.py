"""A body has its application's loop run a coroutine, and waits; the loop goes on."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any, Callable

import pytest
from tornado import gen, util
from tornado.ioloop import IOLoop

from tornado_unblock import AbandonedError, cancelled, configure, run_in_executor

WAIT = 10.0

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def in_body(body: Callable[[], Any]) -> Any:
    """Run a function as a body, and return what it returns."""

    async def main() -> Any:
        return await run_in_executor(body)

    return asyncio.run(main())


async def where() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


@gen.coroutine
def old_style() -> Any:
    yield gen.moment
    return "old"


def plain() -> None:
    """Returns nothing to wait for."""


@pytest.mark.parametrize(
    ("func", "expected"), [(where, "MainThread"), (old_style, "old"), (plain, None)]
)
def test_result(func: Callable[[], Any], expected: Any):
    """Native, of Tornado's kind, or nothing at all: on the loop thread."""
    assert in_body(lambda: IOLoop.current().run_sync(func)) == expected


@pytest.mark.parametrize(
    "error", [LookupError("no"), SystemExit(3), asyncio.CancelledError()]
)
def test_error(error: BaseException):
    """It is raised in the body, whatever it is, and the loop goes on."""

    async def fail() -> None:
        raise error

    def body() -> str:
        with pytest.raises(type(error)):
            IOLoop.current().run_sync(fail)
        return "goes on"

    assert in_body(body) == "goes on"


def test_context():
    """The coroutine sees the variables of the body."""

    async def look() -> str:
        return variable.get()

    def body() -> Any:
        variable.set("of the body")
        return IOLoop.current().run_sync(look)

    assert in_body(body) == "of the body"


def test_timeout():
    """The coroutine is cancelled, has ended, and the error is Tornado's."""
    log: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            log.append("ended")

    def body() -> None:
        with pytest.raises(util.TimeoutError, match=r"timed out after 0\.01 seconds"):
            IOLoop.current().run_sync(forever, timeout=0.01)
        log.append("raised")

    in_body(body)
    assert log == ["ended", "raised"]


def test_what_a_late_coroutine_returns():
    """One that ends well although it was cancelled has its result."""

    async def stubborn() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "ended well"
        return "never"

    def body() -> Any:
        return IOLoop.current().run_sync(stubborn, timeout=0.01)

    assert in_body(body) == "ended well"


def test_token_is_lent_meanwhile():
    """Others run while the body waits, with one worker for all of them."""
    configure(max_workers=1)

    async def other() -> int:
        return await run_in_executor(int, "7")

    assert in_body(lambda: IOLoop.current().run_sync(other)) == 7


def test_abandoned():
    """The coroutine is cancelled when nobody waits for the body any more."""
    waits, ended = threading.Event(), threading.Event()
    errors: list[str] = []

    async def forever() -> None:
        waits.set()
        await asyncio.get_running_loop().create_future()

    def body() -> None:
        try:
            IOLoop.current().run_sync(forever)
        except AbandonedError as error:
            errors.append(str(error))
            assert cancelled()
        finally:
            ended.set()

    async def main() -> None:
        future = run_in_executor(body)
        assert await run_in_executor(waits.wait, WAIT)
        future.cancel()
        assert await run_in_executor(ended.wait, WAIT)

    asyncio.run(main())
    (message,) = errors
    assert "whoever awaited it was cancelled" in message


def test_stop():
    """In a body it is carried to the loop thread; the loop there does stop."""
    loop = asyncio.new_event_loop()
    runs = threading.Event()

    def body() -> None:
        assert runs.wait(WAIT)
        IOLoop.current().stop()

    async def begin() -> Any:
        return [run_in_executor(body)]

    (future,) = loop.run_until_complete(begin())
    loop.call_soon(runs.set)
    loop.run_forever()
    loop.run_until_complete(future)
    loop.close()


def test_on_the_loop_thread():
    """Tornado's own is called there: for a loop that runs, it refuses."""

    async def main() -> None:
        await run_in_executor(int)
        with pytest.raises(RuntimeError, match="already running"):
            IOLoop.current().run_sync(plain)

    asyncio.run(main())
