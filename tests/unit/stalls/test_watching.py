"""`watch`: what blocks a loop is named while it does, and counted when it is over."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import logging
import threading
from typing import Any, Callable

import pytest
from tornado.ioloop import IOLoop
from tornado.platform.asyncio import BaseAsyncIOLoop
from tornado.web import (
    Application,
    RequestHandler,
    _HandlerDelegate,
    stream_request_body,
)
from tornado.websocket import WebSocketHandler, websocket_connect

import tornado_unblock
from tests.patience import WAIT
from tests.unit.conftest import Server, uvloop
from tests.unit.stalls.conftest import Block
from tests.unit.stalls.test_counts import STALL
from tornado_unblock import ConfigurationError, loop_statistics, stalls, testing
from tornado_unblock.__main__ import main
from tornado_unblock._stalls import frames, watching
from tornado_unblock._stalls.clock import clocks
from tornado_unblock._stalls.counts import StallCounts
from tornado_unblock._stalls.watching import current_watch

LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)


SHOP = """\
import threading
from tornado.web import Application, RequestHandler

GATE = threading.Lock()


class Quick(RequestHandler):
    def get(self):
        with GATE:
            self.write("done")


class Slow(RequestHandler):
    def get(self):
        self.load()

    def load(self):
        GATE.acquire()


def make_app():
    return Application([("/quick", Quick), ("/slow", Slow)])
"""


class Orders(RequestHandler):
    """Does in `load` what the test wants."""

    do: Callable[[], object]

    def get(self, *args: str) -> None:
        self.load()
        self.write("done")

    def load(self) -> None:
        self.application.settings["do"]()


def serve(make_server: Callable[..., Server], do: Any, **options: Any) -> Server:
    return make_server((r"/orders/(\d+)", Orders), do=do, **options)


@LOOPS
def test_names_what_stalls(make_server, watch, reports, block, new_loop):
    """A warning comes while the loop stands, a record when it goes on; both name it."""
    server = serve(make_server, block.wait, new_loop=new_loop)
    watch()
    client = server.send("/orders/7?token=secret", headers="X-Request-Id: r-1\r\n")
    during = reports.next()
    text = reports.text
    running = loop_statistics()[0].stall
    block.release()
    after = reports.next()
    client.recv(65536)
    assert not during.over
    assert after.over
    for stall in (during, after, running):
        assert stall is not None
        assert stall.endpoint == "Orders.get"
        assert (stall.verb, stall.path) == ("GET", "/orders/7")
        assert stall.route == r"/orders/(\d+)"
        assert stall.request_id == "r-1"
        assert stall.kind == "handler"
        assert stall.cause == "lock"
        assert stall.place is not None
        assert stall.place.source == "assert self._event.wait(WAIT)"
        names = [place.function.rpartition(".")[2] for place in stall.chain]
        assert names == ["get", "load", "wait"]
        assert "@unblock on class Orders" in stall.advice
    assert "secret" not in text
    assert "Event loop stalled" in text


@LOOPS
def test_counts(make_server, watch, reports, new_loop):
    """Stalls of one place are one row, whatever was logged of them."""
    blocks = [Block(), Block()]
    waiting = iter(blocks)
    server = serve(make_server, lambda: next(waiting).wait(), new_loop=new_loop)
    watch()
    for block in blocks:
        client = server.send("/orders/1")
        reports.next()
        block.release()
        assert reports.ended().over
        client.recv(65536)
    (row,) = stalls()
    assert (row.endpoint, row.count) == ("Orders.get", 2)
    assert row.histogram.count == 2
    assert row.longest <= row.total
    (loop,) = loop_statistics()
    assert loop.stalls == 2
    assert loop.stalled == pytest.approx(row.total)
    assert 0 < loop.stalled_share <= 1
    assert loop.name == "loop"
    if new_loop is uvloop:
        assert loop.measured_by == "heartbeat"
        assert loop.utilization is None
    else:
        assert loop.measured_by == "selector"
        assert loop.utilization is not None
        assert 0 < loop.utilization <= 1


@LOOPS
def test_a_loop_that_is_made_later(make_server, watch, reports, block, new_loop):
    """The watch may begin before there is a loop."""
    watch()
    server = serve(make_server, block.wait, new_loop=new_loop)
    client = server.send("/orders/1")
    assert reports.next().endpoint == "Orders.get"
    block.release()
    client.recv(65536)
    reports.ended()


def test_several_loops(make_server, watch, reports):
    """Each loop is watched; the stall of one says nothing of the other."""
    blocks = [Block(), Block()]
    servers = [serve(make_server, block.wait) for block in blocks]
    watch()
    clients = [server.send("/orders/1") for server in servers]
    seen = {id(reports.next()) for _ in servers}
    assert len(seen) == 2
    assert [loop.stall is not None for loop in loop_statistics()] == [True, True]
    for block in blocks:
        block.release()
    for client in clients:
        client.recv(65536)
    assert {reports.ended().endpoint for _ in servers} == {"Orders.get"}


def run(server: Server, fn: Callable[[], Any]) -> None:
    """Run ``fn`` on the server's loop without waiting for it."""
    server.loop.call_soon_threadsafe(fn)


