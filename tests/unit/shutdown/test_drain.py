"""`shutdown`: in no more, wait, abandon what is left."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from tornado.web import RequestHandler, stream_request_body

from tests.patience import WAIT
from tornado_unblock import (
    AbandonedError,
    ConfigurationError,
    RejectedError,
    RunTimeoutError,
    cancelled,
    configure,
    run_in_executor,
    shutdown,
    statistics,
    unblock,
)


async def begin(deadline: Any) -> asyncio.Future[Any]:
    """Begin a shutdown; returns once nothing new is let in."""
    future = asyncio.ensure_future(shutdown(deadline))
    await asyncio.sleep(0)
    return future


def test_nothing_to_wait_for():
    """It returns at once, and nothing gets a worker any more."""

    async def main() -> None:
        assert await run_in_executor(int, "7") == 7
        assert await shutdown() == []
        for executor in ("default", "of a later day"):
            with pytest.raises(RejectedError, match="shutting down") as caught:
                run_in_executor(int, executor=executor)
            assert caught.value.rejection == "shutdown"
            assert statistics()[executor].endpoints["int"].rejected["shutdown"] == 1
        assert await shutdown() == []

    asyncio.run(main())


def test_what_was_asked_for_is_done(gate):
    """Running and queued bodies end as ever."""
    configure(max_workers=1)

    async def main() -> None:
        running = await gate.hold_worker()
        queued = run_in_executor(int, "7")
        ending = await begin(None)
        assert not ending.done()
        gate.open.set()
        assert await ending == []
        assert (running.result(), queued.result()) == ("held", 7)

    asyncio.run(main())


def test_new_work_is_refused_meanwhile(gate):
    """A task begun later gets no worker; one under way does, until all has ended."""

    async def later() -> Any:
        with pytest.raises(RejectedError) as caught:
            await run_in_executor(int)
        return caught.value.rejection

    async def main() -> None:
        await gate.hold_worker()
        ending = await begin(WAIT)
        assert await asyncio.ensure_future(later()) == "shutdown"
        assert await run_in_executor(int, "7") == 7
        gate.open.set()
        await ending
        assert await later() == "shutdown"

    asyncio.run(main())


def test_a_body_may_ask_for_more(gate):
    """What a running body needs to end, it gets."""
    closing = threading.Event()

    def body() -> int:
        gate.entered.release()
        assert closing.wait(WAIT)
        return run_in_executor(int, "7").result(WAIT)

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(gate.entered.acquire, timeout=WAIT)
        ending = await begin(WAIT)
        closing.set()
        assert await ending == []
        assert future.result() == 7

    asyncio.run(main())


def test_deadline(gate, expect_log):
    """Running bodies are abandoned, queued ones never start; both are reported."""
    warned = expect_log(
        "tornado.application", "(?s)when the application shut down.*hold"
    )
    configure(max_workers=1)
    ran = []

    def body() -> None:
        gate.hold()
        gate.notes.append(cancelled())

    async def main() -> None:
        running = run_in_executor(body)
        await run_in_executor(gate.entered.acquire, timeout=WAIT, executor="helpers")
        queued = run_in_executor(ran.append, "queued")
        abandoned = await shutdown(0)
        with pytest.raises(RunTimeoutError, match="shut down before it ended") as late:
            await running
        assert late.value.status_code == 503
        with pytest.raises(RejectedError) as rejected:
            await queued
        assert rejected.value.rejection == "shutdown"
        check(abandoned)
        gate.open.set()
        assert await shutdown(WAIT) == []

    def check(abandoned: Any) -> None:
        queued, running = abandoned
        assert (queued.running, queued.executor, queued.stack) == (False, "default", "")
        assert running.endpoint.endswith("test_deadline.<locals>.body")
        assert running.running
        assert running.seconds >= 0
        assert "gate.hold()" in running.stack

    asyncio.run(main())
    assert len(warned.messages) == 1
    assert ran == []
    assert gate.notes == [True]


def test_what_was_abandoned_before_is_reported_too(gate, expect_log):
    """It has had its answer, and still runs."""
    expect_log("tornado.application", "when the application shut down")

    async def main() -> None:
        (await gate.hold_worker()).cancel()
        (left,) = await shutdown(0)
        assert left.endpoint == "Gate.hold"
        gate.open.set()
        assert await shutdown() == []

    asyncio.run(main())


def test_the_next_loop_begins_anew(gate):
    """Tests and scripts that run one loop after the other are not affected."""

    async def main() -> int:
        seven = await run_in_executor(int, "7")
        await shutdown()
        return seven

    assert [asyncio.run(main()) for _ in range(2)] == [7, 7]
    gc.collect()


@pytest.mark.parametrize("deadline", [-1, "soon", True, False])
def test_deadline_is_checked(deadline):
    """As any other number of seconds."""

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="deadline must be a positive"):
            await shutdown(deadline)
        assert await run_in_executor(int, "7") == 7

    asyncio.run(main())


def test_requests(make_server, gate, expect_log):
    """Those that run are answered; one that comes meanwhile gets a 503."""
    expect_log("tornado.general", "503 GET /new.*shutting down")
    expect_log("tornado.access", "503 GET /new")

    class Handler(RequestHandler):
        @unblock
        def get(self, what: str) -> str:
            return gate.hold()

    server = make_server(("/(.*)", Handler))
    client = server.send("/old")
    assert gate.entered.acquire(timeout=WAIT)
    ending = server.call(begin_and_return)
    response = server.get("/new")
    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    gate.open.set()
    assert client.recv(4096).endswith(b"held")
    assert server.call(ending.pop) == []


def begin_and_return() -> Any:
    return BeginAndReturn()


class BeginAndReturn:
    """Keeps a shutdown from being awaited where it is begun."""

    def __init__(self) -> None:
        self.future = asyncio.ensure_future(shutdown(WAIT))

    def pop(self) -> Any:
        return self.future


def test_requests_at_the_deadline(make_server, gate, expect_log):
    """They get a 503 from the handler's own `write_error`; the body runs on."""
    expect_log("tornado.application", "Slow.get: still running after")
    expect_log("tornado.general", "503 GET /.*shut down before it ended")
    expect_log("tornado.access", "503 GET /")
    done = threading.Event()

    class Slow(RequestHandler):
        @unblock
        def get(self) -> None:
            gate.hold()
            try:
                self.write("late")
            except AbandonedError as error:
                gate.notes.append(str(error))

        def write_error(self, status: int, **kwargs: Any) -> None:
            self.finish(f"sorry {status}")

        def on_finish(self) -> None:
            done.set()

    server = make_server(("/", Slow))
    client = server.send("/")
    assert gate.entered.acquire(timeout=WAIT)
    assert [left.endpoint for left in server.call(shutdown, 0)] == [
        f"{Slow.__qualname__}.get"
    ]
    assert client.recv(4096).endswith(b"sorry 503")
    assert not done.is_set()
    gate.open.set()
    assert done.wait(WAIT)
    assert "shut down" in gate.notes[0]


