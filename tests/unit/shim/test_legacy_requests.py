"""Old handlers, in the shapes that old code has them: inline and on workers."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
import time
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from tornado import gen
from tornado.httpclient import HTTPRequest
from tornado.ioloop import IOLoop
from tornado.web import Application, Finish, HTTPError, RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import read
from tornado_unblock import run_in_executor, statistics, unblock, unblock_application
from tornado_unblock._executors.functions import is_async
from tornado_unblock.shim import legacy

pytestmark = [
    pytest.mark.allow_log("tornado.access", "^(404|409|418|499) GET"),
    pytest.mark.allow_log("tornado.general", "^(409|418|504) GET"),
]
MODES = pytest.mark.parametrize("mode", ["inline", "method", "class", "application"])


def serve(make_server: Any, mode: str, *classes: Any, **settings: Any) -> Any:
    """Serve each class at its lower-case name, moved in this mode.

    In mode "method" each class says itself what is unblocked, in `unblocked`.
    """
    if mode == "method":
        classes = tuple(method_unblocked(cls) for cls in classes)
    if mode == "class":
        classes = tuple(unblock(cls) for cls in classes)
    server = make_server()
    rules = [(f"/{cls.__name__.lower()}", cls) for cls in classes]
    app = Application(rules, **settings)
    if mode == "application":
        unblock_application(app)
    server.call(server.server.stop)
    server.serve(app)
    return server


def method_unblocked(cls: Any) -> Any:
    """Return a subclass whose get is unblocked, if it is sync."""
    if is_async(cls.get):
        return cls
    return type(cls.__name__, (cls,), {"get": unblock(vars(cls)["get"])})


def in_worker() -> bool:
    return threading.current_thread().name.startswith("unblock-")


class Upstream(RequestHandler):
    async def get(self) -> None:
        if self.get_argument("status", ""):
            raise HTTPError(int(self.get_argument("status")))
        self.write("upstream " + self.get_argument("q", ""))


def upstream(handler: RequestHandler, query: str = "") -> str:
    return f"http://{handler.request.connection.stream.socket.getsockname()[0]}:" + (
        f"{handler.request.connection.stream.socket.getsockname()[1]}/upstream{query}"
    )


# --- asynchronous -------------------------------------------------------------------


@MODES
def test_asynchronous_finishes_in_a_callback(make_server, mode):
    """The request stays open until a later callback finishes it."""
    ran: list[Any] = []
    finished: list[Any] = []

    class Later(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            ran.append(in_worker())
            self.write("one ")
            IOLoop.instance().add_callback(self.on_turn, "two")
            self.write("and ")

        def on_turn(self, word: str) -> None:
            ran.append(in_worker())
            self.write(word)
            self.finish()

        def on_finish(self) -> None:
            finished.append(self)

    server = serve(make_server, mode, Later)
    for _ in range(20):
        assert server.get("/later").body == b"one and two"
    server.until(lambda: len(finished) == 20)
    assert ran == [mode != "inline", False] * 20
    assert abandoned() == 0


def abandoned() -> int:
    routes = [r for e in statistics().values() for r in e.endpoints.values()]
    return sum(route.abandoned for route in routes)


@MODES
def test_asynchronous_finishing_at_once(make_server, mode):
    """A verb may finish before it returns, and return what finish returns."""

    class Now(RequestHandler):
        @legacy.asynchronous
        def get(self) -> Any:
            if self.get_argument("how") == "return":
                return self.finish("returned")
            self.finish("finished")

    server = serve(make_server, mode, Now)
    assert server.get("/now?how=plain").body == b"finished"
    assert server.get("/now?how=return").body == b"returned"


@MODES
def test_fetch_with_a_callback(make_server, mode):
    """The commonest shape of all: fetch, then render in on_response."""

    class Proxy(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            http = legacy.AsyncHTTPClient()
            assert http.fetch(upstream(self, "?q=7"), callback=self.on_response)
            self.set_header("X-Set", "before")

        def on_response(self, response: Any) -> None:
            if response.error:
                raise HTTPError(502)
            self.set_header("X-Set", self._headers["X-Set"] + " and after")
            self.write(response.body)
            self.finish()

    class Positional(Proxy):
        @legacy.asynchronous
        def get(self) -> None:
            request = HTTPRequest(upstream(self))
            legacy.AsyncHTTPClient().fetch(request, self.on_response)

        post = get

    server = serve(make_server, mode, Proxy, Positional, Upstream)
    response = server.get("/proxy")
    assert response.body == b"upstream 7"
    assert response.headers["X-Set"] == "before and after"


@MODES
def test_fetch_with_a_positional_callback(make_server, mode):
    """The callback was the second argument."""

    class Positional(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            request = HTTPRequest(upstream(self))
            legacy.AsyncHTTPClient().fetch(request, self.finish_with)

        def finish_with(self, response: Any) -> None:
            self.finish(response.body)

    server = serve(make_server, mode, Positional, Upstream)
    assert server.get("/positional").body == b"upstream "


@MODES
def test_fetch_reports_errors_to_the_callback(make_server, mode):
    """A bad status has its response, a failure a 599: nothing is raised."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/"

        class Proxy(RequestHandler):
            @legacy.asynchronous
            def get(self) -> None:
                url = self.get_argument("url", "") or upstream(self, "?status=404")
                legacy.AsyncHTTPClient().fetch(url, callback=self.on_response)

            def on_response(self, response: Any) -> None:
                name = type(response.error).__name__
                self.finish(f"{response.code} {name} {response.request.url[:7]}")

        server = serve(make_server, mode, Proxy, Upstream)
        body = server.get(f"/proxy?url={nobody}").body
        assert body == b"599 ConnectionRefusedError http://"


