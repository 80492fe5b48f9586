"""What a thread is told of its loop, while it runs a body and afterwards."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

import pytest

from tornado_unblock import run_in_executor
from tornado_unblock._loop import thread_loop

WAIT = 10.0


def in_thread(fn: Callable[[], Any]) -> Any:
    """Run it in a thread that never had a loop."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(fn()))
    thread.start()
    thread.join(WAIT)
    return found[0]


def current() -> Any:
    """Return what asyncio says is this thread's loop, or None."""
    try:
        return asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        return None


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_home(loop):
    """Between `enter` and `leave` a thread has the loop; it does not run there."""

    def thread() -> Any:
        thread_loop.enter(loop)
        try:
            inside = current(), asyncio._get_running_loop(), thread_loop.running_loop()
        finally:
            thread_loop.leave()
        return (*inside, current())

    assert in_thread(thread) == (loop, None, None, None)


def test_shown_as_running(loop):
    """To asyncio it runs here; to the library it does not."""

    def thread() -> Any:
        thread_loop.enter(loop, shown=True)
        try:
            inside = asyncio.get_running_loop(), thread_loop.running_loop()
        finally:
            thread_loop.leave()
        return (*inside, asyncio._get_running_loop(), thread_loop.running_loop())

    assert in_thread(thread) == (loop, None, None, None)


def own_and_closed() -> None:
    own = asyncio.new_event_loop()
    asyncio.set_event_loop(own)
    own.close()


async def nothing() -> None: ...


@pytest.mark.parametrize(
    "spoil", [own_and_closed, lambda: asyncio.run(nothing())], ids=["closed", "run"]
)
def test_home_is_found_again(loop, spoil):
    """After the body has run or closed a loop of its own."""

    def thread() -> Any:
        thread_loop.enter(loop)
        try:
            spoil()
            return current()
        finally:
            thread_loop.leave()

    assert in_thread(thread) is loop


def test_a_loop_of_its_own(loop):
    """One that the body has set and not closed is what it asked for."""

    def thread() -> Any:
        thread_loop.enter(loop)
        own = asyncio.new_event_loop()
        try:
            asyncio.set_event_loop(own)
            return current() is own
        finally:
            thread_loop.leave()
            own.close()

    assert in_thread(thread)


def test_a_loop_that_really_runs(loop):
    """In a body's own loop, that one runs: its rules apply."""

    async def look() -> Any:
        return thread_loop.running_loop() is asyncio.get_running_loop()

    def thread() -> Any:
        thread_loop.enter(loop)
        try:
            return asyncio.run(look())
        finally:
            thread_loop.leave()

    assert in_thread(thread)


def test_bodies():
    """A body finds its application's loop, and its worker keeps none."""
    loops: list[Any] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        loops.append(await run_in_executor(current))

    for _ in range(2):
        asyncio.run(main())
    assert loops[0] is loops[1]
    assert loops[2] is loops[3] is not loops[0]