@LOOPS
def test_what_handlers_start(make_server, watch, reports, new_loop):
    """A task and a callback of a handler are its own, though it is over."""
    blocks = {"task": Block(), "callback": Block()}
    ready = threading.Event()
    go: Any = None

    async def later() -> None:
        nonlocal go
        go = asyncio.Event()
        ready.set()
        await go.wait()
        blocks["task"].wait()

    class Starts(RequestHandler):
        async def post(self) -> None:
            self.application.settings["task"] = asyncio.ensure_future(later())
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0, blocks["callback"].wait)

    server = make_server(("/", Starts), new_loop=new_loop)
    watch()
    client = server.send("/", method="POST")
    callback = reports.next()
    blocks["callback"].release()
    reports.ended()
    client.recv(65536)
    assert ready.wait(WAIT)
    run(server, go.set)
    task = reports.next()
    blocks["task"].release()
    reports.ended()
    assert task.kind == "task"
    assert task.endpoint.endswith(".Starts.post")
    assert task.verb == "POST"
    assert callback.kind == "callback"
    if new_loop is not uvloop:  # which does not show whose its callbacks are
        assert callback.endpoint.endswith(".Starts.post")


def test_what_is_nobodys(make_server, watch, reports):
    """A callback and a coroutine of no handler are named as what they are."""
    blocks = [Block(), Block()]
    server = serve(make_server, None)
    watch()

    def tick() -> None:
        blocks[0].wait()

    async def poll() -> None:
        await asyncio.sleep(0)
        blocks[1].wait()

    run(server, tick)
    callback = reports.next()
    blocks[0].release()
    reports.ended()
    run(server, lambda: asyncio.ensure_future(poll()))
    coroutine = reports.next()
    blocks[1].release()
    reports.ended()
    assert (callback.kind, callback.verb) == ("callback", "")
    assert callback.endpoint.endswith("tick")
    assert coroutine.kind == "coroutine"
    assert coroutine.endpoint.endswith("poll")


