"""A worker whose body ends goes on with who is next in line, whatever the loop does."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tests.unit.conftest import quiet
from tests.unit.gates import Gate
from tornado_unblock import (
    RejectedError,
    RunTimeoutError,
    cancelled,
    configure,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._executors.threads import reserve_worker
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.offload import WAITING, Offload
from tornado_unblock._shutdown.drain import begin_drain


@pytest.fixture(params=["named", "foreign"])
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An executor of one worker: what else is asked of it waits in line."""
    if request.param == "named":
        configure("line", max_workers=1)
        yield get_executor("line")
    else:
        with ThreadPoolExecutor(1) as pool:
            yield pool


@pytest.fixture
def offload(executor: Any) -> Callable[..., Offload]:
    """Make an offload to that executor; on the loop thread."""

    def make(fn: Callable[[], Any], endpoint: str = "endpoint") -> Offload:
        portal = current_portal()
        return Offload(portal, placement(portal, executor, endpoint, None), fn)

    return make


def nothing() -> None: ...


def test_the_loop_need_not_be_asked(offload):
    """All of a line is served, in order, while the loop thread does something else."""

    async def main() -> None:
        gate, order, last = Gate(), [], threading.Event()
        first = offload(gate)
        futures = [first.admit()]
        assert gate.wait()
        for fn in (*(functools.partial(order.append, i) for i in range(3)), last.set):
            futures.append(offload(fn).admit())
        gate.open.set()
        assert last.wait(WAIT)  # here, on the loop thread
        assert order == [0, 1, 2]
        limiter = first._limiter
        assert (limiter.borrowed_tokens, limiter.waiting) == (1, 0)
        await asyncio.gather(*futures)
        await quiet(first._limiter)
        assert limiter.running == set()
        assert first.endpoint.completed == 5

    asyncio.run(main())


def test_another_route_that_waits_has_its_turn(offload):
    """Then the loop decides, as ever."""

    async def main() -> None:
        gate, order = Gate(), []
        futures = [offload(gate).admit()]
        assert gate.wait()
        for endpoint in ("endpoint", "endpoint", "other"):
            add = functools.partial(order.append, endpoint)
            futures.append(offload(add, endpoint).admit())
        gate.open.set()
        await asyncio.gather(*futures)
        assert order == ["endpoint", "other", "endpoint"]

    asyncio.run(main())


def test_no_thread_is_left(executor, offload):
    """The next in line is turned away, as if it had come then."""

    async def main() -> None:
        begin = threading.Event()

        def end() -> None:
            assert begin.wait(WAIT)
            executor.shutdown(wait=False)

        first, second = offload(end), offload(nothing)
        futures = [first.admit(), second.admit()]
        begin.set()
        await futures[0]
        with pytest.raises(RejectedError, match=r"shut ?down") as caught:
            await futures[1]
        assert caught.value.rejection == "no_thread"
        assert first.endpoint.rejected == {"no_thread": 1}
        await quiet(first._limiter)

    asyncio.run(main())


def test_closed_loop(offload, expect_log):
    """What waits on a loop that is closed does not begin, as ever."""
    gate, begun = Gate(), threading.Event()
    waiting: list[Offload] = []

    async def main() -> None:
        gate.offload = offload(gate)
        waiting.append(offload(begun.set))
        for each in (gate.offload, *waiting):
            # Not to be cancelled with the rest.
            each.admit()
        assert gate.wait()

    expect_log("tornado.application", "the event loop was closed before")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    gate.open.set()
    waiting[0].executor.shutdown()
    assert not begun.is_set()
    waiting[0].run_next()  # nobody is left who could be told that there is no thread


def test_abandoned_before_the_loop_knew_of_it(offload):
    """It runs already, so it is told that nobody waits for it any more."""

    async def main() -> None:
        gate, running, go, told = Gate(), threading.Event(), threading.Event(), []

        def body() -> None:
            running.set()
            assert go.wait(WAIT)
            told.append(cancelled())

        first, second = offload(gate), offload(body)
        futures = [first.admit(), second.admit()]
        assert gate.wait()
        gate.open.set()
        assert running.wait(WAIT)
        assert second.state is WAITING
        futures[1].cancel()
        go.set()
        await futures[0]
        await quiet(first._limiter)
        assert told == [True]
        assert first.endpoint.abandoned == 1
        assert first.endpoint.rejected == {}

    asyncio.run(main())


def test_shutdown_that_begins_just_then(offload, expect_log):
    """It is abandoned, and answered for, like all that runs."""

    async def main() -> None:
        gate, other = Gate(), Gate()
        first, second, third = offload(gate), offload(other), offload(nothing)
        futures = [each.admit() for each in (first, second, third)]
        assert gate.wait()
        gate.open.set()
        assert other.wait()
        expect_log("tornado.application", "still running after")
        left = begin_drain().abandon()
        # The first has ended, but the loop does not know it either.
        assert len(left) == 3
        with pytest.raises(RejectedError):
            await futures[2]
        other.open.set()
        outcomes = await asyncio.gather(*futures[:2], return_exceptions=True)
        assert [getattr(o, "status_code", None) for o in outcomes] == [503, 503]
        await quiet(first._limiter)

    asyncio.run(main())


def test_one_for_a_certain_worker():
    """The loop has it run there, on the token that was passed on."""
    configure("line", max_workers=1)

    async def main() -> None:
        portal = current_portal()
        where = placement(portal, get_executor("line"), "endpoint", None)
        go, claims, threads = threading.Event(), [], []

        def claim() -> None:
            claims.append(reserve_worker())
            threads.append(threading.current_thread())
            assert go.wait(WAIT)

        def body() -> None:
            threads.append(threading.current_thread())

        first, second = Offload(portal, where, claim), Offload(portal, where, body)
        futures = [first.admit()]
        while not threads:  # noqa: ASYNC110
            await asyncio.sleep(0)
        second.reserved_worker = claims[0]
        futures.append(second.admit())
        go.set()
        await asyncio.gather(*futures)
        assert threads[0] is threads[1]

    asyncio.run(main())


def test_timeout_of_one_that_was_next(expect_log):
    """It begins when the body does."""
    configure("line", max_workers=1)

    async def main() -> None:
        portal, gate, slow = current_portal(), Gate(), Gate()
        where = placement(portal, get_executor("line"), "endpoint", 0.01)
        patient = where._replace(timeout=None)
        first, second = Offload(portal, patient, gate), Offload(portal, where, slow)
        futures = [first.admit(), second.admit()]
        assert gate.wait()
        gate.open.set()
        expect_log("tornado.application", "still running after 0.01 s")
        with pytest.raises(RunTimeoutError):
            await futures[1]
        await futures[0]
        slow.open.set()
        await quiet(first._limiter)
        assert first.endpoint.timed_out == 1

    asyncio.run(main())
