"""`unblock` keeps what it wraps, and refuses what it cannot serve."""

from __future__ import annotations

import concurrent.futures
import functools
import inspect
import re
import threading
from typing import Any

import pytest
from tornado.web import RequestHandler, addslash, authenticated, removeslash

from tornado_unblock import run_in_executor, unblock


class Documented(RequestHandler):
    @unblock
    def get(self, key: str, *, deep: bool = False) -> str:
        """Return the order."""
        return key

    @unblock(executor="reports", timeout=2.5)
    def post(self) -> None:
        """Make a report."""


@pytest.mark.parametrize("bound", [False, True])
def test_introspection(bound):
    """Signature, docstring, name, module, annotations and source survive."""
    method = Documented.__new__(Documented).get if bound else Documented.get
    parameters = list(inspect.signature(method).parameters)
    assert parameters == (["key", "deep"] if bound else ["self", "key", "deep"])
    assert method.__doc__ == "Return the order."
    assert method.__name__ == "get"
    assert method.__qualname__ == "Documented.get"
    assert method.__module__ == __name__
    assert "deep: bool" in inspect.getsource(method)
    assert inspect.ismethod(method) if bound else inspect.isroutine(method)
    assert not inspect.iscoroutinefunction(method)


def test_without_a_loop_it_is_the_plain_method():
    """A unit test may call it on a handler that no server made."""
    handler = Documented.__new__(Documented)
    assert handler.get("7") == "7"
    assert Documented.get(handler, "7", deep=True) == "7"


