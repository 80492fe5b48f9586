"""`tornado.gen` and `tornado.concurrent` of old."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from typing import Any, Callable

import pytest
from tornado import gen
from tornado.concurrent import ReturnValueIgnoredError, dummy_executor
from tornado.ioloop import IOLoop

from tests.patience import WAIT
from tornado_unblock import RejectedError, configure, run_in_executor
from tornado_unblock.shim import legacy
from tornado_unblock.shim.legacy import _futures


def run(fn: Callable[[], Any]) -> Any:
    """Run ``fn()`` on a loop, and await what it returns."""

    async def main() -> Any:
        return await fn()

    return asyncio.run(main())


def later(*args: Any, callback: Any, **kwargs: Any) -> None:
    """Call back with the arguments, from the loop."""
    IOLoop.current().add_callback(lambda: callback(*args, **kwargs))


def in_a_thread(value: Any, callback: Any) -> None:
    """Call back from another thread."""
    threading.Thread(target=callback, args=(value,)).start()


# --- Task ---------------------------------------------------------------------------


def test_task():
    """It yields what the callback is called with."""

    @legacy.coroutine
    def main() -> Any:
        assert (yield legacy.Task(later)) is None
        assert (yield legacy.Task(later, 1)) == 1
        assert (yield legacy.Task(later, 1, 2)) == legacy.Arguments((1, 2), {})
        several = yield legacy.Task(later, 1, key=2)
        assert several.args == (1,)
        assert several.kwargs == {"key": 2}
        assert (yield legacy.Task(in_a_thread, 5)) == 5
        assert (yield [legacy.Task(later, n) for n in (1, 2)]) == [1, 2]
        assert (yield {"a": legacy.Task(later, 3)}) == {"a": 3}

    run(main)


def test_task_that_fails():
    """Its error is raised at the yield; one after its result is its caller's."""

    def fails(callback: Any) -> None:
        raise ValueError("at once")

    def fails_later(callback: Any) -> None:
        IOLoop.current().add_callback(fails, callback)

    def fails_after(callback: Any) -> None:
        callback(7)
        raise ValueError("too late")

    @legacy.coroutine
    def main() -> Any:
        with pytest.raises(ValueError, match="at once"):
            yield legacy.Task(fails)
        with pytest.raises(ValueError, match="at once"):
            yield legacy.Task(fails_later)
        with pytest.raises(ValueError, match="too late"):
            yield legacy.Task(fails_after)
        with pytest.raises(TypeError, match="keyword"):
            yield legacy.Task(len, "takes none")

    run(main)


def test_task_called_back_twice():
    """The first value counts."""

    def twice(callback: Any) -> None:
        callback(1)
        callback(2)

    async def main() -> None:
        assert await legacy.Task(twice) == 1

    asyncio.run(main())


def test_task_on_a_worker():
    """A worker may make one; its Future belongs to the loop."""

    def work() -> Any:
        return legacy.Task(in_a_thread, threading.current_thread().name)

    async def main() -> None:
        assert (await run_in_executor(work)).startswith("unblock-default")

    asyncio.run(main())


# --- Callback, Wait -----------------------------------------------------------------


def test_callback_and_wait():
    """Several callbacks, waited for in any order."""

    @legacy.coroutine
    def main() -> Any:
        later(1, callback=(yield legacy.Callback("one")))
        in_a_thread(2, callback=(yield legacy.Callback("two")))
        three, four = yield [legacy.Callback(3), legacy.Callback(4)]
        later(3, callback=three)
        four()
        assert (yield legacy.Wait("two")) == 2
        assert (yield legacy.WaitAll([3, 4])) == [3, None]
        assert (yield {"one": legacy.Wait("one")}) == {"one": 1}
        later(5, callback=(yield legacy.Callback("one")))
        assert (yield [legacy.Wait("one"), legacy.Task(later, 6)]) == [5, 6]
        raise gen.Return("done")

    assert run(main) == "done"


def test_misused_keys():
    """A key that is unknown, used twice or left over is an error, as it was."""

    @legacy.coroutine
    def unknown() -> Any:
        yield legacy.Wait("key")

    @legacy.coroutine
    def twice() -> Any:
        yield legacy.Callback("key")
        yield legacy.Callback("key")

    @legacy.coroutine
    def left_over() -> Any:
        yield legacy.Callback("key")

    @legacy.coroutine
    def caught() -> Any:
        with pytest.raises(gen.UnknownKeyError):
            yield legacy.Wait("key")
        return "caught"

    for wrong, error in (
        (unknown, gen.UnknownKeyError),
        (twice, gen.KeyReuseError),
        (left_over, gen.LeakedCallbackError),
    ):
        with pytest.raises(error, match="key"):
            run(wrong)
    assert run(caught) == "caught"


def test_yield_points_elsewhere():
    """Tornado's own coroutines cannot have them, and are told what can."""

    @gen.coroutine
    def wrong() -> Any:
        yield legacy.Callback("key")

    class Mine(legacy.YieldPoint):
        pass

    @legacy.coroutine
    def mine() -> Any:
        yield Mine()

    with pytest.raises(gen.BadYieldError, match="legacy's engine or coroutine"):
        run(wrong)
    with pytest.raises(NotImplementedError, match="return a Future"):
        run(mine)


def test_coroutine_without_yield():
    """As with Tornado's, any function can be one."""

    @legacy.coroutine
    def plain(value: int) -> int:
        return value + 1

    assert run(lambda: plain(1)) == 2
    assert gen.is_coroutine_function(plain)
    assert plain.__name__ == "plain"


# --- engine -------------------------------------------------------------------------


