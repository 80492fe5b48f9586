"""The connection: order, snapshots, backpressure, errors, slow readers, locks."""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from tornado_unblock import unblock
from tornado_unblock._connection.request_connection import RequestConnection


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
    """The body goes on as an inline one would, writing to nobody."""
    done = threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            for _ in range(5):
                self.write(b"x" * 4_000_000)
                self.flush()
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


def test_the_connection_is_still_itself(make_server):
    """isinstance, attributes and the remote address, on both sides."""
    seen: list[Any] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.look()

        def look(self) -> None:
            from tornado.http1connection import HTTP1Connection

            connection: Any = self.request.connection
            seen.append(isinstance(connection, HTTP1Connection))
            seen.append(connection.context.remote_ip)
            seen.append(connection.no_keep_alive)
            seen.append(connection.stream.closed())
            seen.append(type(connection.stream.socket.getsockname()))
            seen.append(connection.stream.reading())

        def on_finish(self) -> None:
            assert isinstance(self.request.connection, RequestConnection)

    make_server(("/", Handler)).get("/")
    assert seen == [True, "127.0.0.1", False, False, tuple, False]


def test_stream_of_a_detached_connection(make_server):
    """A body may take the socket over; its stream is safe to use from there."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            stream = self.detach()
            stream.write(b"raw bytes")
            stream.close()

    assert make_server(("/", Handler)).get("/").raw == b"raw bytes"


def test_finish_from_a_foreign_thread(make_server):
    """A handler whose body left it open may be finished by any thread."""
    threads = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self._auto_finish = False
            thread = threading.Thread(target=self.finish, args=("from afar",))
            threads.append(thread)
            thread.start()

    assert make_server(("/", Handler)).get("/").body == b"from afar"
    for thread in threads:
        thread.join(10)


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


def test_what_stands_in_looks_like_the_connection(make_server):
    """To whoever asks for its class or attributes, or compares it."""
    found: dict[str, Any] = {}

    class Asks(RequestHandler):
        @unblock
        def get(self) -> None:
            stands_in: Any = self.request.connection
            own = stands_in.writer.connection
            stands_in.mark = 1
            found["set"] = own.mark
            del stands_in.mark
            found["deleted"] = not hasattr(own, "mark")
            found["context"] = stands_in.context is own.context
            found["class"] = isinstance(stands_in, type(own))
            found["equal"] = stands_in == own and stands_in == stands_in
            found["other"] = stands_in == object()
            found["hash"] = hash(stands_in) == hash(own)
            found["repr"] = repr(own) in repr(stands_in)

    assert make_server(("/", Asks)).get("/").status == 200
    others = {"set": 1, "other": False}
    assert found == {name: others.get(name, True) for name in found}
    assert len(found) == 8


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
