"""Bodies that reach for the event loop."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from tornado import gen
from tornado.ioloop import IOLoop
from tornado.locks import Condition
from tornado.web import HTTPError, RequestHandler

from tests.differential.table import Site, Table

table = Table("loop")


# --- finishing later ------------------------------------------------------------------


@table.body()
def finished_by_a_callback(self: RequestHandler) -> None:
    self._auto_finish = False
    self.write("now, ")
    IOLoop.current().add_callback(self.finish, "later")


@table.body()
def finished_by_a_timer(self: RequestHandler) -> None:
    self._auto_finish = False
    IOLoop.current().call_later(0.001, lambda: self.finish("by a timer"))


@table.body()
def finished_by_call_at(self: RequestHandler) -> None:
    self._auto_finish = False
    loop = IOLoop.current()
    loop.call_at(loop.time() + 0.001, self.finish, "by call_at")


@table.body()
def finished_by_call_soon(self: RequestHandler) -> None:
    self._auto_finish = False
    asyncio.get_event_loop().call_soon(self.finish, "soon")


@table.case()
def future_completed_by_the_body() -> Site:
    """As in a chat room, where a post wakes those who wait."""

    class Handler(RequestHandler):
        async def prepare(self) -> None:
            self.news: asyncio.Future[str] = asyncio.Future()
            self._auto_finish = False
            IOLoop.current().spawn_callback(self.wait_for_news)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        async def wait_for_news(self) -> None:
            self.finish(await self.news)

        def get(self) -> None:
            self.news.set_result("news")

    return Handler


@table.case()
def condition_notified_by_the_body() -> Site:
    class Handler(RequestHandler):
        async def prepare(self) -> None:
            self.condition = Condition()
            self._auto_finish = False
            IOLoop.current().spawn_callback(self.wait_for_news)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        async def wait_for_news(self) -> None:
            await self.condition.wait()
            self.finish("notified")

        def get(self) -> None:
            self.condition.notify_all()

    return Handler


@table.body()
def callback_on_what_is_sent(self: RequestHandler) -> None:
    self.write("sent")
    future = self.flush()
    # Any question to the stream is answered when what came before is done.
    self.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr]
    self._auto_finish = False
    future.add_done_callback(lambda _: self.finish(", and finished"))


@table.body()
def timer_removed(self: RequestHandler) -> None:
    loop = IOLoop.current()
    timer = loop.call_later(60, self.finish, "never")
    loop.remove_timeout(timer)
    self.write("in time")


@table.body()
def finished_by_a_spawned_coroutine(self: RequestHandler) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        self.finish("spawned")

    self._auto_finish = False
    IOLoop.current().spawn_callback(work)


@table.body()
def finished_by_ensure_future(self: RequestHandler) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        self.finish("by a task")

    self._auto_finish = False
    asyncio.ensure_future(work())  # noqa: RUF006


@table.body()
def spawned_coroutine_fails(self: RequestHandler) -> None:
    async def work() -> None:
        self.finish("before the error")
        raise ValueError("spawned")

    self._auto_finish = False
    IOLoop.current().spawn_callback(work)


@table.body()
def streamed_by_callbacks(self: RequestHandler) -> None:
    def step(number: int) -> None:
        if number == 3:
            self.finish("end")
            return
        self.write(f"{number} ")
        self.flush()
        IOLoop.current().add_callback(step, number + 1)

    self._auto_finish = False
    step(0)


# --- awaitables returned --------------------------------------------------------------


@table.body()
def returns_a_coroutine(self: RequestHandler) -> Any:
    async def work() -> None:
        await asyncio.sleep(0)
        self.write("from a coroutine")

    return work()


@table.body()
def returns_a_failing_coroutine(self: RequestHandler) -> Any:
    async def work() -> None:
        raise HTTPError(418, "in a coroutine")

    return work()


@table.body()
def returns_a_task(self: RequestHandler) -> Any:
    async def work() -> None:
        self.write("from a task")

    return asyncio.ensure_future(work())


@table.body()
def returns_a_future(self: RequestHandler) -> Any:
    future: asyncio.Future[None] = asyncio.Future()

    def done() -> None:
        self.write("from a future")
        future.set_result(None)

    IOLoop.current().add_callback(done)
    return future


@table.case()
def returns_a_coroutine_of_its_own() -> Site:
    class Handler(RequestHandler):
        def get(self) -> Any:
            self.set_header("X-Sync", "1")
            return self.work("argument")

        async def work(self, text: str) -> None:
            await asyncio.sleep(0)
            self.finish(text)

        @gen.coroutine
        def post(self) -> Any:
            yield self.work("post")

    return Handler


@table.body()
def run_in_tornados_executor(self: RequestHandler) -> Any:
    """The hand-written way, from a body that is moved itself."""
    future = IOLoop.current().run_in_executor(None, functools.partial(str, 5))

    async def work() -> None:
        self.write(await future)

    return work()


@table.body()
def task_created(self: RequestHandler) -> None:
    async def work() -> None:
        self.finish("by a task")

    self._auto_finish = False
    coroutine = work()
    try:
        self.task = asyncio.create_task(coroutine)  # type: ignore[attr-defined]
    except RuntimeError:
        coroutine.close()
        raise


@table.body()
def returns_text(self: RequestHandler) -> Any:
    return "text"
