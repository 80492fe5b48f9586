"""The steps of a generator find at one what they left at the last."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any, Callable

import pytest

from tornado_unblock import run_in_executor
from tornado_unblock.shim._crossing.held import held_lane
from tornado_unblock.shim._crossing.homes import TaskHome, ThreadHome

inside: contextvars.ContextVar[str] = contextvars.ContextVar("inside", default="-")
outside: contextvars.ContextVar[str] = contextvars.ContextVar("outside", default="-")


def look() -> tuple[str, str]:
    return inside.get(), outside.get()


def in_thread_home(script: Callable[[ThreadHome], Any]) -> Any:
    async def main() -> Any:
        async with held_lane("steps") as lane:
            return await script(ThreadHome(lane, "steps"))

    return asyncio.run(main())


def in_task_home(script: Callable[[TaskHome], Any]) -> Any:
    async def main() -> Any:
        return await run_in_executor(lambda: script(TaskHome()))

    return asyncio.run(main())


def test_thread_steps_share_a_thread_and_a_context():
    """A token made at one step is reset at another."""
    local = threading.local()

    def begin() -> Any:
        local.session = "open"
        return inside.set("set")

    def end(token: Any) -> str:
        inside.reset(token)
        return str(local.session)

    async def script(home: ThreadHome) -> Any:
        token = await home.run(begin)
        middle = await home.run(inside.get)
        return middle, await home.run(lambda: end(token)), await home.run(inside.get)

    assert in_thread_home(script) == ("set", "open", "-")


def test_thread_steps_and_the_code_around_them_see_each_other():
    """What one sets the other finds, and what is unset is unset."""

    async def script(home: ThreadHome) -> None:
        token = outside.set("of the code")
        assert await home.run(look) == ("-", "of the code")
        await home.run(lambda: inside.set("of the step"))
        assert look() == ("of the step", "of the code")
        outside.reset(token)
        assert await home.run(look) == ("of the step", "-")

    in_thread_home(script)


def test_thread_step_that_fails():
    """Its error is raised where the step was asked for; the next one runs."""

    def fail() -> None:
        inside.set("before it failed")
        raise LookupError("no")

    async def script(home: ThreadHome) -> Any:
        with pytest.raises(LookupError, match="no"):
            await home.run(fail)
        assert inside.get() == "before it failed"
        return await home.run(inside.get)

    assert in_thread_home(script) == "before it failed"


def test_task_steps_share_a_task_and_a_context():
    """What asks `current_task` or resets a token finds the same; then the task ends."""
    tasks: list[Any] = []

    async def begin() -> Any:
        tasks.append(asyncio.current_task())
        return inside.set("set")

    async def end(token: Any) -> None:
        tasks.append(asyncio.current_task())
        inside.reset(token)

    def script(home: TaskHome) -> Any:
        token = home.run(begin)
        assert inside.get() == "set"
        home.run_last(lambda: end(token))
        return inside.get()

    assert in_task_home(script) == "-"
    first, last = tasks
    assert first is last
    assert first.done()


def test_task_step_that_fails():
    """As an inline one would; the last is run nevertheless."""
    ran: list[str] = []

    async def fail() -> None:
        raise SystemExit("no")

    async def last() -> None:
        ran.append("last")

    def script(home: TaskHome) -> None:
        with pytest.raises(SystemExit, match="no"):
            home.run(fail)
        home.run_last(last)

    in_task_home(script)
    assert ran == ["last"]


def test_task_step_that_is_cancelled():
    """A step that cancels its own task raises that, and no step comes after it."""

    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def look() -> str:
        return "another step"

    def script(home: TaskHome) -> Any:
        with pytest.raises(asyncio.CancelledError):
            home.run(cancel)
        return home.run(look)

    assert in_task_home(script) == "another step"
