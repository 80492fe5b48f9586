"""`stack_context` of old: what goes along with a callback."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tornado import gen
from tornado.ioloop import IOLoop

from tests.patience import WAIT
from tornado_unblock import run_in_executor
from tornado_unblock.shim import legacy
from tornado_unblock.shim.legacy import ExceptionStackContext, NullContext, StackContext


class Story:
    """Contexts that say when they are entered and left."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    @contextlib.contextmanager
    def told(self, name: str) -> Iterator[None]:
        self.lines.append(f"+{name}")
        try:
            yield
        except Exception as error:
            self.lines.append(f"!{name}")
            error.args = (*error.args, name)
            raise
        self.lines.append(f"-{name}")

    def context(self, name: str) -> StackContext:
        return StackContext(lambda: self.told(name))

    def catcher(self, name: str, ends: bool = True) -> ExceptionStackContext:
        def handle(kind: Any, error: Any, trace: Any) -> bool:
            self.lines.append(f"{name}: {kind.__name__} {trace is not None}")
            return ends

        return ExceptionStackContext(handle, delay_warning=True)


@pytest.fixture
def story() -> Story:
    return Story()


def boom() -> None:
    raise ValueError("boom")


def test_stack_context_goes_along(story):
    """It is entered anew around each callback, outermost first."""

    async def main() -> None:
        loop, done = IOLoop.current(), asyncio.Event()
        with story.context("a"), story.context("b"):
            loop.add_callback(story.lines.append, "soon")
            loop.call_later(0, done.set)
            loop.add_timeout(loop.time(), story.lines.append, "timer")
        story.lines.append("between")
        await done.wait()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert story.lines[:5] == ["+a", "+b", "-b", "-a", "between"]
    assert story.lines[5:10] == ["+a", "+b", "soon", "-b", "-a"]
    assert "timer" in story.lines


def test_nothing_goes_along_without_a_context(story):
    """Other callbacks run as ever, on the same loop."""

    async def main() -> None:
        loop = IOLoop.current()
        with story.context("a"):
            pass
        loop.add_callback(story.lines.append, "plain")
        await asyncio.sleep(0)
        with story.context("b"), NullContext():
            loop.add_callback(story.lines.append, "null")
        await asyncio.sleep(0)

    asyncio.run(main())
    assert story.lines == ["+a", "-a", "plain", "+b", "-b", "null"]


def test_exceptions_go_to_the_contexts(story):
    """Innermost first, until one takes it."""

    async def main() -> None:
        with story.catcher("outer"), story.catcher("inner", ends=False):
            with story.context("told"):
                IOLoop.current().add_callback(boom)
        await asyncio.sleep(0)
        with story.catcher("block"):
            boom()

    asyncio.run(main())
    told = ["+told", "-told", "+told", "!told"]
    assert story.lines == [
        *told,
        "inner: ValueError True",
        "outer: ValueError True",
        "block: ValueError True",
    ]


def test_what_nobody_takes_is_logged(story, expect_log):
    """As the loop logs any error of a callback."""

    async def main() -> None:
        with story.catcher("outer", ends=False):
            IOLoop.current().add_callback(boom)
        await asyncio.sleep(0)

    expect_log("tornado.application", "Exception in callback")
    asyncio.run(main())
    assert story.lines == ["outer: ValueError True"]


def test_a_stack_context_swallows_nothing():
    """Its manager sees the exception, and cannot end it."""

    @contextlib.contextmanager
    def swallow() -> Iterator[None]:
        with contextlib.suppress(ValueError):
            yield

    with pytest.raises(ValueError, match="boom"):
        with StackContext(swallow):
            boom()


def test_deactivate(story):
    """Later callbacks go without."""

    async def main() -> None:
        with story.context("a") as deactivate:
            IOLoop.current().add_callback(story.lines.append, "later")
            deactivate()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert story.lines == ["+a", "-a", "later"]


def test_contexts_are_left_in_order(story):
    """The other order is an error, that says so."""
    one, two = story.context("one"), story.context("two")
    one.__enter__()
    two.__enter__()
    with pytest.raises(legacy.StackContextInconsistentError, match="reverse order"):
        one.__exit__(None, None, None)
    with pytest.raises(legacy.StackContextInconsistentError):
        two.__exit__(None, None, None)
    with story.context("three"):
        pass
    assert story.lines[-2:] == ["+three", "-three"]


def test_wrap(story):
    """It carries contexts and context variables to whoever calls it."""
    user = contextvars.ContextVar("user", default="nobody")

    def told(word: str) -> str:
        story.lines.append(f"{word} {user.get()}")
        return word

    token = user.set("ada")
    with story.context("a"):
        wrapped = legacy.wrap(told)
    user.reset(token)
    assert wrapped("here") == "here"
    thread = threading.Thread(target=wrapped, args=("there",))
    thread.start()
    thread.join(WAIT)
    assert story.lines[2:] == ["+a", "here ada", "-a", "+a", "there ada", "-a"]
    assert wrapped.__name__ == "told"
    assert legacy.wrap(wrapped) is wrapped
    assert legacy.wrap(None) is None  # type: ignore[type-var]


def test_a_wrapped_callback_enters_once(story):
    """However often it is wrapped on its way."""

    async def main() -> None:
        with story.context("a"):
            wrapped = legacy.wrap(story.lines.append)
            IOLoop.current().add_callback(wrapped, "called")
        await asyncio.sleep(0)

    asyncio.run(main())
    assert story.lines == ["+a", "-a", "+a", "called", "-a"]


def test_run_with_stack_context(story):
    """A coroutine that runs in a context."""

    @gen.coroutine
    def inner() -> Any:
        story.lines.append("inner")
        yield gen.moment
        raise gen.Return(7)

    async def main() -> Any:
        context = story.context("a")
        return await legacy.run_with_stack_context(context, inner)

    assert asyncio.run(main()) == 7
    # Again for what it does after the yield.
    assert story.lines == ["+a", "inner", "-a", "+a", "-a"]


def test_a_context_in_a_coroutine(story):
    """Contexts of coroutines that run side by side do not mix."""

    async def one(name: str) -> None:
        with story.catcher(name):
            await asyncio.sleep(0)
            IOLoop.current().add_callback(boom)
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(one("a"), one("b"))

    asyncio.run(main())
    assert sorted(story.lines) == ["a: ValueError True", "b: ValueError True"]


def test_contexts_of_a_worker(story):
    """A function on a worker hands out callbacks, with its contexts."""

    def work() -> None:
        with story.catcher("worker"):
            IOLoop.current().add_callback(boom)

    async def main() -> None:
        await run_in_executor(work)
        while not story.lines:  # noqa: ASYNC110 - the log is all there is to see
            await asyncio.sleep(0)

    asyncio.run(main())
    assert story.lines == ["worker: ValueError True"]
