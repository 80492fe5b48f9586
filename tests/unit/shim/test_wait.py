"""`wait`: a thread waits for the loop, and how that ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any
from unittest import mock

import pytest
from tornado import gen
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

from tests.conftest import ROOT
from tests.patience import WAIT
from tests.unit.conftest import REMARK
from tests.unit.shim.conftest import in_foreign_thread, in_script, in_worker
from tornado_unblock import (
    AbandonedError,
    LoopClosedError,
    LoopThreadError,
    cancelled,
    configure,
    run_in_executor,
    shim,
    statistics,
    unblock,
)
from tornado_unblock.shim._crossing.wait import Crossing

number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


async def running() -> Any:
    return asyncio.get_running_loop()


async def say(what: str) -> str:
    return what


def test_a_worker_waits_on_its_own_loop():
    """Futures and connections of the application's loop can be used."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, 7)
        results = await run_in_executor(
            lambda: (shim.wait(running()), shim.wait(future), IOLoop.current())
        )
        return results == (loop, 7, IOLoop.current())

    assert asyncio.run(main())


def test_other_threads_share_one_loop():
    """It lives on between calls, so that what belongs to it can, too."""
    loops = {shim.wait(running()), in_foreign_thread(lambda: shim.wait(running()))}
    assert len(loops) == 1
    assert not loops.pop().is_closed()


def test_context_variables_flow_both_ways():
    """Those set before are seen, those changed on the other side come back."""

    async def add() -> None:
        number.set(number.get() + 1)

    def body() -> int:
        number.set(5)
        shim.wait(add())
        return number.get()

    assert in_worker(body) == 6
    context = contextvars.copy_context()
    assert context.run(body) == 6
    assert number.get() == 0


@pytest.mark.parametrize("leaf", ["coroutine", "future"])
def test_refused_on_the_loop_thread(leaf):
    """It says what to write instead, and leaves no coroutine behind."""

    async def main() -> None:
        made: Any = running()
        shim.wait(made if leaf == "coroutine" else asyncio.ensure_future(made))

    with pytest.raises(LoopThreadError, match=r"wait\(\.\.\.\) would .*await it inst"):
        asyncio.run(main())


def test_a_cancelled_leaf():
    """A coroutine that is cancelled from within says so."""

    async def leaf() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        shim.wait(leaf())


