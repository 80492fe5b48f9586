"""The connection: order, snapshots, backpressure, errors, slow readers, locks."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from tornado_unblock import unblock
from tornado_unblock._connection.response import ResponseWriter, harmless, snapshot
from tornado_unblock._loop.lease import current_lease
from tornado_unblock._loop.portal import current_portal


@pytest.fixture
def fast_switches():
    """Switch threads every microsecond, to find races by the million."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def chunk(seed: int, number: int) -> bytes:
    """100 kB that say whose they are and where they belong."""
    line = f"{seed:04d}-{number:04d}-".encode()
    return line * (100_000 // len(line))


class Chunks(RequestHandler):
    @unblock
    def get(self) -> None:
        seed = int(self.get_argument("seed"))
        for number in range(60):
            self.write(chunk(seed, number))
            self.flush()


@pytest.mark.parametrize("debug", [False, True])
def test_slow_readers_get_every_byte_in_order(make_server, fast_switches, debug):
    """8 clients, 60 flushed chunks each, small buffers, frantic thread switches."""
    server = make_server(("/", Chunks), debug=debug)
    bodies: dict[int, str] = {}

    def client(seed: int) -> None:
        sock = server.connect(SO_RCVBUF=4096)
        sock.sendall(f"GET /?seed={seed} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        digest, head = hashlib.sha256(), b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1)
        while True:
            part = sock.recv(3000)
            if not part:
                break
            digest.update(part)
        bodies[seed] = digest.hexdigest()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    for seed in range(8):
        wanted = hashlib.sha256(b"".join(chunk(seed, n) for n in range(60)))
        assert bodies[seed] == wanted.hexdigest()


def test_flush_runs_one_chunk_ahead_at_most(make_server):
    """While the client does not read, the body stands still and memory is flat."""
    flushed: list[int] = []
    stuck = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            for number in range(50):
                self.write(b"x" * 4_000_000)
                self.flush()
                flushed.append(number)
                if number == 1:
                    stuck.set()

    server = make_server(("/", Handler))
    client = server.connect(SO_RCVBUF=4096)
    client.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    assert not stuck.wait(0.3)
    assert flushed == [0]
    total = 0
    while True:
        part = client.recv(1 << 20)
        if not part:
            break
        total += len(part)
    assert total > 200_000_000
    assert len(flushed) == 50


def test_client_that_leaves_frees_a_waiting_flush(make_server):
    """However often the body flushes: it is told, as a coroutine is that awaits."""
    done = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            try:
                while True:
                    self.write(b"x" * 4_000_000)
                    self.flush()
            except StreamClosedError:
                done.set()

    server = make_server(("/", Handler))
    client = server.connect(SO_RCVBUF=4096)
    client.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    client.recv(10)
    client.close()
    assert done.wait(10)


def test_lock_shared_with_a_loop_callback_does_not_deadlock(make_server):
    """A body finishes while it holds a lock that the loop thread waits for."""
    lock = threading.Lock()
    loop_waits = threading.Event()
    taken = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            with lock:
                IOLoop.current().add_callback(self.on_loop)
                assert loop_waits.wait(10)
                self.set_header("X-Held", "yes")
                self.finish("finished under the lock")

        def on_loop(self) -> None:
            loop_waits.set()
            with lock:
                taken.append(threading.current_thread())

    server = make_server(("/", Handler))
    assert server.get("/").body == b"finished under the lock"
    assert taken == [server.thread]


def test_round_trip_gives_up_when_the_loop_thread_is_stuck(make_server, monkeypatch):
    """What needs the loop's answer raises in the body instead of hanging both."""
    import tornado_unblock._loop.portal as portal

    monkeypatch.setattr(portal.Portal.call, "__kwdefaults__", {"timeout": 0.05})
    lock, loop_waits = threading.Lock(), threading.Event()
    errors = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            with lock:
                IOLoop.current().add_callback(self.on_loop)
                assert loop_waits.wait(10)
                try:
                    self.detach()
                except RuntimeError as error:
                    errors.append(str(error))
                self._finished = False
            self.finish("after all")

        def on_loop(self) -> None:
            loop_waits.set()
            with lock:
                pass

    server = make_server(("/", Handler))
    assert server.get("/").body == b"after all"
    assert "did not answer within 0.05 s" in errors[0]


def test_headers_set_after_flush_stay_off_the_wire(make_server):
    """What is posted is a snapshot, however late the loop gets to it."""
    lock = threading.Lock()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            with lock:
                entered = threading.Event()
                IOLoop.current().add_callback(self.block, entered)
                assert entered.wait(10)
                self.set_header("X-Before", "1")
                self.add_header("X-Many", "1")
                self.flush()
                self.set_header("X-After", "1")
                self.add_header("X-Many", "2")

        def block(self, entered: threading.Event) -> None:
            entered.set()
            with lock:
                pass

    headers = make_server(("/", Handler)).get("/").headers
    assert headers["X-Before"] == headers["X-Many"] == "1"
    assert "X-After" not in headers


def test_connection_that_refuses_a_posted_write(make_server, expect_log):
    """An error nobody waits for is logged, and the client is not left hanging."""
    expect_log("tornado.application", "The connection refused .*refuse")
    written = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Any:
            connection: Any = self.request.connection
            connection.__wrapped__.write_headers = self.refuse
            return self.finish("never seen")

        def refuse(self, *args: Any) -> None:
            raise LookupError("no")

        def log_exception(self, *args: Any) -> None:
            written.append(args[0].__name__)

    server = make_server(("/", Handler))
    assert server.get("/").raw == b""
    server.until(lambda: written)
    assert written == ["StreamClosedError"]


def test_body_after_the_loop_wrote(make_server):
    """Once the loop thread wrote, what the connection expects is asked of it."""

    class Handler(RequestHandler):
        async def prepare(self) -> None:
            self.set_header("Content-Length", "11")
            self.write("from loop ")
            await self.flush()

        @unblock
        def get(self) -> None:
            self.write("x")
            self.flush()

    assert make_server(("/", Handler)).get("/").body == b"from loop x"


def test_unblocked_prepare_wrote_before_the_verb_does(make_server, expect_log):
    """Content-Length is counted across hops."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    last = expect_log("tornado.general", "Cannot send error response after headers")

    class Handler(RequestHandler):
        @unblock
        def prepare(self) -> None:
            self.set_header("Content-Length", "4")
            self.write("four")
            self.flush()

        @unblock
        def get(self) -> None:
            self.write("more")
            self.flush()

    server = make_server(("/", Handler))
    assert server.get("/").body == b"four"
    server.until(lambda: last.messages)


def test_a_body_that_takes_its_close_callback_away_streams_on(make_server):
    """`finish` does so before its last write; here more than one follows."""
    gate = threading.Event()

    class Streams(RequestHandler):
        @unblock
        def get(self) -> None:
            connection: Any = self.request.connection
            connection.set_close_callback(None)
            for chunk in ("one", "two", "three"):
                self.write(chunk)
                self.flush()
            assert gate.wait(10)
            self.write("end")

    server = make_server(("/", Streams))
    client, received = server.send("/"), b""
    while b"two" not in received:
        received += client.recv(4096)
    gate.set()
    while part := client.recv(4096):
        received += part
    assert received.endswith(b"3\r\nend\r\n0\r\n\r\n")


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


def test_right_to_finish_taken_by_the_body_itself(make_server):
    """Finishing goes on: it was not taken from it."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            connection: Any = self.request.connection
            assert connection.writer.take_right_to_finish()
            self.finish("mine")

    assert make_server(("/", Handler)).get("/").body == b"mine"


def test_right_to_finish_has_one_taker():
    """Of any number of threads that ask at once, one gets it."""

    async def main() -> None:
        listener: Any = None
        response = ResponseWriter(None, current_portal(), listener)  # type: ignore[arg-type]
        start = threading.Barrier(8)
        got: list[bool] = []

        def take() -> None:
            start.wait(10)
            got.append(response.take_right_to_finish())

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(got) == [False] * 7 + [True]
        assert not response.take_right_to_finish()

    asyncio.run(main())
