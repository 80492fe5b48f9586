"""Context variables: in with the request, and back."""

from __future__ import annotations

import contextvars
from typing import Any

from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.web import RequestHandler

from tests.differential.table import Site, Table, request

table = Table("context")
user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


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
