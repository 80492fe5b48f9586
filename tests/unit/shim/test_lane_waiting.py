"""A thread that waits: what others get meanwhile, and what can never have its turn."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import Server, all_quiet, read
from tests.unit.shim.conftest import application
from tornado_unblock import (
    LoopThreadError,
    RejectedError,
    configure,
    run_in_executor,
    shim,
    statistics,
    testing,
)
from tornado_unblock.shim.cache import cached

WORKERS, CLIENTS = 4, 16


class Meeting:
    """Something that many wait for, and that one ends who needs a worker for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.event = asyncio.Event()
        self.all_there = asyncio.Event()
        self.there = 0

    async def arrive(self) -> None:
        self.there += 1
        if self.there == CLIENTS:
            self.all_there.set()

    async def under_lock(self) -> None:
        await self.arrive()
        async with self.lock:
            pass

    async def for_event(self) -> None:
        await self.arrive()
        await self.event.wait()

    async def for_flight(self) -> None:
        await self.arrive()
        await self.fly.aio()

    @cached(maxsize=10)
    async def fly(self) -> None:
        await self.hold()

    async def hold(self) -> None:
        """Hold what the others wait for, until all do, and a worker has worked."""
        await self.all_there.wait()
        await leaf.aio()

    async def hold_lock(self) -> None:
        async with self.lock:
            await self.hold()

    async def hold_event(self) -> None:
        await self.hold()
        self.event.set()

    async def hold_flight(self) -> None:
        await self.fly.aio()


@shim.dual
def leaf() -> None:
    """Work for a worker."""


WAYS = {
    "lock": (Meeting.under_lock, Meeting.hold_lock),
    "event": (Meeting.for_event, Meeting.hold_event),
    "flight": (Meeting.for_flight, Meeting.hold_flight),
}


def by_dual(coroutine: Callable[[], Any]) -> None:
    @shim.dual
    async def body() -> None:
        await coroutine()

    body()


def by_wait(coroutine: Callable[[], Any]) -> None:
    shim.wait(coroutine())


def by_run_sync(coroutine: Callable[[], Any]) -> None:
    IOLoop.current().run_sync(coroutine)


def by_leaf(coroutine: Callable[[], Any]) -> None:
    """Sync under async under sync: the one who waits is deep down."""

    @shim.dual
    async def between() -> None:
        await shim.dual(lambda: by_wait(coroutine)).aio()

    between()


@pytest.mark.parametrize("kind", ["method", "class", "application"])
@pytest.mark.parametrize("by", [by_dual, by_wait, by_run_sync, by_leaf])
@pytest.mark.parametrize("way", WAYS)
def test_all_wait_for_one_who_needs_a_worker(serve, way, by, kind):
    """However many bodies wait, a native coroutine gets the worker it needs."""
    configure(max_workers=WORKERS)
    waits, holds = WAYS[way]
    app = application(kind, lambda _: by(lambda: waits(meeting)))
    server: Server = serve(app)
    meeting: Meeting = server.call(Meeting)
    [holding] = server.call(lambda: [asyncio.ensure_future(holds(meeting))])
    clients = [server.send("/") for _ in range(CLIENTS)]
    assert [read(client).status for client in clients] == [200] * CLIENTS
    server.call(lambda: asyncio.wait_for(holding, WAIT))
    server.call(all_quiet)
    [used] = statistics().values()
    assert (used.borrowed_tokens, used.waiting) == (0, 0)


def test_threads_are_bounded(serve, expect_log):
    """As many requests are let in as may run and wait; one more is turned away."""
    expect_log("tornado", "503 GET /")
    configure(max_workers=2, max_waiting=3, max_endpoint_share=1)
    app = application("application", lambda _: shim.wait(arrive()))
    server: Server = serve(app)
    there, go = threading.Semaphore(0), server.call(asyncio.Event)

    async def arrive() -> None:
        there.release()
        await go.wait()

    clients = [server.send("/") for _ in range(5)]
    for _ in clients:
        assert there.acquire(timeout=WAIT)
    assert server.get("/").status == 503
    server.call(go.set)
    assert [read(client).status for client in clients] == [200] * 5
    assert server.get("/").status == 200


def test_no_token_is_held_between_the_steps_of_a_block(serve):
    """A native handler in a sync transaction lends its worker's token as it awaits."""
    configure(max_workers=1)

    @shim.contextmanager
    def block() -> Any:
        yield

    class Inside(RequestHandler):
        async def get(self) -> None:
            async with block():
                inside.set()
                await go.wait()

    class Other(RequestHandler):
        async def get(self) -> None:
            await leaf.aio()
            go.set()

    server: Server = serve(Application([("/inside", Inside), ("/other", Other)]))
    inside, go = threading.Event(), server.call(asyncio.Event)
    first = server.send("/inside")
    assert inside.wait(WAIT)
    assert server.get("/other").status == 200
    assert read(first).status == 200


def test_the_token_is_there_while_a_function_runs():
    """Between two waits a body works, and then it has its token."""
    configure(max_workers=1)
    seen = []

    def look() -> int:
        return statistics()["default"].borrowed_tokens

    @shim.dual
    async def between() -> None:
        seen.append(look())  # the thread waits
        await shim.dual(lambda: seen.append(look())).aio()  # it works
        await asyncio.sleep(0)

    def body() -> None:
        between()
        seen.append(look())

    async def main() -> None:
        await run_in_executor(body)

    asyncio.run(main())
    assert seen[1:] == [1, 1]