def test_upload_between_two_chunks_is_under_way(make_server, gate):
    """What is to come of it is let in, and waited for."""
    chunks: list[bytes] = []

    @unblock
    @stream_request_body
    class Upload(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            chunks.append(chunk)

        def put(self) -> str:
            return b"".join(chunks).decode()

    server = make_server(("/", Upload))
    client = server.connect()
    client.sendall(b"PUT / HTTP/1.0\r\nContent-Length: 3\r\n\r\n1")
    server.until(lambda: chunks and not statistics()["default"].borrowed_tokens)
    [ending] = server.call(begin_there, WAIT)
    client.sendall(b"2")
    server.until(lambda: len(chunks) == 2)
    assert not ending.done()
    client.sendall(b"3")
    assert client.recv(1000).endswith(b"123")
    assert server.call(asyncio.wait_for, ending, WAIT) == []


@pytest.mark.parametrize("leaves", [False, True])
def test_request_on_the_loop_thread_after_a_hop(make_server, leaves):
    """Its coroutine may need a worker again; unless its client leaves."""
    entered = threading.Event()
    left = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def hop(self) -> None:
            pass

        async def get(self) -> None:
            await self.hop()
            entered.set()
            await go_on.wait()

        def on_connection_close(self) -> None:
            left.set()

    server = make_server(("/", Handler))
    go_on = server.call(asyncio.Event)
    client = server.send("/")
    assert entered.wait(WAIT)
    [ending] = server.call(begin_there, WAIT)
    server.call(asyncio.sleep, 0)
    assert not ending.done()
    if leaves:
        client.close()
        assert left.wait(WAIT)
    else:
        server.call(go_on.set)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.call(asyncio.wait_for, ending, WAIT) == []
    server.call(go_on.set)


def test_request_that_another_thread_finishes(make_server):
    """It is under way until then, whoever that is."""
    handlers: list[Any] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self._auto_finish = False
            handlers.append(self)

    server = make_server(("/", Handler))
    client = server.send("/")
    server.until(lambda: handlers and not statistics()["default"].borrowed_tokens)
    [ending] = server.call(begin_there, WAIT)
    server.call(asyncio.sleep, 0)
    assert not ending.done()
    handlers.pop().finish("by another")
    assert client.recv(1000).endswith(b"by another")
    assert server.call(asyncio.wait_for, ending, WAIT) == []


def test_request_that_shuts_down(make_server):
    """It does not wait for itself."""

    @unblock
    class Handler(RequestHandler):
        def prepare(self) -> None:
            pass

        async def post(self) -> None:
            self.write(str(await shutdown(WAIT)))

    assert make_server(("/", Handler)).get("/", method="POST").body == b"[]"


async def begin_there(deadline: float) -> Any:
    """Begin a shutdown on a server's loop; returns its Future, not awaited."""
    return [await begin(deadline)]
