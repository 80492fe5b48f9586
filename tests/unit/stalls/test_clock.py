"""What a loop measures of itself, by its selector or by heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import select
import selectors
import socket
import threading
import types
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tests.unit.stalls.samples import Delegate
from tornado_unblock._stalls import clock as module
from tornado_unblock._stalls.clock import (
    LoopClock,
    clocks,
    leave_collector,
    now,
    watch_collector,
)
from tornado_unblock._stalls.owner import latest, mark_of


class Closed:
    """A selector that takes no attributes: its loop has to be asked by heartbeats."""

    __slots__ = ("_own",)

    def __init__(self) -> None:
        self._own = selectors.DefaultSelector()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


@pytest.fixture(params=["selector", "heartbeat"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    closed: Any = Closed() if request.param == "heartbeat" else None
    new = asyncio.SelectorEventLoop(closed)
    yield new
    new.close()


class Told:
    """Makes clocks; counts the times that they wake whoever watches."""

    def __init__(self) -> None:
        self.times = 0
        self.made: list[LoopClock] = []

    def wake(self) -> None:
        self.times += 1

    def clock(self, loop: asyncio.AbstractEventLoop, threshold: float) -> LoopClock:
        self.made.append(LoopClock(loop, threshold, self.wake, beat=0.001))
        return self.made[-1]


@pytest.fixture
def told() -> Iterator[Told]:
    kept = Told()
    yield kept
    for clock in kept.made:
        clock.remove()


def stall(clock: LoopClock, seconds: float) -> None:
    """Stay in a turn until the clock itself says that it takes so long."""
    while not clock.stalled_since() or now() - clock.stalled_since() < seconds:
        pass


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until ``condition()`` holds."""

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110 - nobody tells of a turn
            await asyncio.sleep(0)

    await asyncio.wait_for(poll(), WAIT)


