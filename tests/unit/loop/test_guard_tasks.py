"""Tasks that a body starts: their results, errors and cancellation."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.patience import WAIT
from tornado_unblock import run_in_executor


class Sleeper:
    """A coroutine that waits until it is cancelled, and notes what happens."""

    def __init__(self) -> None:
        self.started, self.cancelled = threading.Event(), threading.Event()

    async def sleep(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def give(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize(
    "start",
    [
        asyncio.ensure_future,
        lambda coroutine: asyncio.get_event_loop().create_task(coroutine),
        lambda coroutine: asyncio.get_event_loop().create_task(coroutine, name="x"),
    ],
)
def test_result(in_any_body, start):
    """It arrives through the Future that the body gets in the task's place."""
    assert in_any_body(lambda: start(give("result"))) == "result"


def test_several_tasks(in_any_body):
    """They run at the same time; a body may return what gathers them."""

    def body() -> Any:
        tasks = [asyncio.ensure_future(give(number)) for number in range(10)]

        async def gather() -> Any:
            return await asyncio.gather(*tasks)

        return gather()

    assert in_any_body(body) == list(range(10))


@pytest.mark.parametrize("error", [KeyError("key"), OSError(2, "gone")])
def test_error(in_any_body, error):
    """What the task raises arrives as it is."""
    with pytest.raises(type(error)) as caught:
        in_any_body(lambda: asyncio.ensure_future(fail(error)))
    assert caught.value is error
    assert caught.traceback[-1].name == "fail"


def test_error_that_nobody_looks_at(in_any_body, any_server, expect_log):
    """It is reported by asyncio, as with any task."""
    ended = threading.Event()

    async def end() -> None:
        try:
            await fail(KeyError("unseen"))
        finally:
            ended.set()

    def body() -> None:
        asyncio.ensure_future(end())  # noqa: RUF006
        assert ended.wait(WAIT)

    expect_log("asyncio", "exception was never retrieved")
    in_any_body(body)
    any_server.call(asyncio.sleep, 0)


def cancel_when_started(any_server: Any, sleeper: Sleeper, future: Any) -> None:
    assert sleeper.started.wait(WAIT)
    any_server.call(future.cancel)
    assert sleeper.cancelled.wait(WAIT)
    assert future.cancelled()


def test_cancelled_on_the_loop_thread(any_server, in_any_body):
    """Cancelling the Future cancels the task."""
    sleeper = Sleeper()
    (future,) = in_any_body(lambda: [asyncio.ensure_future(sleeper.sleep())])
    cancel_when_started(any_server, sleeper, future)


def test_cancelled_by_a_coroutine_with_a_timeout(any_server, in_any_body):
    """So does giving up to wait for it."""
    sleeper = Sleeper()
    (future,) = in_any_body(lambda: [asyncio.ensure_future(sleeper.sleep())])
    with pytest.raises(asyncio.TimeoutError):
        any_server.call(asyncio.wait_for, future, 0.01)
    assert sleeper.cancelled.wait(WAIT)


def test_task_cancels_itself(in_any_body):
    """A task that ends cancelled is so for whoever awaits it."""

    async def cancel() -> None:
        raise asyncio.CancelledError

    def body() -> list[Any]:
        return [asyncio.ensure_future(cancel())]

    async def outcome() -> bool:
        (future,) = await run_in_executor(body)
        await asyncio.wait([future])
        return bool(future.cancelled())

    assert asyncio.run(outcome())


def test_cancelled_in_a_body(in_any_body):
    """A body may cancel what it has started."""
    sleeper = Sleeper()

    def body() -> bool:
        future = asyncio.ensure_future(sleeper.sleep())
        assert sleeper.started.wait(WAIT)
        future.cancel()
        return sleeper.cancelled.wait(WAIT)

    assert in_any_body(body)


def test_cancelled_in_a_body_before_it_starts(any_server, in_any_body):
    """A task that the loop thread has not seen yet ends at its first await."""
    busy, free, sleeper = threading.Event(), threading.Event(), Sleeper()

    def block() -> None:
        busy.set()
        assert free.wait(WAIT)

    def body() -> Any:
        IOLoop.current().add_callback(block)
        assert busy.wait(WAIT)
        future = asyncio.ensure_future(sleeper.sleep())
        future.cancel()
        free.set()
        return [future]

    (future,) = in_any_body(body)
    assert future.cancelled()
    any_server.call(asyncio.sleep, 0)
    assert sleeper.started.is_set() == sleeper.cancelled.is_set()


def test_what_is_no_coroutine(in_any_body):
    """Asking for a task of something else is an error for who awaits it."""
    with pytest.raises(TypeError, match="coroutine"):
        in_any_body(lambda: asyncio.get_event_loop().create_task(7))  # type: ignore[arg-type]


def test_create_task_is_refused_with_advice(in_any_body):
    """asyncio.create_task() wants a loop that runs in this thread; there is none."""
    coroutine = give(7)
    with pytest.raises(RuntimeError, match=r"no running event loop.*ensure_future\("):
        in_any_body(asyncio.create_task, coroutine)
    coroutine.close()


def test_running_the_loop_is_refused_with_advice(make_server):
    """A worker cannot run the application's loop again, and is told what it can do."""
    any_server, coroutine = make_server(), give(7)

    def body() -> None:
        asyncio.get_event_loop().run_until_complete(coroutine)

    message = r"already running.*shim\.wait\(coroutine\)"
    with pytest.raises(RuntimeError, match=message):
        any_server.call(run_in_executor, body)
    coroutine.close()


def test_running_any_loop_for_ever_is_refused_with_advice(in_any_body):
    """Whichever loop it is, and whatever its own words are."""
    with pytest.raises(RuntimeError, match=r"already running.*shim\.wait\(coroutine\)"):
        in_any_body(lambda: asyncio.get_event_loop().run_forever())


def test_loop_of_its_own(in_any_body):
    """A body may run a loop of its own, whose tasks stay in its thread."""

    async def place() -> tuple[int, Any]:
        task = asyncio.ensure_future(give(threading.get_ident()))
        assert isinstance(task, asyncio.Task)
        timed: asyncio.Future[int] = asyncio.Future()
        asyncio.get_running_loop().call_later(0, timed.set_result, 7)
        return await task, await timed

    def body() -> bool:
        return asyncio.run(place()) == (threading.get_ident(), 7)

    assert in_any_body(body)
