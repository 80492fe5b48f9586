"""Whatever user code can look at on a handler looks as inline, at every moment."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import threading
import types
import weakref
from typing import Any, Callable

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.unit.conftest import all_quiet, read
from tornado_unblock import unblock, unblock_application

MODES = ["inline", "class", "application"]
moving = pytest.mark.parametrize("mode", ["class", "application"])

Looks = list[tuple[str, dict[str, Any]]]


def role(name: str) -> Callable[[Any], Any]:
    """Say on a method who may call it, as frameworks do."""

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
            return method(self, *args, **kwargs)

        checked.required_role = name
        return checked

    return decorate


def look_at_method(handler: RequestHandler, name: str) -> dict[str, Any]:
    method = getattr(handler, name)
    return {
        "class": method.__class__.__name__,
        "bound to it": method.__self__ is handler,
        "function": method.__func__ is getattr(handler.__class__, name),
        "names": (method.__name__, method.__qualname__, method.__module__),
        "doc": method.__doc__,
        "annotations": method.__annotations__,
        "role": getattr(method, "required_role", None),
        "signature": str(inspect.signature(method)),
        "wrapped": getattr(method, "__wrapped__", None),
        "equal": method == getattr(handler, name),
        "is a method": inspect.ismethod(method),
        "coroutine": inspect.iscoroutinefunction(method),
        "of the class": getattr(handler.__class__, name),
    }


def look(handler: RequestHandler) -> dict[str, Any]:
    """Return what can be seen of a handler, but for what differs between requests."""
    cls = type(handler)
    return {
        "class": (cls.__name__, handler.__class__ is cls, cls.__mro__[1:]),
        # Tornado lets go of `ui` after `on_finish`; where that hops, before it has run.
        "vars": sorted(
            (name, value.__class__.__name__)
            for name, value in vars(handler).items()
            if name != "ui"
        ),
        "dir": dir(handler),
        "class dir": dir(cls),
        **{
            name: look_at_method(handler, name)
            for name in ("prepare", "get", "put", "on_finish")
        },
    }


def looker(looks: Looks, ended: threading.Event) -> Any:
    """Return a class whose hooks look at their handler."""

    class Looker(RequestHandler):
        def note(self, moment: str) -> None:
            looks.append((moment, look(self)))

        def initialize(self) -> None:
            self.note("initialize")

        def prepare(self) -> Any:
            """Say something."""
            self.note("prepare")

        def get_current_user(self) -> str:
            self.note("get_current_user")
            return "ann"

        @role("reader")
        def get(self, *, word: str = "none") -> Any:
            """Read."""
            self.note(f"get for {self.current_user}")
            self.write("read")

        @role("writer")
        def put(self) -> Any:
            self.note("put")

        def compute_etag(self) -> None:
            self.note("compute_etag")

        def log_exception(self, *args: Any) -> None:
            self.note("log_exception")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.note(f"write_error {status_code}")
            self.finish("error")

        def on_finish(self) -> None:
            self.note("on_finish")
            ended.set()

    return Looker


def failing(base: Any) -> Any:
    class Failing(base):
        def get(self) -> None:
            super().get()
            raise HTTPError(418)

    return Failing


def refusing(base: Any) -> Any:
    class Refusing(base):
        def prepare(self) -> None:
            super().prepare()
            raise HTTPError(403)

    return Refusing


def finishing_early(base: Any) -> Any:
    class FinishingEarly(base):
        def prepare(self) -> None:
            super().prepare()
            self.finish("early")

    return FinishingEarly


def returning(base: Any) -> Any:
    class Returning(base):
        def get(self) -> Any:
            super().get()
            return self.later()

        async def later(self) -> None:
            await asyncio.sleep(0)
            self.note("later")

    return Returning


def returning_failing(base: Any) -> Any:
    class ReturningFailing(returning(base)):
        async def later(self) -> None:
            await super().later()
            raise HTTPError(418)

    return ReturningFailing


def preparing_async(base: Any) -> Any:
    class PreparingAsync(base):
        async def prepare(self) -> None:
            self.note("prepare")
            await asyncio.sleep(0)
            self.note("prepare goes on")

    return PreparingAsync


def preparing_async_failing(base: Any) -> Any:
    class PreparingAsyncFailing(base):
        async def prepare(self) -> None:
            self.note("prepare")
            raise HTTPError(418)

    return PreparingAsyncFailing


def coroutine(base: Any) -> Any:
    class Coroutine(base):
        async def get(self) -> None:
            await asyncio.sleep(0)
            self.note("get")

    return Coroutine


waiting: list[Any] = []


def parked(base: Any) -> Any:
    class Parked(base):
        def get(self) -> None:
            super().get()
            self._auto_finish = False
            waiting.append(self)

    return Parked


def plain(base: Any) -> Any:
    return base


SHAPES = [
    plain,
    failing,
    refusing,
    finishing_early,
    returning,
    returning_failing,
    preparing_async,
    preparing_async_failing,
    coroutine,
    parked,
]

FAILING = [failing, refusing, returning_failing, preparing_async_failing]


def serve(make_server: Any, cls: Any, mode: str, **settings: Any) -> Any:
    if mode == "class":
        cls = unblock(cls)
    server = make_server()
    app = Application([("/", cls)], **settings)
    if mode == "application":
        unblock_application(app)
    server.call(server.server.stop)
    server.serve(app)
    return server


def looks_of(make_server: Any, shape: Callable[[Any], Any], mode: str) -> Looks:
    looks: Looks = []
    ended = threading.Event()
    server = serve(make_server, shape(looker(looks, ended)), mode)
    client = server.send("/")
    if shape is parked:
        server.until(lambda: waiting)
        server.call(all_quiet)
        server.call(waiting.pop().finish)
    assert read(client).status in (200, 403, 418)
    assert ended.wait(10)
    return looks


@moving
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_looks_as_inline(make_server, expect_log, shape, mode):
    """In each hook, of each shape of request."""
    if shape in FAILING:
        expect_log("tornado.access", "^4")
    expected = looks_of(make_server, shape, "inline")
    found = looks_of(make_server, shape, mode)
    assert [moment for moment, _ in found] == [moment for moment, _ in expected]
    assert_alike(found, expected)


def assert_alike(found: Looks, expected: Looks) -> None:
    for (moment, seen), (_, inline) in zip(found, expected):
        for what, value in inline.items():
            assert comparable(seen[what]) == comparable(value), (moment, what)


def comparable(value: Any) -> Any:
    """Each run has classes of its own: tell functions by their code."""
    if isinstance(value, types.FunctionType):
        return (value.__qualname__, value.__code__)
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(comparable(each) for each in value)
    return value.__qualname__ if isinstance(value, type) else value


# --- uploads and WebSockets -----------------------------------------------------------


@moving
def test_upload_looks_as_inline(make_server, mode):
    """Each chunk, the verb and what follows."""

    def run(mode: str) -> Looks:
        looks: Looks = []
        ended = threading.Event()

        @stream_request_body
        class Upload(looker(looks, ended)):
            def data_received(self, chunk: bytes) -> None:
                self.note(f"data_received {chunk!r}")

        server = serve(make_server, Upload, mode)
        client = server.connect()
        client.sendall(b"PUT / HTTP/1.0\r\nContent-Length: 3\r\n\r\nall")
        assert read(client).status == 200
        assert ended.wait(10)
        return looks

    expected, found = run("inline"), run(mode)
    assert [moment for moment, _ in found] == [moment for moment, _ in expected]
    assert_alike(found, expected)


@moving
@pytest.mark.parametrize("verb", ["its own get", "async get", "sync get"])
def test_web_socket_looks_as_inline(make_server, verb, mode):
    """Each hook, and what Tornado asks."""

    def run(mode: str) -> Looks:
        looks: Looks = []
        closed = threading.Event()

        class Socket(WebSocketHandler):
            def note(self, moment: str) -> None:
                looks.append((moment, look(self)))

            def prepare(self) -> None:
                self.note("prepare")

            def check_origin(self, origin: str) -> bool:
                self.note(f"check_origin {origin}")
                return True

            def select_subprotocol(self, offered: list[str]) -> str:
                self.note(f"select_subprotocol {offered}")
                return offered[0]

            def open(self, *args: str) -> None:
                self.note("open")

            def on_message(self, message: Any) -> None:
                self.note("on_message")
                self.write_message(message)

            def on_ping(self, data: bytes) -> None:
                self.note("on_ping")

            def on_connection_close(self) -> None:
                self.note("on_connection_close")
                super().on_connection_close()

            def on_close(self) -> None:
                self.note(f"on_close {self.close_code}")
                closed.set()

        class AsyncGet(Socket):
            async def get(self, *args: str) -> None:
                self.note("get")
                await super().get(*args)

        class SyncGet(Socket):
            def get(self, *args: str) -> Any:
                self.note("get")
                return super().get(*args)

        classes = {"its own get": Socket, "async get": AsyncGet, "sync get": SyncGet}
        server = serve(make_server, classes[verb], mode)

        async def talk() -> None:
            url = f"ws://127.0.0.1:{server.port}/"
            request = HTTPRequest(url, headers={"Origin": "http://elsewhere"})
            client = await websocket_connect(request, subprotocols=["chat"])
            assert client.selected_subprotocol == "chat"
            client.protocol.write_ping(b"")
            await client.write_message("text")
            assert await client.read_message() == "text"
            client.close(1000)
            assert await client.read_message() is None

        server.call(talk)
        assert closed.wait(10)
        return looks

    expected, found = run("inline"), run(mode)
    # The questions are answered in the hop of prepare, before `get` has kept the
    # path's arguments.
    for moment, seen in [*expected, *found]:
        if moment.startswith(("check_origin", "select_subprotocol")):
            del seen["vars"], seen["dir"]
    by_moment = dict(found)
    assert sorted(by_moment) == sorted(dict(expected))
    assert_alike([(moment, by_moment[moment]) for moment, _ in expected], expected)


# --- what is decided by looking -------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_role_checked_in_prepare(make_server, expect_log, mode):
    """A base class asks the verb who may call it."""
    expect_log("tornado.access", "403 GET /")

    class Base(RequestHandler):
        def prepare(self) -> None:
            method = getattr(self, self.request.method.lower())
            if getattr(method, "required_role", None) is not None:
                raise HTTPError(403)

    class Secret(Base):
        @role("boss")
        def get(self) -> None:
            self.write("secret")

        def post(self) -> None:
            self.write("open")

    server = serve(make_server, Secret, mode)
    assert server.get("/").status == 403
    assert server.get("/", method="POST").body == b"open"


def allow_unauthenticated(method: Any) -> Any:
    """As Jupyter Server marks what needs no login."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self, *args, **kwargs)

    wrapper.__allow_unauthenticated = True
    return wrapper


