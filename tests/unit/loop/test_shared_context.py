"""One Context for a coroutine and for the bodies that it awaits."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tornado_unblock import RunTimeoutError, run_in_executor
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._loop.shared_context import Place, SharedContext, in_one_context

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def run(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine that shares its Context."""

    async def main() -> Any:
        return await in_one_context(current_portal(), make())

    return asyncio.run(main())


def test_tokens_go_both_ways():
    """What one side has set, the other can reset; both see each other's values."""

    def body() -> contextvars.Token[str]:
        user.reset(token)
        assert user.get() == "nobody"
        return user.set("body")

    async def work() -> str:
        nonlocal token
        token = user.set("coroutine")
        user.reset(await run_in_executor(body))
        assert user.get() == "nobody"
        token = user.set("again")
        await run_in_executor(body)
        return user.get()

    token: Any = None
    assert run(work) == "body"
    assert user.get() == "nobody"


def test_body_waits_for_the_step_that_has_asked_for_it(monkeypatch):
    """It begins when the coroutine awaits it, however early its worker comes."""
    own = SharedContext._await_step
    comes = threading.Event()

    def await_step(self: SharedContext) -> None:
        comes.set()
        own(self)

    monkeypatch.setattr(SharedContext, "_await_step", await_step)

    async def work() -> str:
        token = user.set("coroutine")
        future = run_in_executor(user.reset, token)
        assert comes.wait(WAIT)
        await future
        return user.get()

    assert run(work) == "nobody"


def test_what_is_not_awaited_has_a_copy():
    """The coroutine goes on in its own Context meanwhile."""
    go_on = threading.Event()

    def body() -> str:
        assert go_on.wait(WAIT)
        before = user.get()
        user.set("body")
        return before

    async def work() -> None:
        token = user.set("coroutine")
        future = run_in_executor(body)
        for _ in range(3):
            await asyncio.sleep(0)
            user.set("meanwhile")
        user.reset(token)
        go_on.set()
        assert await future == "coroutine"
        assert user.get() == "body"  # it came back

    run(work)


def test_several_at_once_have_copies():
    """Bodies that a `gather` awaits run side by side, each in its own."""
    together = threading.Barrier(2)

    def body(name: str) -> str:
        user.set(name)
        together.wait(WAIT)
        return user.get()

    async def work() -> list[str]:
        token = user.set("coroutine")
        names = await asyncio.gather(*(run_in_executor(body, n) for n in "ab"))
        user.reset(token)
        return names

    assert run(work) == ["a", "b"]


def test_abandoned_body_keeps_its_coroutine_from_nothing():
    """While it is in the Context, the coroutine goes on in one without its changes."""
    go_on = threading.Event()
    seen: list[str] = []
    ended = threading.Event()

    def body() -> None:
        user.set("abandoned")
        assert go_on.wait(WAIT)
        seen.append(user.get())
        ended.set()

    async def work() -> str:
        user.set("coroutine")
        with pytest.raises(RunTimeoutError):
            await run_in_executor(body, timeout=0.01)
        assert user.get() == "coroutine"
        user.set("after it")
        for _ in range(3):
            await asyncio.sleep(0)
        token = user.set("for the next body")
        await run_in_executor(user.reset, token)
        go_on.set()
        await run_in_executor(ended.wait, WAIT)
        return user.get()

    assert run(work) == "after it"
    assert seen == ["abandoned"]


@pytest.fixture(autouse=True)
def _timeouts(request: pytest.FixtureRequest, allow_log: Any) -> None:
    if "abandoned" in request.node.name:
        allow_log("tornado.application", "still running after")


class Rude:
    """It refuses to be compared."""

    def __eq__(self, other: object) -> bool:
        raise LookupError

    __hash__ = object.__hash__


