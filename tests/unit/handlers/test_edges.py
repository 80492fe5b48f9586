"""Edges of the ownership that no request reaches by itself, one at a time."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tests.unit.conftest import all_quiet
from tornado_unblock import RejectedError, configure, run_in_executor, testing, unblock
from tornado_unblock._connection.response import harmless, snapshot
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._handlers.hooks import Hook, install_hook, remove_hook
from tornado_unblock._handlers.plan import decide
from tornado_unblock._handlers.results import drive
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.lease import current_lease
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.offload import Offload


class Target:
    pass


def test_hooks_come_off_in_the_order_they_went_on():
    """What a hook hid is there again, also when that was a hook."""
    target = Target()
    target.method = "own"  # type: ignore[attr-defined]
    for name in ("inner", "outer"):
        install_hook(target, "method", Hook(str, name))
    for expected in ("outer", "inner"):
        assert vars(target)["method"]() == expected
        remove_hook(target, "method")
    remove_hook(target, "method")
    assert vars(target) == {"method": "own"}
    install_hook(target, "other", Hook(str))
    remove_hook(target, "other")
    assert "other" not in vars(target)


@pytest.mark.parametrize(
    ("reason", "headers", "expected"),
    [
        ("OK", {"A": "b"}, True),
        ("OK", {}, True),
        ("O\rK", {}, False),
        ("OK", {"A": "b\nc"}, False),
        ("OK", {"A": "\u20ac"}, False),
        ("OK", {"A\n": "b"}, False),
        ("OK", {"A": b"b"}, False),
    ],
)
def test_harmless_headers(reason, headers, expected):
    """Only what every Tornado takes is sure to be taken."""
    lists = {name: [value] for name, value in headers.items()}
    carrier: Any = SimpleNamespace(_as_list=lists)
    assert harmless(reason, carrier) is expected


def test_snapshot_of_headers():
    """It has all of them, and none that come later; attributes of others too."""
    headers = HTTPHeaders({"A": "1"})
    headers.add("A", "2")
    headers.extra = 7  # type: ignore[attr-defined]
    copy = snapshot(headers)
    headers.add("A", "3")
    assert list(copy.get_all()) == [("A", "1"), ("A", "2")]
    assert copy.extra == 7  # type: ignore[attr-defined]


def test_drive_goes_on_after_a_bare_yield():
    """``asyncio.sleep(0)`` in the coroutine waits for nothing."""

    async def coroutine() -> str:
        await asyncio.sleep(0)
        return "done"

    def body() -> Any:
        lease = current_lease()
        assert lease is not None
        return drive(coroutine(), lease.portal)

    async def main() -> None:
        assert await run_in_executor(body) == "done"

    asyncio.run(main())


def test_plan_of_a_verb_that_does_not_exist():
    """A method that Tornado answers itself has nothing to move."""
    assert decide(RequestHandler, "brew").why == "Tornado answers 405 itself"


def test_messages_on_a_full_executor(make_server, expect_log):
    """A message with no room to wait ends its socket, as an error in it does."""
    from tests.unit.handlers.test_websocket import connect

    configure("sockets", max_workers=1, max_waiting=0)
    expect_log("tornado.general", "503 GET /.*max_waiting=0")
    gate, entered = threading.Event(), threading.Event()

    @unblock(executor="sockets")
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            entered.set()
            assert gate.wait(10)

        def on_close(self) -> None:
            closed.release()

    closed = threading.Semaphore(0)
    server = make_server(("/", Handler))

    async def run() -> None:
        first, second = await connect(server), await connect(server)
        await first.write_message("x")
        while not entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        await second.write_message("y")
        assert await second.read_message() is None
        gate.set()
        first.close()

    server.call(run)
    for _ in range(2):
        assert closed.acquire(timeout=10)


def test_follower_on_a_full_executor(make_server):
    """What waited for another body of its socket may find no room either."""
    from tornado_unblock._executors.registry import get_executor
    from tornado_unblock._handlers.in_turn import dispatch_in_line
    from tornado_unblock._limits.placement import placement

    configure("first", max_workers=1)
    configure("second", max_workers=1, max_waiting=0)
    gate, held = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert gate.wait(10)

    class Handler(RequestHandler):
        async def get(self) -> None:
            portal = current_portal()
            where = [
                placement(portal, get_executor(name), name, None)
                for name in ("first", "second")
            ]
            running = dispatch_in_line(portal, self, where[0], hold)
            waiting = dispatch_in_line(portal, self, where[1], int)
            other = run_in_executor(free.wait, 10, executor="second")
            assert held.wait(10)
            gate.set()
            await running
            with pytest.raises(RejectedError):
                await waiting
            free.set()
            await other
            self.write("served")

    free = threading.Event()
    assert make_server(("/", Handler)).get("/").body == b"served"


def test_lookups_from_the_loop_thread(make_server):
    """The connection's stream is itself there, and None when it is detached."""

    class Handler(RequestHandler):
        @unblock
        def prepare(self) -> None:
            pass

        def get(self) -> None:
            connection: Any = self.request.connection
            assert connection.stream is connection.__wrapped__.stream
            stream = self.detach()
            assert connection.stream is None
            stream.close()

    make_server(("/", Handler)).get("/")


