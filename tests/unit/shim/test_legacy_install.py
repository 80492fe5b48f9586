"""`install` and its undoing, and what docs/legacy.md says."""

from __future__ import annotations

import asyncio
import importlib
import re
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tornado
from tornado import (
    auth,
    autoreload,
    concurrent,
    gen,
    httpclient,
    httpserver,
    httputil,
    ioloop,
    iostream,
    netutil,
    process,
    tcpclient,
    tcpserver,
    util,
    web,
    websocket,
    wsgi,
)
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from tests.patience import WAIT
from tornado_unblock import unblock
from tornado_unblock.shim import legacy

DOCS = Path(__file__).resolve().parents[3] / "docs" / "legacy.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.M | re.S)
PATCHED = [
    concurrent,
    gen,
    netutil,
    tornado,
    web,
    websocket,
    wsgi,
    autoreload,
    *(
        cls
        for module in (
            auth,
            httpclient,
            httpserver,
            httputil,
            ioloop,
            iostream,
            netutil,
            process,
            tcpclient,
            tcpserver,
            util,
            web,
            websocket,
        )
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__.startswith("tornado.")
    ),
]


def everything() -> dict[Any, dict[str, Any]]:
    ignored = (
        "__doc__",
        "__abstractmethods__",
        "_abc_impl",
        "_Configurable__impl_class",
    )
    return {
        place: {k: v for k, v in vars(place).items() if k not in ignored}
        for place in PATCHED
    }


@pytest.fixture
def installed() -> Iterator[None]:
    with pytest.warns(legacy.LegacyWarning, match=r"docs/legacy\.md"):
        undo = legacy.install()
    yield
    undo()


def test_undo_restores_exactly():
    """Each attribute is the very object it was; what was not there is gone."""
    before = everything()
    with pytest.warns(legacy.LegacyWarning) as caught:
        undo = legacy.install()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    changed = everything()
    assert changed != before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert legacy.install() is undo
    assert everything() == changed
    undo()
    assert everything() == before
    undo()
    legacy.uninstall()
    assert everything() == before
    assert "tornado.stack_context" not in sys.modules
    assert not hasattr(tornado, "stack_context")


def test_a_stack_context_of_others_stays():
    """Another module of that name, put there meanwhile, is left alone."""
    with pytest.warns(legacy.LegacyWarning):
        undo = legacy.install()
    sys.modules["tornado.stack_context"] = other = type(sys)("other")
    undo()
    assert sys.modules.pop("tornado.stack_context") is other


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("mode", ["inline", "unblocked"])
def test_old_code_as_it_is(make_server, mode):
    """A handler that knows nothing of this library, with all the old names."""
    old = importlib.import_module("tornado.stack_context")
    told: list[Any] = []

    class Upstream(RequestHandler):
        def get(self) -> None:
            self.write("up")

    class Old(RequestHandler):
        executor = concurrent.dummy_executor

        @web.asynchronous  # type: ignore[attr-defined]
        def get(self) -> None:
            with old.StackContext(lambda: told_around(told)):
                http = httpclient.AsyncHTTPClient(IOLoop.instance())
                callback = self.async_callback(self.on_response, "x")  # type: ignore[attr-defined]
                http.fetch(f"http://{self.request.host}/up", callback)

        def on_response(self, word: str, response: Any) -> None:
            self.write(word + response.body.decode())
            self.work(callback=self.on_work)

        @gen.engine  # type: ignore[attr-defined]
        def work(self, callback: Any) -> Any:
            value = yield gen.Task(self.load)  # type: ignore[attr-defined]
            IOLoop.instance().add_callback((yield gen.Callback("k")))  # type: ignore[attr-defined]
            yield gen.Wait("k")  # type: ignore[attr-defined]
            callback(value)

        @concurrent.run_on_executor
        def load(self) -> str:
            return "loaded"

        def on_work(self, value: str) -> None:
            self.write(value)
            self.flush(callback=self.finish)  # type: ignore[call-arg]

    assert Old.async_callback(None, None) is None  # type: ignore[attr-defined]
    if mode == "unblocked":
        Old = unblock(Old)
    server = make_server(("/", Old), ("/up", Upstream))
    answer = ask(server)
    assert b"xup" in answer
    assert b"loaded" in answer
    assert "enter" in told


class told_around:
    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def __enter__(self) -> None:
        self.told.append("enter")

    def __exit__(self, *error: Any) -> None:
        self.told.append("exit")