def test_other_contexts_within_a_step():
    """What is asked for in another context runs with the values of that one."""
    rude: contextvars.ContextVar[Rude] = contextvars.ContextVar("rude")

    async def work() -> None:
        rude.set(Rude())
        other = contextvars.copy_context()
        others = Rude()
        other.run(rude.set, others)
        assert await other.run(run_in_executor, rude.get) is others

    run(work)


def test_tasks_of_a_coroutine_have_copies():
    """What a task changes stays its own, as ever."""

    async def beside() -> None:
        token = user.set("task")
        await run_in_executor(user.get)
        user.reset(token)
        user.set("task")

    async def work() -> str:
        user.set("coroutine")
        await asyncio.gather(beside(), beside())
        return user.get()

    assert run(work) == "coroutine"


def test_errors_and_cancellation_come_in():
    """What is raised where the coroutine awaits is raised there, and leaves nothing."""

    class Kept(Exception):
        pass

    def body() -> None:
        raise Kept

    async def work() -> str:
        with pytest.raises(Kept):
            await run_in_executor(body)
        task: Any = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "cancelled"
        return "not cancelled"

    assert run(work) == "cancelled"


def test_error_that_leaves_makes_no_cycle():
    """Nothing of a coroutine that fails waits for the collector."""

    class Kept(Exception):
        pass

    async def work() -> None:
        await asyncio.sleep(0)

    async def main() -> weakref.ref[Kept]:
        steps: Any = in_one_context(current_portal(), work())
        steps.send(None)
        try:
            steps.throw(Kept())
        except Kept as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()


def test_values_of_the_call():
    """A body has the variables with which it was called, if others are set then."""

    async def work() -> list[str]:
        user.set("called")
        first = run_in_executor(user.get)
        user.set("a moment later")
        second = run_in_executor(user.get)
        await asyncio.sleep(0)
        user.set("much later")
        return [await first, await second, await run_in_executor(user.get)]

    assert run(work) == ["called", "a moment later", "much later"]


@pytest.mark.parametrize("first", ["steps", "coroutine"])
def test_dropped_before_its_end(first):
    """Whichever the collector closes first, both are closed, and nothing is said."""
    closed: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def main() -> None:
        coroutine = work()
        steps: Any = in_one_context(current_portal(), coroutine)
        steps.send(None)
        both = {"steps": steps, "coroutine": coroutine}
        both.pop(first).close()
        assert closed == [True]
        both.popitem()[1].close()

    asyncio.run(main())
    assert closed == [True]


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_nobody_awaits(cancelled):
    """The end of a coroutine is that of its hooks, or the moment it is cancelled."""

    async def work() -> str:
        shared = current_portal().shared_context
        assert shared is not None
        shared.hooks.append(hook)
        begun.set()
        return "done"

    async def main() -> tuple[str, bool]:
        nonlocal hook, begun
        loop = asyncio.get_running_loop()
        hook, begun = loop.create_future(), asyncio.Event()
        steps: Any = in_one_context(current_portal(), work())

        async def run() -> str:
            return str(await steps)

        task = loop.create_task(run())
        await begun.wait()
        await asyncio.sleep(0)
        assert not task.done()
        if cancelled:
            task.cancel()
        else:
            hook.set_result(None)
        return await task, hook.done()

    hook: Any = None
    begun: Any = None
    assert asyncio.run(main()) == ("done", not cancelled)


def test_future_is_awaited_as_it_is():
    """What is no coroutine makes no steps."""

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        assert in_one_context(current_portal(), future) is future

    asyncio.run(main())


def test_loop_that_closes_while_a_body_waits_for_the_step():
    """It goes on in a copy."""

    async def main() -> Portal:
        return current_portal()

    coroutine = main()
    coroutine.close()
    shared = SharedContext(asyncio.run(main()), coroutine, bool)
    assert shared.place_for(object(), contextvars.copy_context()) is None


def test_place_that_is_taken():
    """Who comes second has a copy; what it changes there is lost."""
    place = Place(contextvars.copy_context())
    assert place.take()
    place.run(user.set, "second")
    place.leave()
    assert place.run(user.get) == "nobody"