@pytest.mark.parametrize("is_coroutine", [False, True], ids=["sync", "async"])
def test_web_sockets(make_server, watch, reports, block, is_coroutine):
    """A message of a socket is named by the method that gets it."""

    class Sync(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            block.wait()

    class Async(WebSocketHandler):
        async def on_message(self, message: Any) -> None:
            block.wait()

    Chat = Async if is_coroutine else Sync
    server = make_server(("/chat", Chat))
    watch()

    async def talk() -> None:
        client = await websocket_connect(f"ws://127.0.0.1:{server.port}/chat")
        server.web_sockets.append(client)
        await client.write_message("hello")

    run(server, lambda: asyncio.ensure_future(talk()))
    stall = reports.next()
    block.release()
    reports.ended()
    assert stall.endpoint.endswith(f".{Chat.__name__}.on_message")
    assert stall.kind == "handler"
    assert stall.route == "/chat"


@pytest.mark.parametrize("is_coroutine", [False, True], ids=["sync", "async"])
def test_a_body_that_is_streamed(make_server, watch, reports, block, is_coroutine):
    """Tornado awaits it where it reads, and not where it serves the request."""

    @stream_request_body
    class Sync(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            block.wait()

        def put(self, number: str) -> None:
            self.write("done")

    class Async(Sync):
        async def data_received(self, chunk: bytes) -> None:
            await asyncio.sleep(0)
            block.wait()

    Upload = Async if is_coroutine else Sync
    server = make_server((r"/upload/(\d+)", Upload))
    watch()
    head = "Content-Length: 3\r\n"
    client = server.send("/upload/7", method="PUT", headers=head)
    client.sendall(b"abc")
    stall = reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    assert stall.endpoint.endswith(f".{Upload.__name__}.data_received")
    assert (stall.kind, stall.verb, stall.path) == ("handler", "PUT", "/upload/7")
    assert stall.route == r"/upload/(\d+)"


def test_a_deep_recursion(make_server, watch, reports, block, monkeypatch):
    """Whose it is is found however deep it is."""
    monkeypatch.setattr(frames, "_DEEPEST", 10)

    class Recursive(RequestHandler):
        def get(self) -> None:
            self.go_down(20)

        def go_down(self, steps: int) -> None:
            if steps:
                self.go_down(steps - 1)
            else:
                block.wait()

    server = make_server(("/", Recursive))
    watch()
    client = server.send("/")
    stall = reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    assert (stall.kind, stall.verb) == ("handler", "GET")
    assert "@unblock on class" in stall.advice


def test_a_c_function_that_the_loop_calls(make_server, watch, reports, block):
    """Its name is known, though no frame has it."""
    server = serve(make_server, None)
    watch()
    lock = threading.Lock()
    with lock:
        run(server, functools.partial(lock.acquire, True, WAIT))
        stall = reports.next()
    reports.ended()
    assert (stall.cause, stall.endpoint) == ("lock", "_thread.lock.acquire")


def test_coroutine_handlers(make_server, watch, reports, block):
    """A coroutine that blocks between two awaits cannot be unblocked as a whole."""

    class Mixed(RequestHandler):
        async def get(self) -> None:
            await asyncio.sleep(0)
            block.wait()

    server = make_server(("/", Mixed))
    watch()
    client = server.send("/")
    stall = reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    assert stall.endpoint.endswith(".Mixed.get")
    assert stall.kind == "handler"
    assert "run_in_executor" in stall.advice
    assert "@unblock" not in stall.advice


def test_unblocked_handlers_do_not_stall(make_server, watch, block):
    """What waits on a worker stalls nothing."""
    entered = threading.Event()

    class Free(RequestHandler):
        @tornado_unblock.unblock
        def get(self) -> None:
            entered.set()
            block.wait()

    class Warm(RequestHandler):
        @tornado_unblock.unblock
        def get(self) -> None:
            self.write("its worker runs")

    server = make_server(("/", Free), ("/warm", Warm))
    server.send("/warm").recv(
        65536
    )  # on a busy machine a thread may take long to start
    watch()
    client = server.send("/")
    assert entered.wait(WAIT)
    (loop,) = loop_statistics()
    assert loop.stall is None
    block.release()
    client.recv(65536)


def test_a_logging_handler_that_stalls(make_server, watch, reports, block):
    """It is named once it is over: to log of it meanwhile might wait for it."""

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            block.wait()

    logger = logging.getLogger("stalls.test")
    logger.propagate = False
    handler = Slow()
    logger.addHandler(handler)
    server = serve(make_server, lambda: logger.error("disk full"))
    watch()
    try:
        client = server.send("/orders/1")
        while not any(loop.stall is not None for loop in loop_statistics()):
            pass
        block.release()
        stall = reports.next()
        client.recv(65536)
    finally:
        logger.removeHandler(handler)
    assert stall.over
    assert stall.cause == "logging"
    assert "shim.logging" in stall.advice


def test_stop_leaves_nothing(make_server, watch):
    """After `stop`, Tornado, the loop and the collector are as they were."""
    server = serve(make_server, None)
    before = (_HandlerDelegate.execute, BaseAsyncIOLoop.initialize, list(gc.callbacks))
    selector = server.loop._selector  # type: ignore[attr-defined]
    attributes = dict(vars(selector))
    kept = watch()
    assert vars(selector) != attributes
    assert current_watch() is kept
    kept.stop()
    kept.stop()
    assert vars(selector) == attributes
    after = (_HandlerDelegate.execute, BaseAsyncIOLoop.initialize, list(gc.callbacks))
    assert after == before
    assert loop_statistics() == ()
    assert current_watch() is None


def test_a_second_watch(watch):
    """The same values give the same watch; others are refused, and say what is kept."""
    first = watch(0.2)
    assert watch(0.2) is first
    assert repr(first) == "<Watch threshold=0.2>"
    with pytest.raises(ConfigurationError, match=r"threshold=0\.2.*stop\(\)"):
        watch(0.3)
    first.stop()
    assert watch(0.3) is not first


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 0},
        {"threshold": -1},
        {"threshold": float("nan")},
        {"threshold": float("inf")},
        {"threshold": "0.1"},
        {"threshold": True},
        {"log_every": -1},
    ],
)
def test_bad_values(values: dict[str, Any]) -> None:
    """What makes no sense is refused, by name."""
    (name,) = values
    with pytest.raises(ConfigurationError, match=rf"watch\(\): {name} is a number"):
        tornado_unblock.watch(**values)
    assert current_watch() is None


def test_reset_forgets(make_server, watch, reports, block):
    """`testing.reset` ends the watch and forgets what it found."""
    server = serve(make_server, block.wait)
    watch()
    client = server.send("/orders/1")
    reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    assert stalls()
    testing.reset()
    assert stalls() == ()
    assert current_watch() is None