def test_turns(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """A turn that takes long is kept, and whoever watches is woken."""
    clock = told.clock(loop, 0.05)

    async def main() -> None:
        await until(lambda: clock.turns)
        stall(clock, 0.1)
        await until(lambda: clock.ended)

    loop.run_until_complete(main())
    turn = clock.ended[0]
    assert turn.ended - turn.began >= 0.05
    assert clock.longest >= turn.ended - turn.began
    assert clock.squares > 0
    assert told.times >= 1
    assert turn.owner is None


def test_a_loop_that_nobody_runs(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """It is not stalled, however long that is; nor is its first turn afterwards."""
    clock = told.clock(loop, 50.0)
    loop.run_until_complete(until(lambda: clock.turns))
    assert clock.started
    clock.started -= 100.0
    assert clock.stalled_since() == 0.0
    assert clock.thread is None
    before = clock.turns
    loop.run_until_complete(until(lambda: clock.turns > before))
    assert not clock.ended
    assert told.times == 0


def test_short_turns(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """The longest is known though nobody is told of it."""
    clock = told.clock(loop, 60.0)
    loop.run_until_complete(until(lambda: clock.turns >= 2 and clock.longest))
    assert 0 < clock.longest < 60.0
    assert told.times == 0


def test_a_turn_that_is_cut(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """What is under way when the watch ends is told of, if it was long."""
    clock = told.clock(loop, 0.05)

    async def main() -> None:
        await until(lambda: clock.turns)
        clock.ended.clear()  # a busy machine may have made some
        stall(clock, 0.1)
        clock.end_turn()
        assert len(clock.ended) == 1
        clock.end_turn()
        assert len(clock.ended) == 1

    loop.run_until_complete(main())


def test_a_forked_child_is_told_of(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """The first turn in a child wakes the watcher, which has no thread there yet."""
    clock = told.clock(loop, 60.0)

    async def main() -> None:
        await until(lambda: clock.turns)
        clock.after_fork()
        assert clock.turns == 0
        await until(lambda: clock.turns >= 2)

    loop.run_until_complete(main())
    assert told.times == 1
    assert not clock.ended
    assert clock.threshold == 60.0


def test_remove(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """A loop is as it was; what was scheduled before does nothing any more."""
    selector = loop._selector  # type: ignore[attr-defined]
    plain = dict(getattr(selector, "__dict__", {}))

    async def main() -> None:
        clock = told.clock(loop, 60.0)
        await until(lambda: clock.turns)
        clock.remove()
        clock._begin()
        clock.remove()
        assert clock.started == 0.0

    loop.run_until_complete(main())
    assert dict(getattr(selector, "__dict__", {})) == plain


def test_remove_before_it_runs(loop: asyncio.AbstractEventLoop, told: Told) -> None:
    """A clock that never began is removed all the same."""
    clock = told.clock(loop, 60.0)
    clock.remove()
    assert clock.started == 0.0
    # A clock that beats begins to only when its loop runs.
    loop.run_until_complete(asyncio.sleep(0))
    clock._stop_beating()


def test_one_that_was_wrapped_since(told: Told) -> None:
    """Somebody else's wrapper stays; what is below it passes on and tells nothing."""
    loop = asyncio.SelectorEventLoop()
    clock = told.clock(loop, 0.0)
    selector = loop._selector
    ours = selector.select
    selector.select = lambda timeout=None: ours(timeout)
    theirs = selector.select
    clock.remove()
    loop.run_until_complete(asyncio.sleep(0))
    assert selector.select is theirs
    assert not clock.ended
    loop.close()


def test_two_clocks_of_one_loop(told: Told) -> None:
    """The one put in last can go first, and the other one goes on."""
    loop = asyncio.SelectorEventLoop()
    first, second = told.clock(loop, 60.0), told.clock(loop, 60.0)
    second.remove()

    async def main() -> None:
        await until(lambda: first.turns)

    loop.run_until_complete(main())
    assert second.turns == 0
    loop.close()


def test_a_loop_that_runs_elsewhere(told: Told) -> None:
    """A clock of a loop on another thread begins with its next turn."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(WAIT)
        clock = told.clock(loop, 60.0)
        turned = until(lambda: clock.turns)
        asyncio.run_coroutine_threadsafe(turned, loop).result(WAIT)
        assert clock.thread == thread.ident
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT)
        clock.remove()
        loop.close()


def test_what_the_system_tells_of(told: Told) -> None:
    """A loop of epoll, which is asked at once, hears of the same as before."""
    loop = asyncio.SelectorEventLoop()
    clock = told.clock(loop, 60.0)
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)

    async def main() -> bytes:
        await until(lambda: clock.turns)
        received = asyncio.ensure_future(loop.sock_recv(here, 10))
        await asyncio.sleep(0)
        there.send(b"heard")
        # The loop never waits: there is always something to do.
        await until(received.done)
        return received.result()

    try:
        assert loop.run_until_complete(main()) == b"heard"
    finally:
        clock.remove()
        here.close()
        there.close()
        loop.close()


READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
EPOLL = hasattr(select, "epoll")


@pytest.mark.skipif(not EPOLL, reason="there is no epoll")
@pytest.mark.parametrize("wanted", [READ, WRITE, READ | WRITE])
@pytest.mark.parametrize("state", ["quiet", "readable", "ended", "full"])
def test_events_are_those_of_the_selector(wanted: int, state: str) -> None:
    """They are put into the very words that the selector itself would use."""
    selector = selectors.EpollSelector()
    here, there = socket.socketpair()
    here.setblocking(False)
    if state == "readable":
        there.send(b"x")
    elif state == "ended":
        there.close()
    elif state == "full":
        with contextlib.suppress(BlockingIOError):
            while True:
                here.send(b"x" * 65536)
    selector.register(here, wanted, data="mine")
    try:
        poll, keys = module._poll_of(selector)
        assert module._ready(poll(0, len(keys)), keys) == selector.select(0)
        assert module._ready(poll(0, len(keys)), {}) == []
    finally:
        selector.close()
        here.close()
        there.close()


@pytest.mark.skipif(not EPOLL, reason="there is no epoll")
def test_selectors_that_are_not_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has changed what a selector does still has it done."""

    class Own(selectors.EpollSelector):
        """One of the program's."""

    mine, wrapped, plain = Own(), selectors.EpollSelector(), selectors.EpollSelector()
    monkeypatch.setattr(wrapped, "select", wrapped.select)
    try:
        assert module._poll_of(mine) == module._poll_of(wrapped) == (None, None)
        assert module._poll_of(plain)[0] is not None
        monkeypatch.setattr(selectors.EpollSelector, "select", lambda *args: [])
        assert module._poll_of(plain) == (None, None)
    finally:
        mine.close()
        wrapped.close()
        plain.close()


def test_whose_a_turn_was(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that came last, unless another loop may have served it."""
    loop = asyncio.SelectorEventLoop()
    clock = told.clock(loop, 60.0)
    mark = mark_of(Delegate())
    monkeypatch.setattr(latest, "mark", None)
    assert clock._latest_owner(0.0) is None
    monkeypatch.setattr(latest, "mark", mark)
    assert clock._latest_owner(mark[-1] + 1.0) is None
    owner = clock._latest_owner(mark[-1])
    assert owner is not None
    assert owner.endpoint() == "Orders.get"
    busy = types.SimpleNamespace(loop=types.SimpleNamespace(is_running=lambda: True))
    monkeypatch.setattr(module, "clocks", [busy, busy])
    assert clock._latest_owner(mark[-1]) is None
    loop.close()


def test_collections(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long collections on the loop's thread are a part of its turn."""
    monkeypatch.setattr(module, "_LONG_COLLECTION", 0.0)
    loop = asyncio.SelectorEventLoop()
    clock = told.clock(loop, 0.05)
    during: list[float] = []

    def look(phase: str, info: Any) -> None:
        if phase == "start" and info["generation"]:
            during.append(clock.collecting_since)

    async def main() -> None:
        await until(lambda: clock.turns)
        clock.ended.clear()
        gc.collect(0)  # the youngest only: it is not looked at
        gc.collect()
        stall(clock, 0.1)
        await until(lambda: clock.ended)

    clocks.append(clock)
    watch_collector()
    watch_collector()
    gc.callbacks.append(look)
    try:
        loop.run_until_complete(main())
    finally:
        gc.callbacks.remove(look)
        leave_collector()
        leave_collector()
        clocks.remove(clock)
        loop.close()
    assert during[0] > 0
    assert clock.collecting_since == 0.0
    assert 0 < clock.ended[0].collecting < clock.longest


def test_collections_elsewhere(told: Told) -> None:
    """What other threads collect is no loop's; short ones are not remembered."""
    loop = asyncio.SelectorEventLoop()
    clock = told.clock(loop, 60.0)
    clocks.append(clock)
    watch_collector()
    try:
        gc.collect()
    finally:
        leave_collector()
        clocks.remove(clock)
        loop.close()
    assert not clock.collections
    clock.collection("stop")
    assert not clock.collections
