"""The portal: what threads post runs on the loop thread, in order, and soon."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tests.unit.conftest import uvloop
from tornado_unblock import LoopThreadError
from tornado_unblock._loop import latch as _latch
from tornado_unblock._loop.lease import (
    Lease,
    current_lease,
    in_worker,
    set_current_lease,
)
from tornado_unblock._loop.portal import Portal, current_portal, forget_locals

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


class Error(Exception):
    """Something to refer to weakly."""


def fail() -> None:
    raise Error("it failed")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"])
def server(request, make_server) -> Any:
    """A loop that runs in a thread of its own."""
    return make_server(new_loop=request.param)


@pytest.fixture
def portal(server) -> Portal:
    return server.call(current_portal)  # type: ignore[no-any-return]


@pytest.fixture
def blocked(server, portal) -> Iterator[Callable[[], None]]:
    """Keep the loop thread busy until this is called, or the test is over."""
    busy, free = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        free.wait(WAIT)

    server.loop.call_soon_threadsafe(block)
    assert busy.wait(WAIT)
    yield free.set
    free.set()


def in_thread(fn: Callable[[], Any]) -> Any:
    """Run ``fn`` in a thread of its own, and return what it returns or raises."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(fn())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(WAIT)
    return outcome[0]


def test_posts_run_in_order(server, portal):
    """What one thread posts runs in its order, on the loop thread."""
    order: list[Any] = []
    for number in range(1000):
        portal.call_soon(order.append, number)
    portal.call_soon(lambda: order.append(threading.get_ident()))
    portal.call(int)
    assert order == [*range(1000), server.thread.ident]


def test_posts_of_many_threads(portal):
    """Each thread's posts stay in order among those of the others."""
    order: list[tuple[int, int]] = []
    barrier = threading.Barrier(8)

    def post(me: int) -> None:
        barrier.wait(WAIT)
        for number in range(200):
            portal.call_soon(order.append, (me, number))

    threads = [threading.Thread(target=post, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    portal.call(int)
    expected = list(range(200))
    assert [[n for m, n in order if m == me] for me in range(8)] == [expected] * 8


def test_one_wake_for_many_posts(portal, blocked, monkeypatch):
    """However many callbacks wait, the loop is woken once for all of them."""
    wakes, calls, own = [], [], portal.loop.call_soon_threadsafe

    def wake(*args: Any, **kwargs: Any) -> Any:
        wakes.append(args)
        return own(*args, **kwargs)

    monkeypatch.setattr(portal.loop, "call_soon_threadsafe", wake)
    for number in range(100):
        portal.call_soon(calls.append, number)
    assert calls == []
    blocked()
    assert portal.call(len, calls) == 100
    assert 1 <= len(wakes) <= 2  # the second may be for the call


def test_callback_that_posts_lets_the_loop_breathe(portal, server):
    """Callbacks that post more of them do not keep the loop from other work."""
    stop = threading.Event()

    def again() -> None:
        if not stop.is_set():
            portal.call_soon(again)

    portal.call_soon(again)
    server.call(int)
    stop.set()
    portal.call(int)


def test_call_returns(portal):
    """A round trip brings the result."""
    assert portal.call(divmod, 7, 2) == (3, 1)


def test_call_raises(portal):
    """The error comes with its traceback, and leaves no reference cycle behind."""
    gc.disable()
    try:
        with pytest.raises(Error, match="it failed") as caught:
            portal.call(fail)
        gone = weakref.ref(caught.value)
        assert caught.traceback[-1].name == "fail"
        del caught
        assert portal.call(int) == 0  # the loop thread lets go of it, too
        assert gone() is None
    finally:
        gc.enable()


def test_call_on_the_loop_thread(server, portal):
    """It would wait for itself; it is told so, with advice."""
    with pytest.raises(LoopThreadError, match="cannot wait for itself; call the"):
        server.call(portal.call, int)


def test_call_to_a_blocked_loop(portal, blocked):
    """It gives up after its timeout, and the function is not run any more."""
    calls: list[int] = []
    with pytest.raises(LoopThreadError, match=r"did not answer within 0\.05 s: some"):
        portal.call(calls.append, 1, timeout=0.05)
    blocked()
    portal.call(int)
    assert calls == []


def test_call_that_is_slow_to_return(portal, monkeypatch):
    """Once the function runs its result is waited for, timeout or not."""
    begun, given_up = threading.Event(), threading.Event()
    withdraw = _latch.Answer.withdraw

    def wait() -> bool:
        begun.set()
        return given_up.wait(WAIT)

    def too_late(answer: _latch.Answer) -> bool:
        assert begun.wait(WAIT)
        withdrawn = withdraw(answer)
        given_up.set()
        return withdrawn

    monkeypatch.setattr(_latch.Answer, "withdraw", too_late)
    assert portal.call(wait, timeout=0.02) is True


def test_each_loop_has_its_portal(make_server):
    """Loops in several threads do not meet."""
    servers = [make_server() for _ in range(3)]
    portals = [server.call(current_portal) for server in servers]
    assert len(set(portals)) == 3
    for server, portal in zip(servers, portals):
        assert portal.call(threading.get_ident) == server.thread.ident
        assert server.call(current_portal) is portal
    assert portals[0].call(lambda: in_thread(lambda: portals[1].call(int))) == 0


def test_no_loop_no_portal():
    """Elsewhere than on a loop thread there is none, and the advice says so."""
    with pytest.raises(LoopThreadError, match="no event loop runs in thread 'MainT"):
        current_portal()


def test_error_in_a_callback(portal, expect_log):
    """It is logged, and what comes after it runs all the same."""
    calls: list[int] = []
    with expect_log("tornado.application", r"^Exception in callback <function fail"):
        portal.call_soon(fail)
        portal.call_soon(calls.append, 1)
        portal.call(int)
    assert calls == [1]


def test_callbacks_do_not_see_the_context_of_who_posts(portal):
    """They run for many requests in one go, so in a context of none."""
    variable.set("request")
    assert portal.call(variable.get, "none") == "none"
    assert portal.call(variable.get, "none") == "none"


def test_forget_locals(server, portal):
    """What is kept per loop is gone, the portal stays."""
    portal.call(portal.kept.__setitem__, "key", "value")
    forget_locals()
    assert portal.kept == {}
    assert server.call(current_portal) is portal


def test_in_worker(portal):
    """Whoever holds a lease is a worker, but for a loop of its own meanwhile."""

    async def look() -> bool:
        return in_worker()

    lease = Lease(portal)

    def work() -> tuple[Any, ...]:
        before = in_worker()
        set_current_lease(lease)
        return before, in_worker(), asyncio.run(look()), current_lease() is lease

    assert in_thread(work) == (False, True, False, True)
    assert current_lease() is None


def test_ctrl_c_while_the_loop_is_woken(server, portal, monkeypatch):
    """What was posted then runs with what is posted next."""
    order, done = [], threading.Event()

    def interrupt(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    class Loop:
        is_closed = staticmethod(server.loop.is_closed)
        call_soon_threadsafe = staticmethod(interrupt)

    monkeypatch.setattr(portal, "loop", Loop)
    with pytest.raises(KeyboardInterrupt):
        portal.call_soon(order.append, 1)
    portal.call_soon(order.append, 2)
    portal.call_soon(done.set)
    assert done.wait(WAIT)
    assert order == [1, 2]