class Slow:
    """A coroutine that waits until it is cancelled, and then cleans up."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.ended: list[str] = []

    async def __call__(self) -> None:
        try:
            self.waiting.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            await asyncio.sleep(0)
            self.ended.append("cleaned up")
            raise


@pytest.mark.parametrize("how", ["wait_for", "with_timeout", "cancel"])
def test_cancellation_reaches_the_awaited_side(how):
    """Whoever stops waiting for the worker cancels what the worker waits for."""
    slow = Slow()
    went_on: list[Any] = []
    done = threading.Event()

    def body() -> None:
        try:
            shim.wait(slow())
        except AbandonedError as error:
            went_on.extend((type(error), list(slow.ended), cancelled()))
            # To clean up is still possible.
            went_on.append(shim.wait(say("later")))
        finally:
            done.set()

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(slow.waiting.wait, WAIT)
        if how == "wait_for":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(future, 0)
        elif how == "with_timeout":
            with pytest.raises(gen.TimeoutError):
                await gen.with_timeout(0, future)
            future.cancel()
        else:
            future.cancel()
        await run_in_executor(done.wait, WAIT)

    asyncio.run(main())
    assert went_on == [AbandonedError, ["cancelled", "cleaned up"], True, "later"]


def test_the_next_wait_of_an_abandoned_body_says_so():
    """A body that was abandoned between waits is told at the next one, once."""
    abandoned = threading.Event()
    inside = threading.Event()
    told: list[Any] = []
    done = threading.Event()

    def body() -> None:
        inside.set()
        assert abandoned.wait(WAIT)
        try:
            shim.wait(running())
        except AbandonedError as error:
            told.append(str(error))
        told.append(shim.wait(say("clean-up")))
        done.set()

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(inside.wait, WAIT)
        future.cancel()
        abandoned.set()
        await run_in_executor(done.wait, WAIT)

    asyncio.run(main())
    assert "whoever awaited it was cancelled" in told[0]
    assert told[1:] == ["clean-up"]


@pytest.mark.parametrize("place", [in_script, in_worker], ids=lambda f: f.__name__)
def test_an_inner_timeout_ends_the_inner_wait(place):
    """A timeout around a sync leaf cancels what that leaf waits for."""
    slow = Slow()
    seen: list[Any] = []

    @shim.dual
    def leaf() -> None:
        try:
            shim.wait(slow())
        except AbandonedError:
            seen.append("leaf abandoned")

    @shim.dual
    async def middle() -> str:
        task = asyncio.ensure_future(leaf.aio())
        while not slow.waiting.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return "went on"

    assert place(middle) == "went on"
    assert slow.ended == ["cancelled", "cleaned up"]
    assert seen == ["leaf abandoned"]


@pytest.mark.expect_log("tornado.application", "still running after 0.01 s")
@pytest.mark.allow_log("tornado.access", "504")
@pytest.mark.allow_log("tornado.general", "504")
def test_run_timeout_of_a_handler(serve):
    """A body that waits for a coroutine past its timeout: both are told."""
    slow = Slow()
    ends: list[str] = []

    class Handler(RequestHandler):
        @unblock(timeout=0.01)
        def get(self) -> None:
            try:
                shim.wait(slow())
            except AbandonedError:
                ends.append("abandoned")
                raise

        def on_finish(self) -> None:
            ends.append("on_finish")

    server = serve(Application([("/", Handler)]))
    assert server.get("/").status == 504
    server.until(lambda: len(ends) == 2)
    assert ends == ["abandoned", "on_finish"]
    assert slow.ended == ["cancelled", "cleaned up"]


def test_a_timeout_below_passes_through():
    """`TimeoutError` of the awaited side is that of the waiting side."""
    slow = Slow()
    with pytest.raises(asyncio.TimeoutError):
        shim.wait(asyncio.wait_for(slow(), 0))


@pytest.mark.allow_log("tornado.application", "closed before the body ended")
def test_a_loop_that_cancels_its_tasks():
    """As `asyncio.run` does at its end: the waiting worker goes on."""
    told: list[BaseException] = []
    done = threading.Event()

    async def leaf(entered: asyncio.Event) -> None:
        entered.set()
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        entered = asyncio.Event()

        def body() -> None:
            try:
                shim.wait(leaf(entered))
            except asyncio.CancelledError as error:
                told.append(error)
            done.set()

        run_in_executor(body)
        await entered.wait()

    asyncio.run(main())
    assert done.wait(WAIT)
    assert len(told) == 1


@pytest.mark.expect_log("tornado.application", "closed before the body ended")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.allow_log("asyncio", "Task was destroyed but it is pending")
def test_the_loop_closes_with_its_tasks():
    """As when a test closes a loop under a body: told, though no task is."""
    told = threading.Event()

    async def leaf(loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(loop.stop)
        await loop.create_future()

    def body() -> None:
        try:
            shim.wait(leaf(loop))
        except LoopClosedError:
            told.set()

    loop = asyncio.new_event_loop()
    loop.call_soon(run_in_executor, body)
    loop.run_forever()
    loop.close()
    assert told.wait(WAIT)


@pytest.mark.expect_log("tornado.application", "closed before the body ended")
def test_nothing_is_posted_to_a_closed_loop():
    """A wait that begins when the loop is closed is told, its coroutine closed."""
    inside, closed, done = threading.Event(), threading.Event(), threading.Event()
    told: list[BaseException] = []

    def body() -> None:
        inside.set()
        assert closed.wait(WAIT)
        try:
            shim.wait(running())
        except LoopClosedError as error:
            told.append(error)
        done.set()

    loop = asyncio.new_event_loop()

    async def main() -> None:
        run_in_executor(body)

    loop.run_until_complete(main())
    assert inside.wait(WAIT)
    loop.close()
    closed.set()
    assert done.wait(WAIT)
    assert len(told) == 1


def test_a_long_wait(monkeypatch):
    """A waiting thread looks whether its loop lives, and waits on."""
    monkeypatch.setattr("tornado_unblock.shim._crossing.lane._LOOK_AGAIN", 0)

    async def leaf() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        await run_in_executor(lambda: [None for _ in range(100000)])

    shim.wait(leaf())


def test_limits_and_statistics():
    """What runs in the thread that waits needs no worker, and is counted."""
    configure(max_workers=1, max_waiting=0)

    @shim.dual
    def leaf() -> str:
        return threading.current_thread().name

    @shim.dual
    async def middle() -> list[str]:
        return await asyncio.gather(
            *(leaf.aio() for _ in range(3)),
            *(run_in_executor(leaf) for _ in range(3)),
        )

    async def main() -> Any:
        names = await run_in_executor(middle)
        return names, statistics()["default"]

    names, counted = asyncio.run(main())
    assert set(names) == {"unblock-default-1"}
    assert counted.borrowed_tokens == 0
    route = next(r for n, r in counted.endpoints.items() if n.endswith("leaf"))
    assert route.completed == 6
    assert route.failed == route.waiting == 0


@pytest.mark.parametrize("place", [in_script, in_worker], ids=lambda f: f.__name__)
def test_waiting_for_a_worker_below_a_coroutine(place):
    """A sync function that runs in a waiting thread may wait for others itself."""
    configure(max_workers=1)

    @shim.dual
    def leaf() -> int:
        return run_in_executor(int, "7").result(WAIT)

    @shim.dual
    async def middle() -> int:
        return await leaf.aio()

    assert place(middle) == 7


def test_nothing_is_kept():
    """Arguments and results of a wait go with it."""

    class Thing:
        pass

    async def leaf(thing: Thing) -> Thing:
        number.set(1)
        return thing

    thing = Thing()
    alive = weakref.ref(thing)
    in_worker(lambda t=thing: shim.wait(leaf(t)) and None)
    assert shim.wait(leaf(thing)) is thing
    del thing
    shim.wait(asyncio.sleep(0))
    gc.collect()
    assert alive() is None


def run_script(text: str, *, send: int | None = None) -> tuple[int, str]:
    """Run a script in a process of its own; signal it when it says "ready"."""
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "ready\n" and send is not None:
                process.send_signal(send)
    return process.returncode, REMARK.sub("", "".join(lines))


SCRIPT = """
    import asyncio, atexit, os, sys
    from tornado_unblock import shim

    async def forever():
        try:
            print("ready", flush=True)
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            print("cleaned up", flush=True)