@pytest.mark.parametrize("mode", MODES)
def test_unauthenticated_access(make_server, expect_log, mode):
    """`prepare` asks both the method of the handler and that of its class."""
    expect_log("tornado.access", "403 POST /")

    class Base(RequestHandler):
        async_prepare = False

        def prepare(self) -> None:
            method = getattr(self, self.request.method.lower())
            assert method == getattr(self, self.request.method.lower())
            assert method.__func__ is getattr(type(self), method.__name__)
            if not getattr(method, "__allow_unauthenticated", False):
                raise HTTPError(403)

    class Login(Base):
        @allow_unauthenticated
        def get(self) -> None:
            self.write("log in")

        def post(self) -> None:
            self.write("not for you")

    server = serve(make_server, Login, mode)
    assert server.get("/").body == b"log in"
    assert server.get("/", method="POST").status == 403


# --- what stands around `_execute` ----------------------------------------------------


@moving
def test_view(make_server, mode):
    """Whoever wraps `_execute` gets a view, which is as good as the handler."""
    seen: list[Any] = []

    class Base(RequestHandler):
        """Documented."""

        def _execute(self, *args: Any, **kwargs: Any) -> Any:
            self.before = "set"
            seen.append(self)
            return super()._execute(*args, **kwargs)

    class Handler(Base):
        @role("reader")
        def get(self, *, word: str = "none") -> None:
            """Read."""
            self.real = self
            self.write(self.before)

    server = serve(make_server, Handler, mode)
    assert server.get("/").body == b"set"
    (view,) = seen
    real = view.real
    assert type(real) is not type(view)
    assert isinstance(view, RequestHandler)
    assert view.__class__ is type(real)
    assert vars(view) is vars(real)
    assert dir(view) == dir(real)
    assert (view.__doc__, view.__module__) == (real.__doc__, real.__module__)
    assert (view, hash(view), repr(view), str(view)) == (
        *(real, hash(real)),
        *(repr(real), str(real)),
    )
    assert real == view
    assert view == view
    assert weakref.ref(view)() is view
    assert type(copy.copy(view)) is type(real)
    del view.before
    assert not hasattr(real, "before")
    with pytest.raises(AttributeError, match="'Handler' object has no attribute 'no'"):
        view.no  # noqa: B018
    expected, found = look_at_method(real, "get"), look_at_method(view, "get")
    assert found == {**expected, "bound to it": False}
    assert view.get.__self__ is real
    assert found["names"][0] == "get"
    assert view.get == real.get == view.get
    assert repr(view.get) == repr(real.get)
    assert hash(view.get) == hash(real.get)
    assert isinstance(view.get, types.MethodType)


