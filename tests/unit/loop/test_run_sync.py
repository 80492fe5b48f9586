"""`IOLoop.run_sync` and `stop` in a body: the server's loop goes on."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from tornado import util
from tornado.ioloop import IOLoop

from tests.patience import WAIT
from tests.unit.conftest import all_quiet
from tornado_unblock import AbandonedError, configure, run_in_executor, unblock

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")


def run_sync(*args: Any) -> Any:
    return IOLoop.current().run_sync(*args)


async def where() -> tuple[int, str]:
    await asyncio.sleep(0)
    return threading.get_ident(), variable.get()


def test_it_waits_for_a_coroutine(any_server, in_any_body):
    """It runs on the loop's thread, in the body's context."""

    def body() -> Any:
        variable.set("body")
        return run_sync(where)

    assert in_any_body(body) == (any_server.thread.ident, "body")


@pytest.mark.parametrize(
    ("func", "result"), [(lambda: None, None), (lambda: [where(), where()], 2)]
)
def test_what_it_takes(in_any_body, func, result):
    """As Tornado's: None, and lists of awaitables."""
    made = in_any_body(lambda: run_sync(func))
    assert made == result or len(made) == result


def test_errors_are_raised_in_the_body(in_any_body):
    """Those of the function, and those of its coroutine; also one that would end it."""

    async def leave() -> None:
        raise SystemExit(3)

    def body() -> list[str]:
        raised = []
        for func in (lambda: 1 / 0, leave):
            try:
                run_sync(func)
            except BaseException as error:
                raised.append(type(error).__name__)
        return raised

    assert in_any_body(body) == ["ZeroDivisionError", "SystemExit"]


def test_it_is_cancelled_when_time_is_up(in_any_body):
    """The error is Tornado's, and the coroutine has ended before it is raised."""
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    def body() -> bool:
        with pytest.raises(util.TimeoutError, match=r"timed out after 0\.01 seconds"):
            run_sync(wait, 0.01)
        return ended == [True]

    assert in_any_body(body)


def test_it_is_cancelled_from_within(in_any_body):
    """Who cancels it otherwise is no timeout."""

    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.get_running_loop().create_future()

    def body() -> None:
        with pytest.raises(asyncio.CancelledError):
            run_sync(cancel)

    in_any_body(body)


def test_an_abandoned_body_waits_no_longer(any_server):
    """Its coroutine is cancelled, and it is told why."""
    told, begun = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    def body() -> None:
        try:
            run_sync(wait)
        except AbandonedError:
            told.set()
            raise

    async def abandon() -> None:
        future = run_in_executor(body)
        while not begun.is_set():  # noqa: ASYNC110 - set on this very loop
            await asyncio.sleep(0)
        future.cancel()

    any_server.call(abandon)
    assert told.wait(WAIT)
    any_server.call(all_quiet)


def test_its_token_serves_the_coroutine(any_server):
    """A full executor does not deadlock: what is waited for may need a worker."""
    configure(max_workers=1, max_waiting=0)

    async def needs_a_worker() -> Any:
        return await run_in_executor(int, "7")

    async def main() -> Any:
        return await run_in_executor(lambda: run_sync(needs_a_worker))

    assert any_server.call(main) == 7


def test_on_the_loop_s_own_thread():
    """There Tornado's own is called, also after workers were there."""

    async def seven() -> int:
        return await run_in_executor(int, "7")

    io_loop = IOLoop(make_current=False)
    try:
        assert io_loop.run_sync(seven) == 7
        assert io_loop.run_sync(seven) == 7
    finally:
        io_loop.close()
    assert not {"run_sync", "stop"} & set(vars(io_loop))


def test_a_body_stops_the_loop():
    """`stop` is heard at once, not when the loop happens to wake."""
    io_loop = IOLoop(make_current=False)
    ended = threading.Event()

    def body() -> None:
        IOLoop.current().stop()
        assert ended.wait(WAIT)

    def start() -> None:
        futures.append(run_in_executor(body))

    futures: list[Any] = []
    try:
        io_loop.add_callback(start)
        io_loop.start()
        ended.set()
        io_loop.run_sync(lambda: futures[0])
    finally:
        io_loop.close()


@pytest.mark.parametrize("timeout", [None, WAIT])
def test_in_a_handler(make_server, timeout):
    """The request is answered, and so is the next one."""
    from tornado.web import RequestHandler

    @unblock
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(str(type(run_sync(where, timeout)[0]).__name__))

    server = make_server(("/", Handler))
    assert [server.get("/").body for _ in range(2)] == [b"int", b"int"]