@pytest.mark.allow_log("tornado.access", "404")
@MODES
def test_fetch_of_a_bad_status(make_server, mode):
    """The callback gets the response with its error."""

    class Proxy(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            url = upstream(self, "?status=404")
            legacy.AsyncHTTPClient().fetch(url, callback=self.on_response)

        def on_response(self, response: Any) -> None:
            self.finish(f"{response.code} {type(response.error).__name__}")

    server = serve(make_server, mode, Proxy, Upstream)
    assert server.get("/proxy").body == b"404 HTTPClientError"


@MODES
def test_errors_are_answered(make_server, mode, expect_log):
    """What the verb raises, and what its callbacks raise, is a 500 or its status."""

    class Fails(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            how = self.get_argument("how")
            if how == "body":
                raise RuntimeError("in the body")
            IOLoop.current().add_callback(getattr(self, how))

        def callback(self) -> None:
            IOLoop.current().call_later(0, self.timer)

        def timer(self) -> None:
            raise RuntimeError("in a timer")

        def status(self) -> None:
            raise HTTPError(418)

        def enough(self) -> None:
            raise Finish("enough")

        async def coroutine(self) -> None:
            raise RuntimeError("in a coroutine")

        @gen.coroutine
        def generator(self) -> Any:
            yield gen.moment
            raise RuntimeError("in a generator")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(f"{status_code} {kwargs['exc_info'][1]}")

    server = serve(make_server, mode, Fails)
    expect_log("tornado.application", "Uncaught exception GET")
    expect_log("tornado.access", "^500 GET")
    expect_log("tornado.access", "^418 GET")
    answers = {
        "body": "500 in the body",
        "callback": "500 in a timer",
        "status": "418 HTTP 418: I'm a Teapot",
        "enough": "enough",
        "coroutine": "500 in a coroutine",
        "generator": "500 in a generator",
    }
    for how, answer in answers.items():
        assert server.get(f"/fails?how={how}").body == answer.encode(), how


@MODES
def test_callbacks_wait_for_the_body(make_server, mode):
    """What a body hands to the loop runs when the body has ended, as inline."""

    class Patient(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            legacy.AsyncHTTPClient().fetch(upstream(self), callback=self.fetched)
            IOLoop.current().add_callback(self.turn, 1)
            IOLoop.current().call_later(0, self.turn, 2)
            if in_worker():
                # The loop turns, also for what this body waits for.
                loop = asyncio.get_event_loop()
                for _ in range(3):
                    asyncio.run_coroutine_threadsafe(self.look(), loop).result(WAIT)
            self.write("body ")
            IOLoop.current().add_callback(self.turn, 3)

        async def look(self) -> None:
            await legacy.AsyncHTTPClient().fetch(upstream(self))
            assert self._write_buffer == []

        def turn(self, number: int) -> None:
            self.write(f"{number} ")
            self.turns = getattr(self, "turns", 0) + 1
            self.end()

        def fetched(self, response: Any) -> None:
            self.response = response.body
            self.end()

        def end(self) -> None:
            if getattr(self, "turns", 0) == 3 and hasattr(self, "response"):
                self.finish(self.response)

    server = serve(make_server, mode, Patient, Upstream)
    body = server.get("/patient").body
    assert body.startswith(b"body ")
    assert body.endswith(b"upstream ")
    assert sorted(body.split()[1:-1]) == [b"1", b"2", b"3"]
    assert abandoned() == 0


@MODES
def test_an_unblocked_callback(make_server, mode):
    """A callback that blocks is unblocked itself; its errors are answered."""

    class Blocking(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            legacy.AsyncHTTPClient().fetch(upstream(self), callback=self.on_response)

        @unblock
        def on_response(self, response: Any) -> None:
            assert in_worker()
            if self.get_argument("fail", ""):
                raise HTTPError(409)
            self.finish(response.body)

    server = serve(make_server, mode, Blocking, Upstream)
    assert server.get("/blocking").body == b"upstream "
    assert server.get("/blocking?fail=1").status == 409


@MODES
def test_finish_in_a_thread_of_its_own(make_server, mode):
    """A pool's callback comes in the pool's thread; `add_callback` brings it home."""
    with ThreadPool(1) as pool:

        class Pooled(RequestHandler):
            @legacy.asynchronous
            def get(self) -> None:
                self.io_loop = IOLoop.instance()
                pool.apply_async(str.upper, ("done",), callback=self.on_result)

            def on_result(self, result: str) -> None:
                if mode == "inline" or self.get_argument("how") == "home":
                    self.io_loop.add_callback(self.finish, result)
                else:
                    body_ended(self)
                    self.finish(result)

        server = serve(make_server, mode, Pooled)
        for how in ("home", "there"):
            assert server.get(f"/pooled?how={how}").body == b"DONE"
        pool.close()
        pool.join()


def body_ended(handler: Any) -> None:
    """Wait until the loop thread has the handler back."""
    while handler.request.connection.writer.listener.running:
        pass


@pytest.mark.parametrize("mode", ["inline", "class", "application"])
def test_the_client_leaves(make_server, mode):
    """A long poll whose client leaves ends, and is told so."""
    waiting: list[Any] = []
    left: list[Any] = []

    class Poll(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            waiting.append(self)

        def on_connection_close(self) -> None:
            left.append(self)

    server = serve(make_server, mode, Poll)
    client = server.send("/poll")
    server.until(lambda: waiting)
    client.close()
    server.until(lambda: left == waiting)
    server.until(lambda: not others())


def others() -> set[Any]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def test_the_client_has_left_already(make_server):
    """A body that comes to its verb too late does not leave the request open."""
    begun, go, ended = (threading.Event() for _ in range(3))

    class Slow(RequestHandler):
        @unblock
        def get(self) -> Any:
            begun.set()
            assert go.wait(WAIT)
            try:
                return self.poll()
            finally:
                ended.set()

        @legacy.asynchronous
        def poll(self) -> None:
            pass

    server = serve(make_server, "inline", Slow)
    client = server.send("/slow")
    assert begun.wait(WAIT)
    client.close()
    streams = server.server._connections
    server.until(lambda: all(c.stream.closed() for c in streams))
    go.set()
    assert ended.wait(WAIT)
    server.until(lambda: not others())


@MODES
def test_stacked_on_coroutines(make_server, mode):
    """On a coroutine it changes nothing; on an engine the request stays open."""

    class Native(RequestHandler):
        @legacy.asynchronous
        async def get(self) -> None:
            await asyncio.sleep(0)
            self.write("native")

    class Generator(RequestHandler):
        @legacy.asynchronous
        @gen.coroutine
        def get(self) -> Any:
            yield gen.moment
            self.write("generator")

    class Engine(RequestHandler):
        @legacy.asynchronous
        @legacy.engine
        def get(self) -> Any:
            http = legacy.AsyncHTTPClient()
            response = yield legacy.Task(http.fetch, upstream(self, "?q=1"))
            http.fetch(
                upstream(self, "?q=2"), callback=(yield legacy.Callback("second"))
            )
            second = yield legacy.Wait("second")
            yield legacy.Task(IOLoop.instance().add_timeout, time.time())
            self.write(response.body + b" " + second.body)
            self.finish()

    class Returned(RequestHandler):
        @legacy.asynchronous
        def get(self) -> Any:
            return self.work()

        @gen.coroutine
        def work(self) -> Any:
            yield gen.moment
            self.write("returned")

    class Helper(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            self.work(callback=self.on_work)

        @legacy.engine
        def work(self, callback: Any) -> Any:
            assert not in_worker()
            yield gen.moment
            callback("helped")

        def on_work(self, word: str) -> None:
            self.finish(word)

    classes = (Native, Generator, Engine, Returned, Helper)
    server = serve(make_server, mode, *classes, Upstream)
    for path, body in {
        "native": b"native",
        "generator": b"generator",
        "engine": b"upstream 1 upstream 2",
        "returned": b"returned",
        "helper": b"helped",
    }.items():
        assert server.get(f"/{path}").body == body


def test_engine_is_a_coroutine_to_unblock():
    """It cannot be put on a worker, and says so at decoration."""
    with pytest.raises(TypeError, match="asynchronous already"):

        class Wrong(RequestHandler):
            @unblock
            @legacy.asynchronous
            @legacy.engine
            def get(self) -> Any:
                yield gen.moment


@MODES
def test_errors_of_engines(make_server, mode, expect_log):
    """Wherever an engine fails, its request is answered."""

    class Fails(RequestHandler):
        @legacy.asynchronous
        @legacy.engine
        def get(self) -> Any:
            how = self.get_argument("how")
            if how == "at once":
                raise HTTPError(409)
            yield gen.moment
            if how == "task":
                yield legacy.Task(self.task)
            if how == "callback":
                yield legacy.Task(IOLoop.current().add_callback, self.task)
            if how == "value":
                return 7
            raise HTTPError(409)

        def task(self, callback: Any = None) -> None:
            raise HTTPError(409)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(f"{status_code} {kwargs['exc_info'][1]}")

    class Helper(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            self.work()

        @legacy.engine
        def work(self) -> Any:
            if self.get_argument("how") == "later":
                yield gen.moment
            raise HTTPError(409)

    expect_log("tornado.application", "Uncaught exception GET")
    expect_log("tornado.access", "^500 GET")
    server = serve(make_server, mode, Fails, Helper)
    for how in ("at+once", "later", "task"):
        assert server.get(f"/fails?how={how}").status == 409
    assert b"nobody gets from an engine" in server.get("/fails?how=value").body
    for how in ("now", "later"):
        assert server.get(f"/helper?how={how}").status == 409


def test_above_unblock(make_server, expect_log):
    """Above `unblock` it keeps the request open as well; errors and limits hold."""
    go = threading.Event()

    class Above(RequestHandler):
        @legacy.asynchronous
        @unblock(timeout=0.05)
        def get(self) -> None:
            how = self.get_argument("how")
            if how == "error":
                raise HTTPError(409)
            if how == "timeout":
                assert go.wait(WAIT)
                return
            IOLoop.current().add_callback(self.finish, how)

    for mode in ("inline", "application"):
        server = serve(make_server, mode, Above)
        assert server.get("/above?how=finish").body == b"finish"
        assert server.get("/above?how=error").status == 409
        expect_log("tornado.application", "still running after")
        expect_log("tornado.access", "^504 GET")
        assert server.get("/above?how=timeout").status == 504
        go.set()
        server.until(lambda: not others())
        go.clear()


@pytest.mark.allow_log("tornado", "")  # each Tornado has its own way with it
@pytest.mark.allow_log("asyncio", "Exception in callback")
def test_what_it_returns_is_awaited(make_server):
    """Cancelling what the verb awaits cancels the request, as it ever did."""
    futures: list[Any] = []

    class Waits(RequestHandler):
        @legacy.asynchronous
        def get(self) -> Any:
            futures.append(asyncio.get_event_loop().create_future())
            return futures[0]

    server = serve(make_server, "inline", Waits)
    server.send("/waits")
    server.until(lambda: futures)
    server.call(futures[0].cancel)
    server.until(lambda: not serving())


def serving() -> list[Any]:
    return [task for task in others() if "_execute" in repr(task)]


@MODES
def test_a_value_that_cannot_be_awaited(make_server, mode, expect_log):
    """It is an error, as from Tornado 4.3 on."""

    class Value(RequestHandler):
        @legacy.asynchronous
        def get(self) -> Any:
            return 7

    expect_log("tornado.application", "BadYieldError|Uncaught exception")
    expect_log("tornado.access", "^500 GET")
    server = serve(make_server, mode, Value)
    assert server.get("/value").status == 500


def test_an_error_page_that_fails(make_server, expect_log):
    """It is logged, and the request ends."""

    class Broken(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            IOLoop.current().add_callback(self.fail)

        def fail(self) -> None:
            raise HTTPError(409)

        def send_error(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("no page")

    expected = expect_log("tornado.application", "Exception in exception handler")
    server = serve(make_server, "inline", Broken)
    client = server.send("/broken")
    server.until(lambda: expected.messages)
    server.until(lambda: not serving())
    client.close()


def test_detach(make_server):
    """A request whose connection is taken away has ended for Tornado."""

    class Raw(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            IOLoop.current().add_callback(self.raw)

        async def raw(self) -> None:
            stream = self.detach()
            await stream.write(b"raw")
            stream.close()

    server = serve(make_server, "inline", Raw)
    assert server.get("/raw").raw == b"raw"
    server.until(lambda: not serving())


def test_misuse_raises_at_decoration():
    """The message says what to write instead."""

    def prepare(self: Any) -> None: ...

    with pytest.raises(TypeError, match="async def prepare"):
        legacy.asynchronous(prepare)
    for wrong in (RequestHandler, staticmethod(prepare), classmethod(prepare), 7):
        with pytest.raises(TypeError, match="is for verbs"):
            legacy.asynchronous(wrong)  # type: ignore[type-var]


@MODES
def test_run_on_executor_in_a_handler(make_server, mode):
    """The method runs on the executor it names, with the request's context."""
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")

    class Report(RequestHandler):
        executor = "reports"

        @legacy.asynchronous
        def get(self) -> None:
            user.set("ada")
            self.load("7", callback=self.on_load)

        @legacy.run_on_executor
        def load(self, key: str) -> str:
            if self.get_argument("fail", ""):
                raise HTTPError(409)
            name = threading.current_thread().name
            return f"{name.rpartition('-')[0]} {key} {user.get()}"

        def on_load(self, text: str) -> None:
            self.finish(text)

    server = serve(make_server, mode, Report)
    assert server.get("/report").body == b"unblock-reports 7 ada"
    assert server.get("/report?fail=1").status == 409


def test_legacy_bodies_are_offloads(make_server):
    """A sync helper that another executor runs has no handler to wait for."""

    class Helped(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            run_in_executor(self.work)

        def work(self) -> None:
            IOLoop.current().add_callback(self.finish, "helped")

    server = serve(make_server, "inline", Helped)
    assert server.get("/helped").body == b"helped"


def test_callbacks_of_a_body_that_is_abandoned(make_server, expect_log):
    """They wait for its end, too, and find the request answered."""
    go = threading.Event()
    turns: list[Any] = []

    class Late(RequestHandler):
        @unblock(timeout=0.05)
        @legacy.asynchronous
        def get(self) -> None:
            IOLoop.current().add_callback(self.turn)
            assert go.wait(WAIT)

        def turn(self) -> None:
            turns.append(self._finished)

    expect_log("tornado.application", "still running after")
    expect_log("tornado.access", "^504 GET")
    server = serve(make_server, "inline", Late)
    assert server.get("/late").status == 504
    assert turns == []
    go.set()
    server.until(lambda: turns)
    server.until(lambda: not others())
    assert abandoned() == 1


@MODES
def test_one_connection_for_several_requests(make_server, mode):
    """A finished request leaves its connection as it found it."""
    left: list[Any] = []

    class Again(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            IOLoop.current().add_callback(self.finish, "again")

        def on_connection_close(self) -> None:
            left.append(self)

    server = serve(make_server, mode, Again)
    client = server.connect()
    for _ in range(3):
        client.sendall(b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"again"):
            answer += client.recv(4096)
    server.until(lambda: not serving())
    client.close()
    server.until(lambda: not others())
    assert left == []


@MODES
@pytest.mark.parametrize("ending", ["finish", "leave"])
def test_a_verb_that_calls_its_base_class(make_server, mode, ending):
    """Both are asynchronous, the result is dropped, and there is one request."""
    waiting: list[Any] = []
    left: list[Any] = []

    class Base(RequestHandler):
        @legacy.asynchronous
        def get(self) -> None:
            waiting.append(self)
            if ending == "finish":
                IOLoop.current().add_callback(self.finish, "based")

        def on_connection_close(self) -> None:
            left.append(self)

    class Derived(Base):
        @legacy.asynchronous
        def get(self) -> None:
            Base.get(self)
            Base.get(self) if ending == "leave" else None

    server = serve(make_server, mode, Derived)
    client = server.send("/derived")
    server.until(lambda: waiting)
    if ending == "finish":
        assert read(client).body == b"based"
    client.close()
    server.until(lambda: not others())
    assert len(left) == (ending == "leave")
    assert abandoned() == 0