@moving
def test_execute_is_looked_up_when_it_is_called(make_server, monkeypatch, mode):
    """What is patched in after the class was unblocked is called."""

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(self.patched)

    server = serve(make_server, Handler, mode)
    own = RequestHandler._execute

    async def _execute(self: Any, *args: Any, **kwargs: Any) -> None:
        self.patched = "patched"
        await own(self, *args, **kwargs)

    monkeypatch.setattr(RequestHandler, "_execute", _execute)
    assert server.get("/").body == b"patched"


@moving
@pytest.mark.parametrize(
    "shape",
    [failing, returning_failing, preparing_async_failing, coroutine, refusing],
    ids=lambda shape: shape.__name__,
)
def test_errors_are_answered_when_execute_ends(
    make_server, expect_log, monkeypatch, shape, mode
):
    """What stands around it sees the status, and that the response is finished."""
    status = 403 if shape is refusing else 418
    expect_log("tornado.access", f"^{status}")
    ends: list[tuple[int, bool]] = []
    own = RequestHandler._execute

    async def _execute(self: Any, *args: Any, **kwargs: Any) -> None:
        await own(self, *args, **kwargs)
        looks.append(("execute", {}))
        ends.append((self.get_status(), self._finished))

    monkeypatch.setattr(RequestHandler, "_execute", _execute)
    looks: Looks = []
    ended = threading.Event()
    cls = shape(looker(looks, ended))
    if shape is coroutine:
        cls = returning_failing(cls)
        cls.get = coroutine_that_fails
    server = serve(make_server, cls, mode)
    assert server.get("/").status == status
    assert ended.wait(10)
    server.until(lambda: ends)
    assert ends == [(status, True)]
    moments = [moment for moment, _ in looks]
    assert moments.index("execute") > moments.index(f"write_error {status}")
    assert moments.index("execute") > moments.index("on_finish")


async def coroutine_that_fails(self: Any) -> None:
    raise HTTPError(418)