"""


def test_a_script_ends_with_its_loop():
    """Tasks that are left are cancelled at exit, and clean up."""
    script = (
        SCRIPT
        + """
    async def start():
        global task
        task = asyncio.ensure_future(forever())
        await asyncio.sleep(0)

    shim.wait(start())
    print("end", flush=True)
    """
    )
    assert run_script(script) == (0, "ready\nend\ncleaned up\n")


def test_ctrl_c_in_a_script():
    """The coroutine is cancelled and cleans up; then KeyboardInterrupt goes on."""
    script = (
        SCRIPT
        + """
    try:
        shim.wait(forever())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
    )
    expected = "ready\ncleaned up\ninterrupted\n"
    assert run_script(script, send=signal.SIGINT) == (0, expected)


def interrupt(*args: Any) -> Any:
    raise KeyboardInterrupt


async def note(ran: list[bool]) -> None:
    ran.append(True)


def test_ctrl_c_before_it_has_begun(monkeypatch):
    """Then it does not begin, and nothing waits for its end."""
    ran: list[bool] = []
    crossing = Crossing(note(ran))
    post = crossing._portal.call_soon
    posts = iter((interrupt, post))
    monkeypatch.setattr(
        crossing, "_portal", mock.Mock(call_soon=lambda *args: next(posts)(*args))
    )
    with pytest.raises(KeyboardInterrupt):
        crossing.wait()
    assert ran == []


def test_ctrl_c_when_it_has_just_ended(monkeypatch):
    """There is nothing left to cancel, nor to wait for."""
    ran: list[bool] = []
    crossing = Crossing(note(ran))
    serve = crossing._lane.serve
    after = iter((interrupt, lambda: None))

    def serve_and_be_interrupted() -> None:
        serve()
        next(after)()

    monkeypatch.setattr(crossing._lane, "serve", serve_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        crossing.wait()
    assert ran == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork():
    """A child has a loop of its own, and the parent keeps its."""
    script = """
    import asyncio, os, warnings
    from tornado_unblock import shim
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads

    async def running():
        return asyncio.get_running_loop()

    parent = shim.wait(running())
    pid = os.fork()
    if pid == 0:
        ok = shim.wait(running()) is not parent
        os._exit(0 if ok else 3)
    status = os.waitpid(pid, 0)[1]
    print(status, shim.wait(running()) is parent)
    """
    assert run_script(script) == (0, "0 True\n")