def test_a_class_that_is_no_handler(make_server, expect_log):
    """The call says so, since the decorator could not know."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")

    class Model:
        @unblock
        def load(self) -> None: ...

    class Handler(RequestHandler):
        async def get(self) -> None:
            await Model().load()

    server = make_server(("/", Handler), serve_traceback=True)
    body = server.get("/").body.decode()
    assert "unblock is for methods of tornado.web.RequestHandler" in body


def plain(method: Any) -> Any:
    def around(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.set_header("X-Around", "plain")
        return method(self, *args, **kwargs)

    return around


def wrapping(method: Any) -> Any:
    return functools.wraps(method)(plain(method))


def awaiting(method: Any) -> Any:
    @functools.wraps(method)
    async def around(self: Any, *args: Any, **kwargs: Any) -> None:
        result = method(self, *args, **kwargs)
        if result is not None:
            await result
        self.write(" after")
        self.set_header("X-Around", "awaiting")

    return around


@pytest.mark.parametrize("outer", [plain, wrapping, awaiting])
def test_below_another_decorator(make_server, outer):
    """The other decorator runs on the loop thread, the body in a worker."""
    threads: list[str] = []

    class Handler(RequestHandler):
        @outer
        @unblock
        def get(self) -> None:
            threads.append(threading.current_thread().name)
            self.write("body")

    response = make_server(("/", Handler)).get("/")
    assert response.body.startswith(b"body")
    assert response.body.endswith(b"after" if outer is awaiting else b"body")
    assert response.headers["X-Around"] in ("plain", "awaiting")
    assert threads[0].startswith("unblock-default")


@pytest.mark.parametrize("inner", [plain, wrapping])
def test_above_another_decorator(make_server, inner):
    """The other decorator moves with the body."""
    threads: list[str] = []

    class Handler(RequestHandler):
        @unblock
        @inner
        def get(self) -> str:
            threads.append(threading.current_thread().name)
            return "body"

    response = make_server(("/", Handler)).get("/")
    assert response.body == b"body"
    assert response.headers["X-Around"] == "plain"
    assert threads[0].startswith("unblock-default")


def stacked(*decorators: Any) -> type[RequestHandler]:
    def get(self: RequestHandler) -> None:
        self.write("served")

    for decorator in decorators:
        get = decorator(get)

    def get_current_user(self: RequestHandler) -> Any:
        return self.get_argument("user", None)

    return type(
        "Handler", (RequestHandler,), {"get": get, "get_current_user": get_current_user}
    )


@pytest.mark.parametrize("order", ["unblock outside", "unblock inside"])
@pytest.mark.parametrize(
    ("decorator", "path", "served"),
    [
        (authenticated, "/a?user=me", True),
        (authenticated, "/a", False),
        (addslash, "/a/", True),
        (addslash, "/a", False),
        (removeslash, "/a", True),
        (removeslash, "/a/", False),
    ],
)
def test_tornado_decorators_in_either_order(
    make_server, decorator, path, served, order
):
    """`authenticated`, `addslash` and `removeslash` do what they do inline."""
    pair = (decorator, unblock) if order == "unblock outside" else (unblock, decorator)
    server = make_server(("/a/?", stacked(*pair)), login_url="/login")
    response = server.get(path)
    assert response.status == (
        200 if served else 301 if "slash" in str(decorator) else 302
    )
    assert (response.body == b"served") is served


def test_unblocked_twice_is_unblocked(make_server):
    """The inner one runs inline."""

    class Handler(RequestHandler):
        @unblock
        @unblock
        def get(self) -> str:
            return "once"

    assert make_server(("/", Handler)).get("/").body == b"once"


def test_executor_of_the_user(make_server):
    """Any ThreadPoolExecutor serves bodies."""
    with concurrent.futures.ThreadPoolExecutor(1, "mine") as mine:

        class Handler(RequestHandler):
            @unblock(executor=mine)
            def get(self) -> str:
                return threading.current_thread().name

        assert make_server(("/", Handler)).get("/").body == b"mine_0"


def test_named_executor(make_server):
    """A name is a bulkhead of its own."""

    class Handler(RequestHandler):
        @unblock(executor="reports")
        def get(self) -> str:
            return threading.current_thread().name

    assert make_server(("/", Handler)).get("/").body == b"unblock-reports-1"


def test_chain_of_unblocked_methods_on_one_worker(make_server):
    """Called in a worker, an unblocked method runs there: no second hop."""
    one = concurrent.futures.ThreadPoolExecutor(1)

    class Base(RequestHandler):
        @unblock(executor=one)
        def get(self) -> None:
            self.write(self.second() + threading.current_thread().name)

        @unblock(executor=one)
        def second(self) -> str:
            return self.third() + threading.current_thread().name + " "

        @unblock(executor=one)
        def third(self) -> str:
            return threading.current_thread().name + " "

    class Child(Base):
        @unblock(executor=one)
        def get(self) -> None:
            super().get()

    with one:
        names = make_server(("/", Child)).get("/").body.split()
    assert len(names) == 3
    assert len(set(names)) == 1


def test_async_child_awaits_its_parents_verb(make_server):
    """``await super().get()`` from a coroutine hops."""

    class Parent(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write("parent ")

    class Child(Parent):
        async def get(self) -> None:
            await super().get()
            self.write(str(await run_in_executor(int, "7")))

    assert make_server(("/", Child)).get("/").body == b"parent 7"


# --- a verb alone ---------------------------------------------------------------------


def legacy(**hooks: Any) -> Any:
    """Make a class whose verb is unblocked, and whose hooks are not."""

    class Orders(RequestHandler):
        locals().update(hooks)

        @unblock
        def get(self) -> None: ...

        @unblock
        def post(self) -> None: ...

    return Orders


def hook(self: Any, **kwargs: Any) -> None: ...


def opens(self: Any, **kwargs: Any) -> None:
    self.session = sorted(kwargs)


async def coroutine(self: Any) -> None: ...


@pytest.mark.parametrize("name", ["prepare", "get_current_user", "on_finish"])
def test_hooks_beside_an_unblocked_verb(name):
    """They stay on the loop thread: class, line and way out are told, once."""
    with pytest.warns(UserWarning, match="get is unblocked") as caught:
        legacy(**{name: hook})
    (warning,) = caught
    text = str(warning.message)
    assert re.match(
        rf"legacy\.<locals>\.Orders \(.*test_decorator\.py:\d+\): get is unblocked and "
        rf"runs on a worker; on the loop thread remains {name}\. To have a request on "
        r"one thread, put @unblock on the class, or call unblock_application$",
        text,
    )
    assert warning.filename == __file__


def test_initialize_beside_an_unblocked_verb():
    """One that opens something; what only keeps what it is given is no danger."""
    with pytest.warns(UserWarning, match="belongs into prepare"):
        legacy(initialize=opens)
    with pytest.warns(UserWarning, match="remains initialize"):
        legacy(initialize=functools.partialmethod(opens))
    with pytest.warns(UserWarning, match="remains initialize"):
        legacy(initialize=print)


@pytest.mark.filterwarnings("error")
def test_verbs_without_hooks_that_stay_behind():
    """Nothing is said of those."""
    legacy()

    class Keeps(RequestHandler):
        def initialize(self, database: str) -> None:
            super().initialize()
            self.database = database

        @unblock
        def get(self) -> None: ...

    legacy(prepare=unblock(hook), on_finish=unblock(hook))
    legacy(prepare=coroutine)

    class NoHandler:
        @unblock
        def get(self) -> None: ...

    class Helper(RequestHandler):
        def prepare(self) -> None: ...

        @unblock
        def load(self) -> None: ...
