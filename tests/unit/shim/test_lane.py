"""A thread that waits for the loop runs meanwhile what the loop gives it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from tests.patience import WAIT
from tornado_unblock import LoopClosedError, configure, run_in_executor
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.offload import helper
from tornado_unblock.shim._crossing.lane import Lane, _Turn, current_lane


def serving(lane: Lane) -> tuple[threading.Thread, list[Any]]:
    """Have a thread serve the lane; returns it, and the error it ends with."""
    errors: list[Any] = []

    def serve() -> None:
        try:
            lane.serve()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, errors


def test_what_is_put_runs_in_order_before_the_end():
    """In the one thread that waits, also what is put just before it shuts."""
    ran: list[Any] = []

    async def main() -> None:
        lane = Lane(current_portal())
        thread, errors = serving(lane)
        lane.open(None)
        with lane.current():
            jobs = [
                run_in_executor(lambda n=n: ran.append((n, threading.get_ident())))
                for n in range(2)
            ]
        # Two workers are free: only what would have to wait goes by the lane.
        await asyncio.gather(*jobs)
        assert {ident for _, ident in ran}.isdisjoint({thread.ident})
        ran.clear()
        for number in range(5):
            lane._jobs.put(lambda n=number: ran.append((n, threading.get_ident())))
        lane.shut()
        thread.join(WAIT)
        assert ran == [(n, thread.ident) for n in range(5)]
        assert errors == []

    asyncio.run(main())


def test_helps_where_a_worker_would_have_to_be_waited_for():
    """So a full executor cannot deadlock; outside of its context it does not."""
    configure(max_workers=1)
    gate = threading.Event()

    async def main() -> None:
        lane = Lane(current_portal())
        thread, _ = serving(lane)
        lane.open(None)
        holder = run_in_executor(gate.wait, WAIT)
        with lane.current():
            assert current_lane() is lane
            assert await run_in_executor(threading.get_ident) == thread.ident
        assert current_lane() is None
        assert helper.get() is None
        waits = run_in_executor(threading.get_ident)
        lane.shut()
        with lane.current():
            assert current_lane() is None
            late = run_in_executor(threading.get_ident)
        gate.set()
        assert await holder
        assert thread.ident not in (await waits, await late)
        thread.join(WAIT)

    asyncio.run(main())


def test_another_loop_is_not_served():
    """A context may be taken to another loop; its thread waits for the first."""
    found: list[Any] = []

    async def other() -> None:
        found.append(current_lane())

    async def main() -> None:
        lane = Lane(current_portal())
        lane.open(None)
        with lane.current():
            context = contextvars.copy_context()
            assert current_lane() is lane
        thread = threading.Thread(target=context.run, args=(asyncio.run, other()))
        thread.start()
        await run_in_executor(thread.join, WAIT)

    asyncio.run(main())
    assert found == [None]


def test_loop_that_closes(monkeypatch):
    """Whoever waits is told, instead of waiting for ever."""
    from tornado_unblock.shim._crossing import lane as module

    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.01)
    loop = asyncio.new_event_loop()

    async def make() -> Lane:
        return Lane(current_portal())

    lane = loop.run_until_complete(make())
    thread, errors = serving(lane)
    loop.close()
    thread.join(WAIT)
    (error,) = errors
    assert isinstance(error, LoopClosedError)
    with pytest.raises(LoopClosedError, match="waits for is closed"):
        raise error


def test_last_job_is_not_kept():
    """A thread that waits on keeps nothing of what it ran alive."""

    class Job:
        def __init__(self) -> None:
            self.done = threading.Event()

        def __call__(self) -> None:
            self.done.set()

    async def main() -> None:
        lane = Lane(current_portal())
        thread, _ = serving(lane)
        job, asked = Job(), threading.Event()
        alive, done = weakref.ref(job), job.done
        lane._jobs.put(job)
        del job
        assert done.wait(WAIT)
        lane._jobs.put(asked.set)
        assert asked.wait(WAIT)
        assert alive() is None
        lane.shut()
        thread.join(WAIT)

    asyncio.run(main())


def test_turn_that_has_begun_is_not_given_up():
    """Its thread has come to it just now: it has not waited too long."""
    told: list[str] = []
    lane: Any = SimpleNamespace(end_inner_wait=told.append)
    timeouts: Any = SimpleNamespace(add=lambda turn: None)

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        offload: Any = SimpleNamespace(future=future)
        turn = _Turn(lane, offload, timeouts)
        turn._undecided.clear()
        turn.give_up()

    asyncio.run(main())
    assert told == []
