"""Timers, callbacks, tasks and Futures that a body asks for work on the loop thread."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import functools
import threading
from typing import Any, Callable

import pytest
from tornado.ioloop import IOLoop, PeriodicCallback

from tests.patience import WAIT
from tornado_unblock import run_in_executor

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


class Note:
    """Something to call that notes where it was called."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.place: Any = None

    def __call__(self) -> None:
        assert not self.called.is_set()
        self.place = threading.get_ident(), variable.get("unset")
        self.called.set()

    async def coroutine(self) -> str:
        self()
        await asyncio.sleep(0)
        return "result"

    def wait(self) -> None:
        assert self.called.wait(WAIT)


def io_loop() -> IOLoop:
    return IOLoop.current()


def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_event_loop()


WAYS: dict[str, Callable[[Note], Any]] = {
    "add_callback": lambda note: io_loop().add_callback(note),
    "spawn_callback": lambda note: io_loop().spawn_callback(note.coroutine),
    "call_later": lambda note: io_loop().call_later(0, note),
    "call_later, not now": lambda note: io_loop().call_later(0.01, note),
    "call_at": lambda note: io_loop().call_at(io_loop().time(), note),
    "add_timeout": lambda note: io_loop().add_timeout(io_loop().time(), note),
    "add_timeout, timedelta": lambda note: io_loop().add_timeout(
        datetime.timedelta(milliseconds=1), note
    ),
    "asyncio call_later": lambda note: loop().call_later(0, note),
    "asyncio call_at": lambda note: loop().call_at(loop().time(), note),
    "call_soon_threadsafe": lambda note: loop().call_soon_threadsafe(note),
    "ensure_future": lambda note: asyncio.ensure_future(note.coroutine()),
    "create_task": lambda note: loop().create_task(note.coroutine()),
    "run_coroutine_threadsafe": lambda note: asyncio.run_coroutine_threadsafe(
        note.coroutine(), loop()
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_runs_on_the_loop_thread(any_server, in_any_body, way):
    """Whatever a body uses, it soon runs there, in a copy of the body's context."""
    note = Note()

    def body() -> None:
        variable.set("body")
        asked = WAYS[way](note)
        note.wait()
        del asked

    in_any_body(body)
    assert note.place == (any_server.thread.ident, "body")


def call_back_when_set(note: Note) -> None:
    future: asyncio.Future[None] = asyncio.Future()
    added = Note()
    io_loop().add_callback(future.add_done_callback, lambda _: note())
    io_loop().add_callback(added)
    added.wait()
    future.set_result(None)


def call_back_when_done(note: Note) -> None:
    future: asyncio.Future[None] = asyncio.Future()
    future.set_result(None)
    future.add_done_callback(lambda _: note())


@pytest.mark.parametrize(
    "way",
    [call_back_when_set, call_back_when_done, lambda note: loop().call_soon(note)],
)
def test_callbacks_run_on_the_loop_thread(any_server, in_any_body, way):
    """A body may settle its own Futures, and use `call_soon` as on the loop thread."""
    note = Note()

    def body() -> bool:
        way(note)
        return note.called.wait(10)

    assert in_any_body(body)
    assert note.place[0] == any_server.thread.ident


def test_own_calls_of_the_loop_thread(any_server):
    """On the loop thread itself all is as ever: handles, tasks, contexts."""

    async def calls() -> str:
        await run_in_executor(int)
        timer = asyncio.get_running_loop().call_later(WAIT, int)
        assert timer.when() > 0
        timer.cancel()
        variable.set("coroutine")
        note = Note()
        task = asyncio.create_task(note.coroutine())
        assert isinstance(task, asyncio.Task)
        return await task + note.place[1]

    assert any_server.call(calls) == "resultcoroutine"


def test_periodic_callback(any_server, in_any_body):
    """One that a body starts ticks on the loop thread, and a body can stop it."""
    ticks, ticked = [], threading.Semaphore(0)

    def tick() -> None:
        ticks.append(threading.get_ident())
        ticked.release()

    def start() -> PeriodicCallback:
        periodic = PeriodicCallback(tick, 1)
        periodic.start()
        return periodic

    periodic = in_any_body(start)
    for _ in range(3):
        assert ticked.acquire(timeout=WAIT)
    in_any_body(periodic.stop)
    any_server.call(asyncio.sleep, 0)
    assert not periodic.is_running()
    assert set(ticks) == {any_server.thread.ident}


def test_timer_is_cancelled_before_it_starts(any_server, in_any_body):
    """A timer that the loop thread has not seen yet can be taken back."""
    note, busy, free = Note(), threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        assert free.wait(WAIT)

    def body() -> Any:
        io_loop().add_callback(block)
        assert busy.wait(WAIT)
        timer = io_loop().call_later(0, note)
        assert not timer.cancelled()
        io_loop().remove_timeout(timer)
        io_loop().remove_timeout(timer)
        free.set()
        return timer.cancelled()

    assert in_any_body(body)
    any_server.call(asyncio.sleep, 0)
    any_server.call(asyncio.sleep, 0)
    assert not note.called.is_set()


def test_timer_is_cancelled_after_it_started(any_server, in_any_body):
    """A timer that runs already is stopped; later ones go on."""
    note, later = Note(), Note()

    def body() -> bool:
        start = loop().time()
        timer = loop().call_at(start + 0.05, note)
        loop().call_at(start + 0.06, later)
        started = Note()
        io_loop().add_callback(started)
        started.wait()
        io_loop().remove_timeout(timer)
        return timer.cancelled()

    assert in_any_body(body)
    later.wait()
    assert not note.called.is_set()


def test_timer_is_cancelled_on_the_loop_thread(any_server, in_any_body):
    """Whoever has the handle may stop it, also a coroutine."""
    note = Note()
    timer = in_any_body(lambda: loop().call_later(WAIT, note))
    any_server.call(timer.cancel)
    any_server.call(asyncio.sleep, 0)
    assert timer.cancelled()


def test_handles_are_those_of_asyncio(any_server, in_any_body):
    """A timer says when it fires, as on the loop thread; a callback has no time."""

    def body() -> tuple[Any, Any, float, float]:
        before = loop().time()
        later = loop().call_later(delay=WAIT, callback=print)
        at = loop().call_at(before + WAIT, print)
        soon = loop().call_soon(int)
        assert isinstance(later, asyncio.TimerHandle)
        assert isinstance(soon, asyncio.Handle)
        assert not hasattr(soon, "when")
        by_name = loop().call_at(when=before + WAIT, callback=print)
        assert by_name.when() == at.when()
        by_name.cancel()
        return later, at, before, loop().time()

    later, at, before, after = in_any_body(body)
    assert before + WAIT <= later.when() <= after + WAIT
    assert at.when() == before + WAIT
    assert at <= later
    for timer in (later, at):
        any_server.call(timer.cancel)


def test_timer_that_has_fired_is_cancelled(any_server, in_any_body):
    """Too late is no error."""
    note = Note()

    def body() -> None:
        timer = io_loop().call_later(0, note)
        note.wait()
        io_loop().remove_timeout(timer)

    in_any_body(body)
    assert note.called.is_set()


def test_loop_time_and_options(in_any_body):
    """What only reads the loop needs no help."""

    def body() -> tuple[bool, bool]:
        return loop().is_running(), loop().is_closed()

    assert in_any_body(body) == (True, False)


def test_future_of_a_body(any_server, in_any_body):
    """A Future made in a body belongs to the loop, is set there, and is awaited."""

    def body() -> Any:
        future: asyncio.Future[int] = asyncio.Future()
        assert future.get_loop() is any_server.loop
        io_loop().add_callback(future.set_result, 7)
        return future

    assert in_any_body(body) == 7


def test_call_soon_of_the_loop_thread(any_server):
    """In order, in its context, and taken back: as asyncio's own."""

    async def calls() -> list[Any]:
        await run_in_executor(int)
        running, called = asyncio.get_running_loop(), []
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        variable.set("caller")
        running.call_soon(lambda *a: called.append((a, variable.get())), 1, 2)
        running.call_soon(called.append, "cancelled").cancel()
        running.call_soon(lambda: called.append(variable.get()), context=context)
        await asyncio.sleep(0)
        return called

    assert any_server.call(calls) == [((1, 2), "caller"), "given"]


def test_call_soon_in_debug_mode():
    """Switched on later, it checks as ever."""

    async def main() -> None:
        await run_in_executor(int)
        running = asyncio.get_running_loop()
        running.set_debug(True)
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            running.call_soon(main)

    asyncio.run(main())


class Counting(asyncio.SelectorEventLoop):
    """A loop with a `call_soon` of its own."""

    calls = 0

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.calls += 1
        return super().call_soon(callback, *args, context=context)


@pytest.mark.parametrize("where", ["class", "instance", "all loops"])
def test_call_soon_of_an_unusual_loop(where, monkeypatch):
    """It is the one that is called."""
    if where == "all loops":
        patched = asyncio.BaseEventLoop.call_soon

        @functools.wraps(patched)
        def call_soon(self: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls = getattr(self, "calls", 0) + 1
            return patched(self, *args, **kwargs)

        monkeypatch.setattr(asyncio.BaseEventLoop, "call_soon", call_soon)
    running: Any = Counting() if where == "class" else asyncio.SelectorEventLoop()
    if where == "instance":
        running.calls = 0
        running.call_soon = functools.partial(count, running)

    async def main() -> bool:
        await run_in_executor(int)
        before = running.calls
        running.call_soon(int)
        return bool(running.calls == before + 1)

    try:
        assert running.run_until_complete(main())
    finally:
        running.close()


def count(running: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
    running.calls += 1
    return type(running).call_soon(running, callback, *args, **kwargs)