@pytest.mark.parametrize("length", ["+3", "3 ", "\u0663"])
def test_length_that_is_no_number(make_server, length, allow_log):
    """Whether the connection takes it is asked of the connection."""
    allow_log("tornado", "")
    outcomes: list[Any] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            connection: Any = self.request.connection
            headers = HTTPHeaders()
            headers._as_list = {"Content-Length": [length]}  # type: ignore[attr-defined]
            headers._dict = {"Content-Length": length}  # type: ignore[attr-defined]
            line = ResponseStartLine("", 200, "OK")
            outcomes.append(connection.writer.foresee(line, headers, b"abc"))
            connection.writer.predictable = False
            outcomes.append(connection.writer.foresee(line, HTTPHeaders(), b"abc"))

    make_server(("/", Handler)).get("/")
    assert outcomes == [False, False]


def test_nested_work_on_an_executor_of_the_user():
    """A worker of a stock executor that waits gives its token back."""

    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as stock:

            def body() -> int:
                return run_in_executor(int, "7", executor=stock).result(10)

            assert await run_in_executor(body, executor=stock) == 7

    asyncio.run(main())


def test_reset_does_not_wait_for_ever():
    """A body that never ends is left to itself."""
    gate, held = threading.Event(), threading.Event()

    def body() -> bool:
        held.set()
        return gate.wait(10)

    async def main() -> None:
        future = run_in_executor(body)
        assert held.wait(10)
        testing.reset(timeout=0.01)
        gate.set()
        assert await future

    asyncio.run(main())


def test_two_helpers_of_one_abandoned_request(make_server, expect_log):
    """on_finish waits for the last of them."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")
    gates = [threading.Event(), threading.Event()]
    held = [threading.Event(), threading.Event()]
    notes: list[str] = []
    finished = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def load(self, number: int) -> None:
            held[number].set()
            assert gates[number].wait(10)
            notes.append(f"end {number}")

        async def get(self) -> None:
            self.loads = [self.load(0), self.load(1)]
            while not (held[0].is_set() and held[1].is_set()):  # noqa: ASYNC110
                await asyncio.sleep(0)
            raise LookupError

        def on_finish(self) -> None:
            notes.append("on_finish")
            finished.set()

    server = make_server(("/", Handler))
    assert server.get("/").status == 500
    gates[0].set()
    server.until(lambda: notes)
    gates[1].set()
    assert finished.wait(10)
    assert notes == ["end 0", "end 1", "on_finish"]
    server.call(all_quiet)


def test_ends_that_meet():
    """A body that has just ended runs nothing more; a worker does what is left."""
    ran = threading.Event()

    async def main() -> None:
        portal = current_portal()
        offload = Offload(portal, placement(portal, get_executor(), "it", None), int)
        offload._alive.clear()
        assert not offload.at_end(ran.set)
        offload.after_end(ran.set)
        assert await run_in_executor(ran.wait, 10)

    asyncio.run(main())


def test_right_to_finish_taken_by_the_body_itself(make_server):
    """Finishing goes on: it was not taken from it."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            lease = current_lease()
            assert lease is not None
            assert lease.take_right_to_finish()
            self.finish("mine")

    assert make_server(("/", Handler)).get("/").body == b"mine"


