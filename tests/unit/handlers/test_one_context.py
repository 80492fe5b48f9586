"""Requests of which single methods are moved run in one Context."""

from __future__ import annotations

import contextvars
import gc
import inspect
import threading
import weakref
from typing import Any

import pytest
from tornado.web import RequestHandler, authenticated

from tests.patience import WAIT
from tests.unit.conftest import all_quiet
from tornado_unblock import RunTimeoutError, unblock
from tornado_unblock._handlers import one_context

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


class Resets(RequestHandler):
    """What `prepare` sets is reset at the end of the request."""

    ends: list[str]

    def prepare(self) -> None:
        self.token = user.set("prepare")

    def on_finish(self) -> None:
        user.reset(self.token)
        self.ends.append(user.get())

    def get_current_user(self) -> Any:
        return user.get()


@pytest.fixture
def base() -> Any:
    return type("Resets", (Resets,), {"ends": []})


def check(server: Any, base: Any, method: str = "GET", body: bytes = b"done") -> None:
    assert server.get("/", method=method).body == body
    server.until(lambda: base.ends)
    server.call(all_quiet)
    assert base.ends == ["nobody"]


@pytest.mark.filterwarnings("ignore:.*on the loop thread remains")
def test_verb_below_another_decorator(make_server, base):
    """Whoever stands above `unblock` does not hide it."""

    class Handler(base):
        @authenticated
        @unblock
        def get(self) -> None:
            self.write("done")

    check(make_server(("/", Handler)), base)


@pytest.mark.filterwarnings("ignore:.*on the loop thread remains")
def test_verb_that_awaits_another(make_server, base):
    """Also where no method that Tornado calls is unblocked."""

    class Handler(base):
        @unblock
        def get(self) -> None:
            user.set("get")

        async def post(self) -> None:
            await self.get()
            self.write(user.get())

    check(make_server(("/", Handler)), base, "POST", b"get")


def test_coroutine_keeps_its_context(make_server, allow_log):
    """Its blocks end where they began, also when what it awaits is abandoned."""
    allow_log("tornado.application", "still running after")
    go_on = threading.Event()
    ends: list[str] = []

    class Handler(RequestHandler):
        @unblock(timeout=0.01)
        def load(self) -> None:
            user.set("load")
            assert go_on.wait(WAIT)

        @unblock
        def on_finish(self) -> None:
            ends.append(user.get())

        async def get(self) -> None:
            token = user.set("get")
            try:
                with pytest.raises(RunTimeoutError):
                    await self.load()
            finally:
                user.reset(token)
                go_on.set()
            self.write(user.get())

    assert make_server(("/", Handler)).get("/").body == b"nobody"


def test_decorated_on_finish(make_server):
    """It runs after the coroutine of its request, in the same Context."""
    ends: list[str] = []

    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.token = user.set("prepare")

        async def get(self) -> None:
            self.write("done")

        @unblock
        def on_finish(self) -> None:
            user.reset(self.token)
            ends.append(user.get())

    server = make_server(("/", Handler))
    for _ in range(3):
        assert server.get("/").body == b"done"
    server.until(lambda: len(ends) == 3)
    server.call(all_quiet)
    assert ends == ["nobody"] * 3


@pytest.mark.filterwarnings("ignore:.*on the loop thread remains")
def test_timeout(make_server, base, allow_log):
    """An error page is made while the body is in the Context; the end comes there."""
    allow_log("tornado", "")
    go_on = threading.Event()

    class Handler(base):
        @unblock(timeout=0.01)
        def get(self) -> None:
            user.set("late")
            assert go_on.wait(WAIT)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(f"{status_code} {user.get()}")

    server = make_server(("/", Handler))
    assert server.get("/").body == b"504 prepare"
    assert base.ends == []
    go_on.set()
    server.until(lambda: base.ends)
    server.call(all_quiet)
    assert base.ends == ["nobody"]


@pytest.mark.filterwarnings("ignore:.*on the loop thread remains")
def test_prepare_of_others_put_on_the_class_later(make_server):
    """So does OpenTelemetry, when the application is served already."""
    ends: list[str] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write(user.get())

    server = make_server(("/", Handler))
    assert server.get("/").body == b"nobody"
    server.call(all_quiet)
    Handler.prepare = Resets.prepare  # type: ignore[method-assign]
    Handler.on_finish = Resets.on_finish  # type: ignore[method-assign]
    Handler.ends = ends  # type: ignore[attr-defined]
    assert server.get("/").body == b"prepare"
    server.until(lambda: ends)
    assert ends == ["nobody"]


def test_class_form_around_methods(make_server):
    """Where the class shares a Context already, its methods are in that."""
    ends: list[str] = []

    @unblock
    class Handler(RequestHandler):
        async def prepare(self) -> None:
            self.token = user.set("prepare")
            await self.load()

        @unblock
        def load(self) -> None:
            user.set("loaded")

        def get(self) -> None:
            self.write(user.get())

        def on_finish(self) -> None:
            user.reset(self.token)
            ends.append(user.get())

    server = make_server(("/", Handler))
    assert server.get("/").body == b"loaded"
    server.until(lambda: ends)
    assert ends == ["nobody"]


def test_what_else_stands_in_a_class(make_server):
    """Attributes that claim to be anything are not asked."""

    class Anything:
        def __getattr__(self, name: str) -> Anything:
            return self

    class Unbound:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("outside of a request")

    class Handler(RequestHandler):
        claims = Anything()
        unbound = Unbound()

        @unblock
        def get(self) -> None:
            self.write("done")

    assert make_server(("/", Handler)).get("/").body == b"done"


def test_tornados_method_is_what_it_was():
    """Who wraps it looks whether it is a coroutine function; classes can go."""
    assert inspect.iscoroutinefunction(RequestHandler._execute)
    assert RequestHandler._execute.__name__ == "_execute"


def test_made_up_methods_are_no_keys(make_server, allow_log):
    """What a client sends is not kept."""
    allow_log("tornado.access", "405 MADE-UP")

    class Handler(RequestHandler):
        async def get(self) -> None:
            self.write("done")

        @unblock
        def helper(self) -> None: ...

    server = make_server(("/", Handler))
    assert server.get("/").body == b"done"
    assert server.get("/", method="MADE-UP").status == 405
    assert set(one_context._known[weakref.ref(Handler)]) == {"GET", None}


def test_classes_are_not_kept():
    """What is known of a class goes with it."""

    def make() -> weakref.ref[Any]:
        cls = type("Handler", (RequestHandler,), {})
        one_context._keep(cls)
        kept = weakref.ref(cls)
        assert kept in one_context._known
        return kept

    before = set(one_context._known)
    kept = make()
    gc.collect()
    assert kept() is None
    assert set(one_context._known) <= before
