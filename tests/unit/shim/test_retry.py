"""`shim.retry`: trying again in both colours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import stamina

from tests.unit.shim.conftest import (
    in_coroutine,
    in_foreign_thread,
    in_script,
    in_worker,
)
from tornado_unblock import (
    AbandonedError,
    LoopThreadError,
    configure,
    run_in_executor,
    shim,
)
from tornado_unblock.shim.retry import retry, retry_context

pytestmark = pytest.mark.allow_log("stamina", "retry_scheduled")
NO_WAIT: Any = {"wait_initial": 0, "wait_max": 0, "wait_jitter": 0}

each_thread = pytest.mark.parametrize(
    "place", [in_script, in_foreign_thread, in_worker], ids=lambda f: f.__name__
)


class Flaky:
    """Fails a few times, then succeeds; in either colour."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error = failures, error
        self.calls = 0
        self.threads: set[str] = set()

    def _attempt(self, value: int) -> int:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.left:
            self.left -= 1
            raise self.error
        return value

    @retry(on=ConnectionError, attempts=3, **NO_WAIT)
    def sync(self, value: int) -> int:
        """Return the value."""
        return self._attempt(value)

    @retry(on=(OSError, KeyError), attempts=3, **NO_WAIT)
    async def asynchronous(self, value: int) -> int:
        return self._attempt(value)

    @retry(on=lambda error: "again" in str(error), attempts=3, **NO_WAIT)
    @shim.dual
    def dual(self, value: int) -> int:
        return self._attempt(value)


each_colour = pytest.mark.parametrize("name", ["sync", "asynchronous", "dual"])


@each_colour
@each_thread
@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (2, 3), (5, 3)])
def test_blocking(name, place, failures, calls):
    """It succeeds as soon as an attempt does, or fails with the last error."""
    error = ConnectionError("again")
    flaky = Flaky(failures, error)

    def body() -> Any:
        try:
            return getattr(flaky, name)(7)
        except ConnectionError as raised:
            return raised

    assert place(body) == (7 if failures < 3 else error)
    assert flaky.calls == calls


@each_colour
@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (2, 3), (5, 3)])
def test_awaited(name, failures, calls):
    """The same in a coroutine."""
    error = ConnectionError("again")
    flaky = Flaky(failures, error)

    async def body() -> Any:
        try:
            return await getattr(flaky, name).aio(7)
        except ConnectionError as raised:
            return raised

    assert in_coroutine(body) == (7 if failures < 3 else error)
    assert flaky.calls == calls


@each_colour
def test_other_errors(name):
    """What `on` does not name is raised at once."""
    flaky = Flaky(1, ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        getattr(flaky, name)(7)
    assert flaky.calls == 1


@pytest.mark.parametrize("error", [AbandonedError("gone"), LoopThreadError("wrong")])
def test_what_no_attempt_mends(error):
    """Nobody waits any more, or the call is wrong: not tried again."""
    calls = []

    @retry(on=Exception, attempts=3, **NO_WAIT)
    def fail() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        fail()
    assert calls == [1]


def test_it_looks_like_the_function():
    """Names and docs are the function's, and it is a dual."""
    assert Flaky.sync.__name__ == "sync"
    assert Flaky.sync.__doc__ == "Return the value."
    assert isinstance(Flaky.sync, shim.Dual)


def test_no_worker_waits():
    """Between awaited attempts of a sync function its worker is free for others."""
    configure(max_workers=1)
    flaky = Flaky(1, ConnectionError("again"))

    async def main() -> Any:
        failed = asyncio.get_running_loop().create_future()

        @retry(on=ConnectionError, wait_initial=3600, wait_max=3600)
        def attempt() -> int:
            try:
                return flaky._attempt(7)
            finally:
                failed.get_loop().call_soon(failed.set_result, None)

        task = asyncio.ensure_future(attempt.aio())
        await failed
        name = await run_in_executor(lambda: threading.current_thread().name)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return name

    assert in_coroutine(main) == "unblock-default-1"
    assert flaky.calls == 1


@each_thread
def test_a_block(place):
    """`for attempt in retry_context(...)` tries a block again."""
    flaky = Flaky(2, KeyError("x"))

    def body() -> int:
        for attempt in retry_context(on=KeyError, **NO_WAIT):
            with attempt:
                return flaky._attempt(7)
        raise AssertionError

    assert place(body) == 7


def test_a_block_in_a_coroutine():
    """There it is `async for`; `for` is refused, as it would sleep on the loop."""
    flaky = Flaky(2, KeyError("x"))

    async def body() -> Any:
        with pytest.raises(LoopThreadError, match="write `async for` there"):
            iter(retry_context(on=KeyError))
        async for attempt in retry_context(on=KeyError, **NO_WAIT):
            with attempt:
                return flaky._attempt(7)
        raise AssertionError

    assert in_coroutine(body) == 7


def test_switched_off():
    """Stamina's switch for tests holds here, too."""
    flaky = Flaky(1, ConnectionError("again"))
    stamina.set_active(False)
    try:
        with pytest.raises(ConnectionError):
            flaky.sync(7)
    finally:
        stamina.set_active(True)
    assert flaky.calls == 1


def test_misuse():
    """Generators and what is no function are refused at decoration."""

    def rows() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="is a generator function"):
        retry(on=KeyError)(rows)
    with pytest.raises(TypeError, match="for a function or method"):
        retry(on=KeyError)(7)