def test_write_on_its_way_when_the_request_is_taken(make_server):
    """The loop thread drops it."""
    lock, entered = threading.Lock(), threading.Event()

    class Handler(RequestHandler):
        def block(self) -> None:
            entered.set()
            with lock:
                pass

        @unblock
        def get(self) -> None:
            lease = current_lease()
            assert lease is not None
            with lock:
                IOLoop.current().add_callback(self.block)
                assert entered.wait(10)
                self.write("dropped")
                self.flush()
                lease.revoked = "taken"
            lease.portal.call(int)
            lease.revoked = None
            self._auto_finish = False
            self.request.connection.stream.close()  # type: ignore[union-attr]

    assert make_server(("/", Handler)).get("/").raw == b""


def test_error_after_the_body_has_answered(make_server, expect_log):
    """Whoever gave up waiting is only logged: the response is the body's."""
    logged = expect_log("tornado.application", "(?s)Uncaught exception GET /")
    gate, sent = threading.Event(), threading.Event()

    class Handler(RequestHandler):
        @unblock
        def answer(self) -> None:
            self.finish("answered")
            sent.set()
            assert gate.wait(10)

        async def get(self) -> None:
            self.answering = self.answer()
            while not sent.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0)
            self._finished = False  # as if it were not known here yet
            raise LookupError

    server = make_server(("/", Handler))
    assert server.get("/").body == b"answered"
    server.until(lambda: logged.messages)
    gate.set()
    server.call(all_quiet)


def test_taken_before_it_starts():
    """A function that nobody wants any more does not run."""
    ran: list[int] = []

    async def main() -> None:
        portal = current_portal()
        where = placement(portal, get_executor(), "it", None)
        offload = Offload(portal, where, lambda: ran.append(1))
        offload.revoked = "taken"
        await offload.admit()

    asyncio.run(main())
    assert ran == []


def test_cancelled_after_it_took_the_right_to_finish():
    """It has nothing to keep, and nobody to tell."""
    gate, held = threading.Event(), threading.Event()

    def body() -> None:
        lease = current_lease()
        assert lease is not None
        lease.take_right_to_finish()
        held.set()
        assert gate.wait(10)

    async def main() -> None:
        future = run_in_executor(body)
        assert held.wait(10)
        assert future.cancel()
        gate.set()
        await all_quiet()

    asyncio.run(main())


class Odd(concurrent.futures.Executor):
    """An executor whose jobs end in odd ways."""

    def __init__(self, end: Any) -> None:
        self.end = end

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.end(future)
        return future


def fail_to_pickle(future: Any) -> None:
    future.set_exception(pickle.PicklingError("on the way back"))


def cancel(future: Any) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (fail_to_pickle, pickle.PicklingError),
        (cancel, concurrent.futures.CancelledError),
    ],
)
def test_odd_ends_elsewhere(end, error):
    """What cannot be explained is raised as it came."""

    async def main() -> None:
        with pytest.raises(error):
            await run_in_executor(abs, -1, executor=Odd(end))

    asyncio.run(main())


def test_hooks_of_a_socket_called_by_its_body(make_server):
    """In a worker they are the plain methods."""
    from tests.unit.handlers.test_websocket import talk

    @unblock
    class Handler(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            if message == "first":
                self.on_message("second")
            else:
                self.write_message(message)

    assert talk(make_server(("/", Handler)), "first") == ["second"]