# --- what can never have its turn -------------------------------------------


def in_gather(*leaves: Callable[[], Any]) -> Any:
    """Run sync functions side by side, below one thread that waits for them."""

    @shim.dual
    async def both() -> list[Any]:
        return await asyncio.gather(*(shim.dual(fn).aio() for fn in leaves))

    return both()


def test_a_leaf_that_waits_for_one_behind_it(serve):
    """Its wait ends with advice, and the one behind it has its turn."""
    configure(queue_timeout=0.05)
    errors, done = [], []

    def body(_: Any) -> None:
        ready = asyncio.Event()

        def first() -> None:
            try:
                shim.wait(ready.wait())
            except LoopThreadError as error:
                errors.append(str(error))

        in_gather(first, lambda: done.append(1))

    server: Server = serve(application("application", body))
    assert server.get("/").status == 200
    assert done == [1]
    assert "take turns" in errors[0]


def test_a_leaf_that_blocks_for_one_behind_it(serve, expect_log):
    """A thread that is blocked cannot be told; its client is answered all the same."""
    expect_log("tornado", "503 GET /")
    configure(queue_timeout=0.05)
    release, ended = threading.Event(), threading.Event()

    def first() -> None:
        assert release.wait(WAIT)
        ended.set()

    server: Server = serve(
        application("application", lambda _: in_gather(first, release.set))
    )
    try:
        response = server.get("/")
        assert response.status == 503
    finally:
        release.set()
        assert ended.wait(WAIT)
        server.call(all_quiet)


def test_a_leaf_behind_a_slow_one():
    """In a script it is the same: the one behind is refused after a while."""
    configure(queue_timeout=0.05)
    release = threading.Event()

    def second() -> None:
        raise AssertionError("it has no turn")

    @shim.dual
    async def both() -> None:
        slow = asyncio.ensure_future(shim.dual(lambda: release.wait(WAIT)).aio())
        await asyncio.sleep(0)
        with pytest.raises(RejectedError, match="take turns"):
            await shim.dual(second).aio()
        release.set()
        assert await slow

    both()


def test_in_a_script_the_error_comes_once_the_thread_is_free():
    """There is no client to answer in place of a blocked thread."""
    configure(queue_timeout=0.05)
    release = threading.Event()

    @shim.dual
    async def both() -> None:
        slow = asyncio.ensure_future(shim.dual(lambda: release.wait(WAIT)).aio())
        await asyncio.sleep(0)
        try:
            await leaf.aio()
        finally:
            release.set()
            assert not slow.cancelled()

    with pytest.raises(RejectedError, match="take turns"):
        both()


# --- combinations -----------------------------------------------------------

LOCKS = 3

#: What is done inside: nothing, or under a lock that comes later in the order, or on
#: the other side of a crossing. Locks in order cannot deadlock by themselves.
PROGRAMS = st.recursive(
    st.just(()),
    lambda inner: st.lists(
        st.tuples(
            st.sampled_from(["lock", "other colour", "executor", "block"]), inner
        ),
        max_size=3,
    ),
    max_leaves=8,
)


class Interpreter:
    """Runs one program after another, each in the colour it is asked for."""

    def __init__(self) -> None:
        self.locks = [asyncio.Lock() for _ in range(LOCKS)]

    async def in_coroutine(self, program: Any, free: int = 0) -> None:
        for kind, inner in program:
            if kind == "lock" and free < LOCKS:
                async with self.locks[free]:
                    await self.in_coroutine(inner, free + 1)
            elif kind == "other colour":
                await shim.dual(self.in_thread).aio(inner, free)
            elif kind == "executor":
                await run_in_executor(self.in_thread, inner, free)
            elif kind == "block":
                async with block():
                    await self.in_coroutine(inner, free)

    def in_thread(self, program: Any, free: int = 0) -> None:
        for kind, inner in program:
            if kind == "executor":
                run_in_executor(self.in_thread, inner, free).result()
            elif kind == "block":
                with block():
                    self.in_thread(inner, free)
            else:
                step = (kind, inner) if kind == "lock" else ("other colour", inner)
                shim.dual(self.in_coroutine)([step], free)


@shim.contextmanager
def block() -> Any:
    yield


@settings(max_examples=60)
@given(
    programs=st.lists(st.tuples(PROGRAMS, st.booleans()), min_size=4, max_size=10),
    workers=st.integers(1, 3),
)
def test_whatever_waits_for_whatever(programs, workers):
    """Programs that would end with threads enough end with few workers as well."""
    testing.reset()
    configure(max_workers=workers, max_waiting=100, queue_timeout=None)

    async def main() -> None:
        interpreter = Interpreter()
        runs = [
            run_in_executor(interpreter.in_thread, program)
            if in_worker
            else interpreter.in_coroutine(program)
            for program, in_worker in programs
        ]
        await asyncio.wait_for(asyncio.gather(*runs), WAIT)
        await all_quiet()

    asyncio.run(main())
