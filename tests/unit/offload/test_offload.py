"""The hop: context, exceptions, references, cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import traceback
import weakref
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import all_quiet
from tornado_unblock import (
    BodyExitError,
    cancelled,
    configure,
    run_in_executor,
    unblock,
)
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.offload import Offload

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id")
user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def test_context_goes_in_and_comes_back():
    """What the function sets is seen by who awaits it, and nothing else moves."""

    def body() -> str:
        seen = request_id.get()
        user.set("body")
        return seen

    async def main() -> None:
        request_id.set("r1")
        future = run_in_executor(body)
        request_id.set("changed meanwhile")
        assert await future == "r1"
        assert user.get() == "body"
        assert request_id.get() == "changed meanwhile"

    asyncio.run(main())
    assert user.get() == "nobody"


def test_context_comes_back_with_an_error_too():
    """A body that fails has set what it has set."""

    def body() -> None:
        user.set("body")
        raise KeyError("x")

    async def main() -> None:
        with pytest.raises(KeyError):
            await run_in_executor(body)
        assert user.get() == "body"

    asyncio.run(main())


def test_contexts_of_requests_stay_apart(make_server):
    """Bodies that run side by side each see their own."""
    together = threading.Barrier(4)

    class Handler(RequestHandler):
        def prepare(self) -> None:
            request_id.set(self.get_argument("id"))

        @unblock
        def get(self) -> None:
            together.wait(10)
            user.set("user of " + request_id.get())

        def on_finish(self) -> None:
            # The client may have its answer before.
            seen[request_id.get()] = user.get()
            finished.release()

    seen: dict[str, str] = {}
    finished = threading.Semaphore(0)
    server = make_server(("/", Handler))
    clients = [server.send(f"/?id={i}") for i in "abcd"]
    for client in clients:
        while client.recv(4096):
            pass
        assert finished.acquire(timeout=WAIT)
    assert seen == {i: f"user of {i}" for i in "abcd"}


def test_log_records_of_a_body_carry_its_context(make_server):
    """A logging filter that reads a context variable works in the body."""
    records = []

    class Tag(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append((record.getMessage(), request_id.get()))

    log = logging.getLogger("tests.body")
    log.propagate, log.level = False, logging.INFO
    log.addHandler(Tag())

    class Handler(RequestHandler):
        def prepare(self) -> None:
            request_id.set("r9")

        @unblock
        def get(self) -> None:
            log.info("in the body")

    make_server(("/", Handler)).get("/")
    assert records == [("in the body", "r9")]


def deep() -> None:
    raise LookupError("deep down")


def test_traceback_is_kept():
    """The frames of the body are there, the exception is the very same object."""

    async def main() -> None:
        with pytest.raises(LookupError) as caught:
            await run_in_executor(deep)
        names = [f.name for f in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-1] == "deep"

    asyncio.run(main())


class Canary(Exception):
    pass


@pytest.mark.parametrize("failing", [False, True])
def test_no_reference_is_left(failing):
    """Neither result nor error waits for the cycle collector."""

    def body() -> Any:
        canary = Canary()
        kept.append(weakref.ref(canary))
        try:
            if failing:
                raise canary
            return canary
        finally:
            del canary  # a frame that holds its own error is a cycle already

    async def main() -> None:
        try:
            await run_in_executor(body)
        except Canary:
            pass
        await run_in_executor(int)

    kept: list[weakref.ref[Canary]] = []
    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
        assert kept[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "error", [StopIteration(1), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_must_not_leave_a_worker(make_server, expect_log, error):
    """The request ends with a 500; loop and worker go on."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /bad")
    expect_log("tornado.access", "500 GET /bad")
    workers = []

    class Handler(RequestHandler):
        @unblock
        def get(self, what: str) -> str:
            workers.append(threading.current_thread())
            if what == "bad":
                raise error
            return "good"

        def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
            causes.append(value)
            super().log_exception(kind, value, trace)

    causes: list[BaseException] = []
    server = make_server(("/(.*)", Handler))
    assert server.get("/bad").status == 500
    assert server.get("/good").body == b"good"
    assert workers[0].is_alive()
    assert isinstance(causes[0], BodyExitError)
    assert causes[0].__cause__ is error
    causes.clear()
    error.__traceback__ = None


def test_cancelling_abandons_what_runs():
    """The body learns it from `cancelled`; the awaiting side goes on at once."""
    started, told = threading.Event(), threading.Event()
    answers = []

    def body() -> None:
        answers.append(cancelled())
        started.set()
        assert told.wait(10)
        answers.append(cancelled())

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(started.wait, 10)
        assert future.cancel()
        assert not future.cancel()
        told.set()
        with pytest.raises(asyncio.CancelledError):
            await future
        await all_quiet()

    asyncio.run(main())
    assert answers == [False, True]
    assert not cancelled()