@pytest.mark.usefixtures("installed")
def test_instance_in_a_foreign_thread(make_server):
    """A thread of the program's own reaches the application's loop."""

    class Foreign(RequestHandler):
        @web.asynchronous  # type: ignore[attr-defined]
        def get(self) -> None:
            threading.Thread(target=self.work).start()

        def work(self) -> None:
            assert IOLoop.initialized()  # type: ignore[attr-defined]
            IOLoop.instance().add_callback(self.finish, "foreign")

    assert make_server(("/", Foreign)).get("/").body == b"foreign"


@pytest.mark.usefixtures("installed")
def test_io_loop_everywhere():
    """Whatever took a loop takes it again."""

    async def main() -> None:
        loop = IOLoop.current()
        ours, theirs = socket.socketpair()
        iostream.IOStream(ours, io_loop=loop).close()  # type: ignore[call-arg]
        iostream.IOStream(theirs, loop).close()
        tcpserver.TCPServer(io_loop=loop)  # type: ignore[call-arg]
        httpserver.HTTPServer(web.Application(), io_loop=loop)
        tcpclient.TCPClient(io_loop=loop).close()  # type: ignore[call-arg]
        netutil.Resolver(io_loop=loop).close()
        client = httpclient.AsyncHTTPClient(io_loop=loop)
        assert client is httpclient.AsyncHTTPClient()
        ioloop.PeriodicCallback(print, 1, io_loop=loop)  # type: ignore[call-arg]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            netutil.add_accept_handler(listener, print, io_loop=loop)()  # type: ignore[call-arg]
        process.Subprocess(["true"], io_loop=loop).proc.wait(WAIT)
        other = httpclient.AsyncHTTPClient(force_instance=True)
        assert other is not client
        other.close()

    asyncio.run(main())


# --- docs/legacy.md -----------------------------------------------------------------

IN = "test_legacy_"
ROWS = {
    "`@web.asynchronous`": "requests.test_asynchronous_finishes_in_a_callback",
    "`@gen.engine`": "requests.test_stacked_on_coroutines",
    "`gen.Task(f, x)`": "gen.test_task",
    "`gen.Callback`, `Wait`, `WaitAll`": "gen.test_callback_and_wait",
    "`gen.Arguments`": "gen.test_task",
    "a `gen.YieldPoint` of your own": "gen.test_yield_points_elsewhere",
    "`@return_future`": "gen.test_return_future",
    "`concurrent.TracebackFuture`": "install.test_names",
    "`@run_on_executor`, `callback=`": "gen.test_run_on_executor",
    "`AsyncHTTPClient.fetch(url, callback=)`": "requests.test_fetch_with_a_callback",
    "`IOStream.read_until(x, callback=)` and the like": "callbacks.test_stream_reads",
    "`read_bytes(n, streaming_callback=)`": (
        "callbacks.test_streaming_callback_is_refused"
    ),
    "`self.flush(callback=)`": "callbacks.test_flush",
    "`get_authenticated_user(callback=)`, `oauth2_request` and the like": (
        "callbacks.test_auth"
    ),
    "`Resolver.resolve(callback=)`": "callbacks.test_resolver",
    "`websocket_connect(callback=)`, `read_message(callback=)`": (
        "callbacks.test_websocket_connect"
    ),
    "`io_loop=`": "callbacks.test_io_loop_is_accepted",
    "`IOLoop.instance()`": "callbacks.test_instance_in_workers_and_threads",
    "`IOLoop.initialized()`": "callbacks.test_instance_before_a_loop_runs",
    "`stack_context.StackContext`, `NullContext`, `wrap`, `run_with_stack_context`": (
        "contexts.test_stack_context_goes_along"
    ),
    "`stack_context.ExceptionStackContext`": (
        "contexts.test_exceptions_go_to_the_contexts"
    ),
    "`self.async_callback(f, x)`": "install.test_old_code_as_it_is",
    "`gen.coroutine`, `gen.Return`": "gen.test_callback_and_wait",
    "`gen.YieldFuture`, `request.write`, `request.finish`, "
    "`wsgi.WSGIApplication`, `wsgi.WSGIAdapter`": "install.test_what_is_gone",
}


def test_each_row_has_a_test():
    """What the table promises is shown by a test, and the table leaves nothing out."""
    rows = re.findall(r"^\| (.+?) \|", DOCS.read_text(), re.M)
    assert rows[0] == "old"
    assert rows[1:] == list(ROWS)
    for where in ROWS.values():
        module, _, name = where.partition(".")
        text = Path(__file__).with_name(f"{IN}{module}.py").read_text()
        assert f"def {name}(" in text, where


