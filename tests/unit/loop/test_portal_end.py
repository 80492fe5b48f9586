"""The ends of a portal: loops that stop and close, forks, and the interpreter's end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import weakref
from collections.abc import Iterator

import pytest

from tests.patience import WAIT
from tests.unit.conftest import uvloop
from tornado_unblock import LoopClosedError
from tornado_unblock._loop import latch as _latch
from tornado_unblock._loop.portal import Portal, current_portal


async def make_portal() -> Portal:
    return current_portal()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"])
def loop(request) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that does not run, unless a test runs it."""
    loop = request.param()
    yield loop
    loop.close()


@pytest.fixture
def portal(loop) -> Portal:
    return loop.run_until_complete(make_portal())  # type: ignore[no-any-return]


@contextlib.contextmanager
def running(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Run the loop in a thread."""
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT)


def test_closed_loop(loop, portal):
    """Nothing can be posted to it any more, and who tries is told."""
    loop.close()
    for _ in range(2):
        with pytest.raises(LoopClosedError, match="nothing can be posted"):
            portal.call_soon(int)
        with pytest.raises(LoopClosedError):
            portal.call(int)


def test_loop_closed_before_it_woke(loop, portal):
    """Also when it was closed with a post on its way."""
    portal.call_soon(int)
    loop.close()
    with pytest.raises(LoopClosedError):
        portal.call_soon(int)


def test_loop_closes_at_the_very_moment(loop, portal, monkeypatch):
    """Who has just found it open is told all the same."""
    loop.close()
    monkeypatch.setattr(loop, "is_closed", lambda: False)
    for _ in range(2):
        with pytest.raises(LoopClosedError, match="nothing can be posted"):
            portal.call_soon(int)


def test_loop_closes_while_a_thread_waits(loop, portal, monkeypatch):
    """The wait ends with an error that says so."""
    monkeypatch.setattr(_latch, "_LOOK_AGAIN", 0.001)
    # Asked after the loop was found open.
    monkeypatch.setattr(_latch, "interpreter_is_ending", loop.close)
    with pytest.raises(LoopClosedError, match="this body waits for is closed"):
        portal.call(int)


def test_stopped_loop_continues(loop, portal):
    """What was posted while the loop stood still runs when it goes on."""
    calls: list[int] = []
    for round_ in range(3):
        portal.call_soon(calls.append, round_)
        assert len(calls) == round_
        with running(loop):
            assert portal.call(len, calls) == round_ + 1
    assert loop.run_until_complete(make_portal()) is portal


def test_loop_stopped_by_a_callback(loop, portal):
    """What was posted after the callback that stops the loop is not lost."""
    calls: list[int] = []
    portal.call_soon(loop.stop)
    portal.call_soon(calls.append, 1)
    loop.run_forever()
    loop.run_until_complete(make_portal())
    assert calls == [1]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, SystemExit])
def test_callback_that_raises_anything(loop, portal, allow_log, error):
    """What was posted after it is not left behind."""
    allow_log("", "Exception in callback")
    calls: list[int] = []

    def fail() -> None:
        raise error

    portal.call_soon(fail)
    portal.call_soon(calls.append, 1)
    with contextlib.suppress(SystemExit):
        loop.run_until_complete(make_portal())
    loop.run_until_complete(make_portal())
    assert calls == [1]


def test_closed_loops_are_forgotten():
    """A process that runs one loop after another keeps none of them."""
    gone = weakref.ref(asyncio.run(make_portal()))
    gc.collect()
    assert gone() is None


def test_closed_loop_is_left_as_it_was(loop, portal):
    """No method of it is replaced any more, and nothing is kept for it."""
    portal.kept["key"] = "value"
    assert {"call_soon", "call_at", "create_task", "close"} <= set(vars(loop))
    loop.close()
    loop.close()
    assert portal.kept == {}
    assert not any(callable(value) for value in vars(loop).values())


FORK = """
import asyncio
import os
import threading
from tornado_unblock import run_in_executor
from tornado_unblock._loop import lease as _lease
from tornado_unblock._loop.portal import current_portal

def fork(leave):
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert leave()
    elif _lease.current_lease() or _lease.in_worker():
        os._exit(1)
    else:
        asyncio._set_running_loop(None)
        assert asyncio.run(main(int)) == 0
        os._exit(7)

async def main(fn, *args):
    portal = current_portal()
    return await run_in_executor(fn, *args)

# In a worker, on the loop thread, and elsewhere.
asyncio.run(main(fork, _lease.current_lease))
async def on_loop_thread():
    await main(int)
    fork(current_portal)
asyncio.run(on_loop_thread())
fork(lambda: True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork")
def test_fork(run_program):
    """No portal of the parent is left in a child, which makes its own."""
    assert run_program(FORK) == ""


ENDING = """
import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from tornado_unblock import LoopClosedError, run_in_executor
from tornado_unblock._loop.portal import current_portal

executor = ThreadPoolExecutor(1) if sys.argv[1] == "pool" else None
stopped, waits = threading.Event(), threading.Event()

def body(portal):
    stopped.wait(10)
    waits.set()
    try:
        portal.call(int, timeout=1000.0)
    except LoopClosedError:
        print("ended_at")
        raise

async def main():
    portal = current_portal()
    if sys.argv[1] == "thread":
        threading.Thread(target=body, args=(portal,)).start()
    else:
        run_in_executor(body, portal, executor=executor)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
stopped.set()
waits.wait(10)
"""


@pytest.mark.parametrize("where", ["worker", "thread", "pool"])
def test_interpreter_ends_while_a_thread_waits(run_program, where):
    """Waiting for a loop that will never run again does not hold up the process."""
    output = run_program(ENDING, where)
    if where != "worker":  # that may be gone before it can say anything
        assert output.startswith("ended_at")
