"""Bodies that reach for the event loop, and context variables."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from typing import Any

from tornado import gen
from tornado.ioloop import IOLoop
from tornado.locks import Condition
from tornado.log import app_log
from tornado.web import HTTPError, RequestHandler

from tests.differential.harness import Site, Table, request

table = Table("loop")
user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


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
    asyncio.ensure_future(work())


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


# --- awaitables returned ----------------------------------------------------------------


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


# --- context variables ---------------------------------------------------------------------


@table.case()
def context_from_prepare() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> None:
            user.set("prepared")

        def get(self) -> None:
            self.write(user.get())

    return Handler


@table.case()
def context_to_on_finish() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            user.set("got")
            self.write(user.get())

        def on_finish(self) -> None:
            app_log.info("user is %s", user.get())

    return Handler


@table.case()
def context_to_the_error_page() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            user.set("got")
            raise ValueError("no")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(user.get())

        def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
            app_log.error("for %s: %s", user.get(), value)

    return Handler


@table.body(request(close=False) + request())
def context_ends_with_the_request(self: RequestHandler) -> None:
    self.write(user.get() + " ")
    user.set("left behind")


@table.body()
def context_reset(self: RequestHandler) -> None:
    token = user.set("for a while")
    self.write(user.get())
    user.reset(token)
    self.write(user.get())


@table.body()
def context_goes_to_callbacks(self: RequestHandler) -> None:
    def work() -> None:
        self.finish(user.get())

    user.set("caller")
    self._auto_finish = False
    IOLoop.current().add_callback(work)


@table.body()
def context_goes_to_timers(self: RequestHandler) -> None:
    user.set("caller")
    self._auto_finish = False
    IOLoop.current().call_later(0, lambda: self.finish(user.get()))
    user.set("changed afterwards")


@table.body()
def loop_is_the_applications(self: RequestHandler) -> None:
    async def work(loop: IOLoop) -> None:
        self.finish(str(loop is IOLoop.current()))

    self._auto_finish = False
    loop = IOLoop.current()
    loop.spawn_callback(work, loop)