ALONE = {
    "AttributeError": [
        (web, "asynchronous"),
        (gen, "engine"),
        (gen, "Task"),
        (gen, "Callback"),
        (gen, "Wait"),
        (gen, "WaitAll"),
        (gen, "Arguments"),
        (gen, "YieldPoint"),
        (concurrent, "return_future"),
        (concurrent, "TracebackFuture"),
        (IOLoop, "initialized"),
        (RequestHandler, "async_callback"),
    ]
}


def test_names(request):
    """What Tornado lacks alone is there when it is installed."""
    missing = ALONE["AttributeError"]
    assert [name for place, name in missing if hasattr(place, name)] == []
    request.getfixturevalue("installed")
    assert [name for place, name in missing if not hasattr(place, name)] == []
    assert concurrent.TracebackFuture is concurrent.Future  # type: ignore[attr-defined]
    assert importlib.import_module("tornado.stack_context").wrap is legacy.wrap


GONE: list[tuple[Any, str, str]] = [
    (gen, "YieldFuture", "the Future"),
    (httputil.HTTPServerRequest, "finish", "the handler's"),
    (httputil.HTTPServerRequest, "write", "the handler's"),
    (wsgi, "WSGIAdapter", "HTTPServer"),
    (wsgi, "WSGIApplication", r"web\.Application"),
]


@pytest.mark.parametrize(("place", "name", "instead"), GONE)
def test_what_is_gone(request, place, name, instead):
    """What is not carried says so, and what to write."""
    assert not hasattr(place, name)
    request.getfixturevalue("installed")
    with pytest.raises(NotImplementedError, match=f"{name} is gone .*{instead}"):
        getattr(place, name)()


def test_what_tornado_alone_refuses():
    """The arguments of old are TypeErrors without the shim."""

    async def main() -> None:
        loop: Any = IOLoop.current()
        client: Any = httpclient.AsyncHTTPClient()
        resolver: Any = netutil.Resolver()
        mixin: Any = auth.OAuth2Mixin()
        ours, theirs = socket.socketpair()
        stream: Any = iostream.IOStream(ours)
        make: Any = iostream.IOStream
        calls: list[Any] = [
            lambda: client.fetch("http://x", callback=print),
            lambda: stream.read_until(b"x", callback=print),
            lambda: stream.read_bytes(1, streaming_callback=print),
            lambda: RequestHandler.flush(mixin, callback=print),  # type: ignore[call-arg]
            lambda: resolver.resolve("x", 1, callback=print),
            lambda: make(theirs, io_loop=loop),
            lambda: gen.with_timeout(0, loop, io_loop=loop),  # type: ignore[call-arg]
        ]
        for call in calls:
            with pytest.raises(TypeError):
                call()
        # This one takes any argument, and sends it to the service.
        sent: list[str] = []
        client.fetch = lambda url: sent.append(url)
        mixin.get_auth_http_client = lambda: client
        with pytest.raises(TypeError):
            await mixin.oauth2_request("http://x/", access_token="1", callback=print)
        assert "callback=" in sent[0]
        client.close()
        stream.close()
        theirs.close()

    asyncio.run(main())


@pytest.fixture
def uninstalled() -> Iterator[None]:
    yield
    legacy.uninstall()


@pytest.mark.usefixtures("uninstalled")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_of_the_docs(make_server, block):
    """Each runs as it stands, and its application answers."""
    namespace: dict[str, Any] = {"__name__": "docs"}
    with warnings.catch_warnings():
        exec(compile(block, "docs/legacy.md", "exec"), namespace)
    server = make_server()
    server.call(server.server.stop)
    server.serve(namespace["app"])
    assert ask(server).startswith(b"HTTP/1.1 200 OK")


def ask(server: Any) -> bytes:
    """Send a request that names the server's own address."""
    client = server.connect()
    host = f"127.0.0.1:{server.port}"
    client.sendall(
        f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = b""
    while part := client.recv(4096):
        answer += part
    return answer


def test_all():
    """Names are sorted, complete and public."""
    names = legacy.__all__
    assert sorted(names) == names
    public = {n for n, v in vars(legacy).items() if not n.startswith("_")}
    modules = {n for n, v in vars(legacy).items() if isinstance(v, type(sys))}
    assert public - modules == set(names)
