"""The loop that a body finds in its thread, before, within and after its own loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

import pytest
from tornado import gen
from tornado.httpclient import HTTPClient
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from tests.patience import WAIT
from tornado_unblock import run_in_executor, unblock
from tornado_unblock._loop import thread_loop
from tornado_unblock._loop.thread_loop import enter, leave, running_loop


async def nothing() -> int:
    await asyncio.sleep(0)
    return 7


def by_run() -> None:
    asyncio.run(nothing())


def by_run_that_fails() -> None:
    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(fail())


def by_new_loop() -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(nothing())
    loop.close()


def by_current_loop() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    assert asyncio.get_event_loop() is loop
    assert loop.run_until_complete(asyncio.ensure_future(nothing())) == 7
    loop.close()


def by_no_loop() -> None:
    asyncio.set_event_loop(None)


def by_tornado() -> None:
    io_loop = IOLoop(make_current=False)
    assert io_loop.run_sync(nothing) == 7
    io_loop.close()


def by_client() -> None:
    client = HTTPClient()
    with pytest.raises(OSError, match=r"."):
        client.fetch("http://127.0.0.1:1/", connect_timeout=WAIT)
    client.close()


def by_all_of_them() -> None:
    for way in WAYS[:-1]:
        way()


WAYS: list[Callable[[], None]] = [
    by_run,
    by_run_that_fails,
    by_new_loop,
    by_current_loop,
    by_no_loop,
    by_tornado,
    by_client,
    by_all_of_them,
]


@gen.coroutine
def helper() -> Any:
    return 7
    yield


@pytest.mark.parametrize("way", WAYS)
def test_after_loops_of_its_own(any_server, in_any_body, way):
    """The thread's loop is the application's again, and all that asks for it works."""

    def body() -> Any:
        way()
        assert asyncio.get_event_loop() is any_server.loop
        current: Any = IOLoop.current()
        assert current.asyncio_loop is any_server.loop
        assert asyncio.Future().get_loop() is any_server.loop
        task = asyncio.ensure_future(nothing())
        assert isinstance(task, asyncio.Task)
        assert helper().result() == 7
        return task

    assert in_any_body(body) == 7


@pytest.mark.parametrize("way", [by_run, by_current_loop, by_client])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_response_after_loops_of_its_own(make_server, method, way):
    """It is written and flushed, whatever the body has run before."""

    @unblock
    class Handler(RequestHandler):
        def get(self) -> None:
            way()
            self.write("x")
            self.flush()
            way()
            self.finish("y")

        head = get

    response = make_server(("/", Handler)).get("/", method=method)
    assert (response.status, response.body.endswith(b"0\r\n\r\n")) == (
        200,
        method == "GET",
    )


def test_nothing_is_left_for_the_next_body(in_any_body):
    """A loop that a body has set is not the next one's, nor that of a bare job."""
    left = asyncio.new_event_loop()

    def get() -> bool:
        return asyncio.get_event_loop() is left

    try:
        in_any_body(asyncio.set_event_loop, left)
        assert not in_any_body(get)
    finally:
        left.close()


def test_threads_without_a_body_are_as_ever(in_any_body):
    """Elsewhere asyncio says what it always says."""
    in_any_body(int)
    outcome: list[Any] = []

    def ask() -> None:
        try:
            asyncio.get_event_loop()
        except RuntimeError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=ask, name="bare")
    thread.start()
    thread.join(WAIT)
    assert "no current event loop in thread 'bare'" in outcome[0]


@pytest.mark.skipif(
    not hasattr(asyncio, "set_event_loop_policy"), reason="Python 3.16 has no policies"
)
@pytest.mark.filterwarnings("ignore:.*(p|P)olicy.* is deprecated:DeprecationWarning")
def test_another_policy(in_any_body):
    """One that is set later is asked likewise."""
    before = asyncio.get_event_loop_policy()
    in_any_body(int)
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    try:
        in_any_body(by_run)
        assert in_any_body(lambda: (by_run(), asyncio.get_event_loop())[1])
    finally:
        asyncio.set_event_loop_policy(before)


# --- Futures within an inner loop ----------------------------------------------


def test_flush_within_a_loop_of_its_own(make_server):
    """What is awaited there belongs to that loop."""

    @unblock
    class Handler(RequestHandler):
        def get(self) -> None:
            async def write() -> None:
                for part in "abc":
                    self.write(part)
                    await self.flush()
                    await asyncio.sleep(0)

            asyncio.run(write())

        def head(self) -> None:
            async def flush() -> None:
                await self.flush()
                await self.flush()

            asyncio.run(flush())

    server = make_server(("/", Handler))
    assert server.get("/").body == b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
    assert server.get("/", method="HEAD").status == 200


def test_the_application_s_loop_within_a_loop_of_its_own(any_server, in_any_body):
    """Its timers, tasks and callbacks are started on its thread, from there as well."""

    def body() -> Any:
        loop = asyncio.get_event_loop()

        async def inside() -> Any:
            async def where() -> int:
                return threading.get_ident()

            return loop.create_task(where()), loop.call_later(0, int)

        return asyncio.run(inside())[0]

    assert in_any_body(body) == any_server.thread.ident


# --- shown as running ------------------------------------------------------------


def test_shown_as_the_running_loop():
    """A thread that shows a loop has a running loop to asyncio, and none to us."""
    loop = asyncio.new_event_loop()

    def body() -> Any:
        enter(loop, shown=True)
        try:
            return asyncio.get_running_loop(), running_loop()
        finally:
            leave()
            assert asyncio._get_running_loop() is None
            assert running_loop() is None

    async def main() -> Any:
        return await run_in_executor(body)

    try:
        assert asyncio.run(main()) == (loop, None)
    finally:
        loop.close()
    assert thread_loop.here.shown is None