def test_engine_returns_nothing(expect_log):
    """Its caller gets None; an error that no context takes is logged."""
    done: list[Any] = []

    @legacy.engine
    def work(value: int, callback: Any) -> Any:
        yield gen.moment
        if value == 0:
            raise ValueError("zero")
        callback(value)

    @legacy.engine
    def nothing() -> None:
        done.append("nothing")

    async def main() -> None:
        assert work(1, callback=done.append) is None  # type: ignore[func-returns-value]
        nothing()
        assert await legacy.Task(work, 2) == 2
        work(0, callback=done.append)
        with pytest.raises(ValueError, match="zero"):
            await legacy.Task(work, 0)
        while not expected.messages:  # noqa: ASYNC110
            await asyncio.sleep(0)

    expected = expect_log("tornado.application", "Exception in callback")
    asyncio.run(main())
    assert done == ["nothing", 1]


# --- return_future ------------------------------------------------------------------


@legacy.return_future
def added(a: int, b: int, callback: Any = None) -> None:
    if b == 0:
        raise ValueError("zero")
    if b == 1:
        later(callback=lambda: 1 / 0)
    elif b == 2:
        in_a_thread(a + b, callback)
    else:
        callback(a + b)


def test_return_future():
    """A function that calls back returns a Future, and calls back as well."""
    results: list[Any] = []

    async def main() -> None:
        assert await added(1, 4) == 5
        assert await added(1, 2) == 3
        assert await added(1, 4, results.append) == 5
        assert await added(1, 4, callback=results.append) == 5
        with pytest.raises(ValueError, match="zero"):
            await added(1, 0)
        with pytest.raises(ZeroDivisionError):
            await added(1, 1)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert results == [5, 5]


def test_return_future_that_fails_afterwards(expect_log):
    """An error after the result is not lost."""

    @legacy.return_future
    def after(callback: Any) -> None:
        callback(7)
        IOLoop.current().add_callback(boom)

    async def main() -> None:
        assert await after() == 7  # type: ignore[call-arg]
        while not expected.messages:  # noqa: ASYNC110
            await asyncio.sleep(0)
        future = legacy.Task(later)
        _futures.fail(future, ValueError("first"))
        _futures.fail(future, ValueError("second"))
        with pytest.raises(ValueError, match="first"):
            await future
        await asyncio.sleep(0)

    expected = expect_log("tornado.application", "Exception in callback")
    asyncio.run(main())


def test_return_future_of_nothing():
    """Called back with nothing, the Future has None and the callback no argument."""
    results: list[Any] = []

    @legacy.return_future
    @legacy.engine
    def tick(callback: Any) -> Any:
        yield gen.moment
        callback()

    @legacy.return_future
    def tock(**kwargs: Any) -> None:
        kwargs["callback"]()

    @legacy.return_future
    def tack(*, callback: Any) -> None:
        callback()

    async def main() -> None:
        for fn in (tick, tock, tack):
            assert await fn(callback=lambda *args: results.append(args)) is None
            await asyncio.sleep(0)

    asyncio.run(main())
    assert results == [(), (), ()]


def test_return_future_misused():
    """A function without a callback, and one that returns a value, are errors."""
    with pytest.raises(TypeError, match="write it as a coroutine"):
        legacy.return_future(boom)

    @legacy.return_future
    def returns(callback: Any) -> int:
        return 7

    async def main() -> None:
        with pytest.raises(ReturnValueIgnoredError, match="call callback"):
            returns()  # type: ignore[call-arg]

    asyncio.run(main())


def boom() -> None:
    raise ValueError("boom")


# --- run_on_executor ----------------------------------------------------------------

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


class Service:
    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self._pool = executor
        self.io_loop = None

    @legacy.run_on_executor
    def plain(self, key: str = "plain") -> str:
        return f"{key} {user.get()}"

    @legacy.run_on_executor()
    def called(self) -> str:
        return self.fail() if self.executor is None else "called"

    @legacy.run_on_executor(executor="_pool", io_loop="_io_loop")
    def named(self, executor: str) -> str:
        return executor

    @legacy.run_on_executor
    def fail(self) -> Any:
        raise ValueError("fail")


def test_run_on_executor():
    """Any executor, by the attribute's name; context variables go along."""

    async def main(executor: Any) -> None:
        user.set("ada")
        service = Service(executor)
        assert await service.plain() == "plain ada"
        assert await service.called() == "called"
        assert await service.named(executor="an argument") == "an argument"
        with pytest.raises(ValueError, match="fail"):
            await service.fail()
        called = asyncio.get_running_loop().create_future()
        future = service.plain("called", callback=called.set_result)
        assert await called == await future == "called ada"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for executor in ("reports", pool, dummy_executor):
            asyncio.run(main(executor))


def test_run_on_executor_keeps_limits():
    """A full executor turns it away with our error."""
    go = threading.Event()

    class Slow:
        executor = "narrow"

        @legacy.run_on_executor
        def work(self) -> bool:
            return go.wait(WAIT)

    async def main() -> None:
        slow = Slow()
        running = slow.work()
        with pytest.raises(RejectedError):
            slow.work()
        go.set()
        assert await running

    configure("narrow", max_workers=1, max_waiting=0, max_endpoint_share=1)
    asyncio.run(main())


def test_run_on_executor_misused():
    """What is asynchronous, and what is no executor, is refused."""

    async def coroutine(self: Any) -> None: ...

    with pytest.raises(TypeError, match="asynchronous already"):
        legacy.run_on_executor(coroutine)

    async def main() -> None:
        with pytest.raises(TypeError, match="executor must be a name"):
            Service(7).plain()

    asyncio.run(main())