def test_cancelling_what_waits_keeps_it_from_starting():
    """A queued function that nobody wants never runs."""
    configure(max_workers=1)
    gate, ran = threading.Event(), []

    async def main() -> None:
        first = run_in_executor(gate.wait, 10)
        second = run_in_executor(ran.append, "second")
        third = run_in_executor(ran.append, "third")
        second.cancel()
        gate.set()
        await first
        await third

    asyncio.run(main())
    assert ran == ["third"]


def test_error_after_abandonment_is_logged_once(expect_log):
    """Nobody can be told, so the log is, with the endpoint."""
    record = expect_log("tornado.application", "body failed after it was abandoned")
    started, gate = threading.Event(), threading.Event()

    def late() -> None:
        started.set()
        gate.wait(10)
        raise LookupError("too late")

    async def main() -> None:
        future = run_in_executor(late)
        await run_in_executor(started.wait, 10)
        future.cancel()
        gate.set()
        await all_quiet()

    asyncio.run(main())
    assert len(record.messages) == 1
    assert "late: the body" in record.messages[0]


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: asyncio.get_running_loop(), "spawn_callback"),
        (lambda: asyncio.get_event_loop().run_forever(), "run_sync"),
        (lambda: IOLoop.current().start(), "run_sync"),
        (lambda: asyncio.Future().result(), "return it from the body"),
    ],
)
def test_blocking_on_the_loop_is_refused_with_advice(misuse, advice):
    """What asyncio refuses in a worker says what to do there."""

    async def main() -> None:
        with pytest.raises((RuntimeError, asyncio.InvalidStateError), match=advice):
            await run_in_executor(misuse)

    asyncio.run(main())


def test_a_coroutine_can_be_waited_for_in_a_worker():
    """The loop is free meanwhile, so this cannot deadlock."""

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    def body() -> Any:
        loop = asyncio.get_event_loop()
        return asyncio.run_coroutine_threadsafe(answer(), loop).result(10)

    async def main() -> None:
        assert await run_in_executor(body) == 42

    asyncio.run(main())


def test_loop_closed_under_a_running_body(expect_log):
    """It is said once; worker and interpreter go on."""
    expect_log("tornado.application", "the event loop was closed before the body ended")
    started, gate = threading.Event(), threading.Event()

    def body() -> None:
        started.set()
        gate.wait(10)

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(started.wait, 10)
        del future

    asyncio.run(main())
    gate.set()
    assert asyncio.run(again()) == 7


async def again() -> int:
    return await run_in_executor(int, "7")


class Touchy:
    """A value that refuses to be compared."""

    def __eq__(self, other: object) -> bool:
        raise TypeError("not comparable")

    __hash__ = None  # type: ignore[assignment]


def test_context_values_are_not_compared():
    """What a body sets comes back, be it equal to what was there or not comparable."""
    value: contextvars.ContextVar[object] = contextvars.ContextVar("value")

    def body(new: object) -> None:
        value.set(new)

    async def main() -> None:
        for before, after in (([1], [1]), (Touchy(), Touchy())):
            value.set(before)
            await run_in_executor(body, after)
            assert value.get() is after

    asyncio.run(main())


def test_ends_that_meet():
    """A body that has just ended runs nothing more; a worker does what is left."""
    ran = threading.Event()

    async def main() -> None:
        portal = current_portal()
        offload = Offload(portal, placement(portal, get_executor(), "it", None), int)
        offload._alive.clear()
        offload.at_end(ran.set)
        assert await run_in_executor(ran.wait, 10)

    asyncio.run(main())


def test_taken_before_it_starts():
    """A function that nobody wants any more does not run."""
    ran: list[int] = []

    async def main() -> None:
        portal = current_portal()
        where = placement(portal, get_executor(), "it", None)
        offload = Offload(portal, where, lambda: ran.append(1))
        offload.revoked = "taken"
        await offload.admit()

    asyncio.run(main())
    assert ran == []


def test_end_that_is_posted_twice():
    """It ends once: something raised in its worker after it had been posted."""

    async def main() -> tuple[int, int]:
        portal = current_portal()
        where = placement(portal, get_executor(), "it", None)
        offload = Offload(portal, where, int)
        await offload.admit()
        offload._end()
        return offload.endpoint.completed, where.limiter.borrowed_tokens

    assert asyncio.run(main()) == (1, 0)