def test_write(make_server, watch, reports, block, tmp_path):
    """What was found is in the file when the watch has ended."""
    path = tmp_path / "stalls.json"
    server = serve(make_server, block.wait)
    kept = watch(write=str(path))
    client = server.send("/orders/1")
    reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    kept.stop()
    (row,) = json.loads(path.read_text())
    assert row["endpoint"] == "Orders.get"
    assert row["function"].endswith("wait")
    assert row["count"] == 1


def test_write_fails(make_server, watch, reports, block, tmp_path, expect_log):
    """A file that cannot be written is told of; the watch goes on."""
    expect_log("tornado_unblock.stalls", "could not be written", level=logging.ERROR)
    server = serve(make_server, block.wait)
    kept = watch(write=str(tmp_path / "missing" / "stalls.json"))
    client = server.send("/orders/1")
    during = reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    kept.stop()
    assert not during.over
    assert stalls()[0].count == 1


def test_a_loop_that_is_run_again(watch, reports):
    """While nobody runs a loop, it is not stalled, however long that is."""
    loop = asyncio.new_event_loop()
    watch(50.0)
    asyncio.set_event_loop(loop)
    try:
        IOLoop.current()

        async def turn() -> None:
            await asyncio.sleep(0)

        loop.run_until_complete(turn())
        # Another test's loop may not have been collected yet.
        (clock,) = [clock for clock in clocks if clock.loop is loop]
        before = clock.turns
        clock.started -= 100.0  # so long ago was the last turn
        loop.run_until_complete(turn())
        assert not clock.ended
        assert clock.turns > before
        assert not any(row.stalls for row in loop_statistics())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_an_application_that_is_unblocked(make_server, watch, reports, block):
    """A handler that `unblock_application` makes is named by its own class."""

    class Plain(RequestHandler):
        def initialize(self) -> None:
            block.wait()

        def get(self) -> None:
            self.write("x")

    server = make_server(("/plain", Plain))
    app: Application = Application([("/plain", Plain)])
    tornado_unblock.unblock_application(app)

    def swap() -> None:
        assert server.server is not None
        server.server.request_callback = app

    server.call(swap)
    watch()
    client = server.send("/plain")
    stall = reports.next()
    block.release()
    reports.ended()
    client.recv(65536)
    assert stall.endpoint.endswith(".Plain.get")
    assert stall.chain[-2].function.endswith("initialize")


def test_without_a_watch(run_program: Callable[[str], str]) -> None:
    """A program without a watch has no figures, and imports nothing for them."""
    said = run_program(
        """
        import os, sys
        import tornado_unblock
        from tornado_unblock import loop_statistics, stalls
        from tornado_unblock._stalls.watching import forget_stalls

        print(stalls(), loop_statistics())
        forget_stalls()
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        room = [n for n in sys.modules if n.startswith("tornado_unblock._stalls.")]
        print(sorted(name.rpartition(".")[2] for name in room))
        """
    )
    assert said == "() ()\n['records', 'watching']\n"


def test_before_the_first_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to forget, in a forked child or here."""
    monkeypatch.setattr(watching, "_counts", None)
    assert stalls() == ()
    watching.forget_stalls()
    watching._after_fork()
    assert stalls() == ()


def test_a_forked_child_counts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parent counted is the parent's."""
    counts = StallCounts()
    counts.add(STALL)
    monkeypatch.setattr(watching, "_counts", counts)
    assert len(stalls()) == 1
    watching._after_fork()
    assert stalls() == ()


def test_the_scan_reads_what_is_written(make_server, watch, reports, tmp_path, capsys):
    """`scan --with` puts what was seen beside what it finds in the source."""
    source, written = tmp_path / "shop.py", tmp_path / "stalls.json"
    source.write_text(SHOP)
    shop: dict[str, Any] = {"__name__": "shop"}
    exec(compile(SHOP, str(source), "exec"), shop)
    server = make_server(("/slow", shop["Slow"]))
    kept = watch(write=str(written))
    with shop["GATE"]:
        client = server.send("/slow")
        reports.next()
    reports.ended()
    client.recv(65536)
    kept.stop()
    main(["scan", str(source), "--with", str(written), "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    (row,) = stalls()
    first, other = report["findings"]
    assert (first["endpoint"], first["line"]) == ("Slow.get", row.place.line)
    assert first["count"] == 1
    assert first["total"] == pytest.approx(row.total, abs=1e-5)
    assert (other["endpoint"], other["count"]) == ("Quick.get", 0)
