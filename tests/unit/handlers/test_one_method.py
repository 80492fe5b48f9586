"""Single methods with `unblock`, each in a hop of its own."""

from __future__ import annotations

import functools
import threading

import pytest
from tornado.web import RequestHandler

from tornado_unblock import (
    unblock,
)


def test_prepare_in_a_worker(make_server):
    """What it leaves on ``self`` is there for the verb; it may end the request."""

    class Handler(RequestHandler):
        @unblock
        def prepare(self) -> None:
            self.who = threading.current_thread().name
            if self.get_argument("stop", None):
                self.redirect("/stopped")

        def get(self) -> None:
            self.write(self.who)

    server = make_server(("/", Handler))
    assert server.get("/").body == b"unblock-default-1"
    assert server.get("/?stop=1").status == 302


def test_unheard_hooks_log_their_errors(make_server, expect_log):
    """Nobody awaits ``on_finish``; its error is logged with the endpoint."""
    record = expect_log("tornado.application", "Uncaught exception in .*on_finish")
    done = threading.Event()

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("fine")

        @unblock
        def on_finish(self) -> None:
            done.set()
            raise LookupError("in on_finish")

    server = make_server(("/", Handler))
    assert server.get("/").body == b"fine"
    assert done.wait(10)
    server.until(lambda: record.messages)


def test_helpers_return_to_their_caller(make_server):
    """What a method other than a verb returns is not sent."""

    class Handler(RequestHandler):
        @unblock
        def load(self, key: str) -> list[str]:
            return [key]

        async def get(self) -> None:
            self.write({"rows": await self.load("k")})

    assert make_server(("/", Handler)).get("/").body == b'{"rows": ["k"]}'


def test_a_verb_under_another_name(make_server):
    """``get = unblock(dispatch)`` serves a verb, so its result is sent."""

    def dispatch(self: RequestHandler) -> str:
        return "dispatched " + (self.request.method or "")

    class Handler(RequestHandler):
        get = post = unblock(dispatch)

    server = make_server(("/", Handler))
    assert server.get("/").body == b"dispatched GET"
    assert server.get("/", method="POST").body == b"dispatched POST"


# A name for each way in which a method is called.
@pytest.mark.parametrize(
    "name", ["get", "prepare", "on_finish", "on_close", "open", "data_received", "load"]
)
def test_the_name_of_a_function_tells_nothing(make_server, expect_log, name):
    """What Tornado makes of a method goes by where it stands in the class."""

    def named(fn):
        fn.__name__ = name
        fn.__qualname__ = f"elsewhere.{name}"
        return unblock(fn)

    class Handler(RequestHandler):
        get = named(lambda self: "the answer")
        load = named(lambda self: ["a row"])
        # The loop thread calls it after a coroutine, and a worker after `get`.
        on_finish = named(lambda self: self.request.method == "POST" and 1 / 0)

        async def post(self) -> None:
            self.write({"rows": await self.load()})

    server = make_server(("/", Handler))
    assert server.get("/").body == b"the answer"
    record = expect_log("tornado.application", "Uncaught exception in")
    assert server.get("/", method="POST").body == b'{"rows": ["a row"]}'
    server.until(lambda: record.messages)


def test_what_a_descriptor_binds(make_server):
    """It may be any callable, without a name; it is served as a function is."""

    class Bound:
        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __get__(self, handler: RequestHandler, cls: type) -> object:
            return functools.partial(self, handler)

        def __call__(self, handler: RequestHandler) -> None:
            handler.write(f"{self.name} on {threading.current_thread().name}")

    class Handler(RequestHandler):
        get = unblock(Bound())

    server = make_server(("/", Handler))
    assert server.get("/").body == b"get on unblock-default-1"
