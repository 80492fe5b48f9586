"""Pipelined requests against bodies that do what they should not: every byte checked.

Each request has a number, and whatever a body writes carries it. A response may
consist of pieces of its own number, or be an error page without any; each has one head,
and they come in the order of the requests.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import io
import itertools
import logging
import random
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from tornado.ioloop import IOLoop
from tornado.web import Application, Finish, HTTPError, RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import Server
from tornado_unblock import AbandonedError, configure, run_in_executor, unblock

CLIENTS = 6
PIECE = re.compile(rb"<(\d+):\w+>")
STEPS = "wwwwfffFtttTdncrpkLexs"

# What hands the handler to somebody else while the body goes on with it.
RACING = frozenset("cdnrps")

parked: collections.deque[Any] = collections.deque()
over = threading.Event()


class Program(RequestHandler):
    """Does what its query says, step by step."""

    def prepare(self) -> None:
        self.loop = asyncio.get_event_loop()
        self.number = self.get_query_argument("id")
        self.set_header("X-Id", self.number)

    def piece(self, name: str) -> str:
        return f"<{self.number}:{name}>"

    def run(self) -> None:
        for step in self.get_query_argument("do"):
            getattr(self, STEP_NAMES[step])()

    def do_write(self) -> None:
        self.write(self.piece("w"))

    def do_write_much(self) -> None:
        self.write(self.piece("x" * 100_000))

    def do_flush(self) -> None:
        self.flush()

    def do_finish(self) -> None:
        if not self._finished:
            self.finish(self.piece("end"))

    def do_pause(self) -> None:
        over.wait(0.004)

    def do_outlive(self) -> None:
        over.wait(0.03)

    def late(self) -> None:
        over.wait(0.01)
        with contextlib.suppress(Exception):
            self.write(self.piece("late"))
            self.flush()
        with contextlib.suppress(Exception):
            connection: Any = self.request.connection
            connection.write(self.piece("raw").encode())
        with contextlib.suppress(Exception):
            self.finish(self.piece("last"))

    def do_delegate_to_thread(self) -> None:
        connection: Any = self.request.connection

        def late() -> None:
            self.late()
            with contextlib.suppress(Exception):
                connection.finish()

        threading.Thread(target=late, daemon=True, name="late").start()

    def do_delegate_to_worker(self) -> None:
        run_in_executor(self.late).add_done_callback(lambda f: f.exception())

    def do_delegate_to_callback(self) -> None:
        IOLoop.current().add_callback(self.finish_late)

    def do_delegate_to_coroutine(self) -> None:
        async def late() -> None:
            await asyncio.sleep(0)
            self.finish_late()

        loop = IOLoop.current().asyncio_loop  # type: ignore[attr-defined]
        asyncio.run_coroutine_threadsafe(late(), loop)

    def finish_late(self) -> None:
        with contextlib.suppress(Exception):
            self.finish(self.piece("callback"))

    def do_delegate_errors_to_thread(self) -> None:
        def late() -> None:
            over.wait(0.01)
            with contextlib.suppress(Exception):
                self.send_error(500)
            with contextlib.suppress(Exception):
                self.redirect("/elsewhere")

        threading.Thread(target=late, daemon=True, name="late").start()

    def do_fail(self) -> None:
        raise HTTPError(503)

    def do_raise_finish(self) -> None:
        raise Finish(self.piece("finish"))

    def do_park(self) -> None:
        self._auto_finish = False
        parked.append(self)

    def do_tell(self) -> None:
        tell_one()


def tell_one() -> None:
    with contextlib.suppress(IndexError):
        other = parked.popleft()
        try:
            other.finish(other.piece("told"))
        except AbandonedError:
            # A body of it was abandoned: from now on only the loop thread may.
            other.loop.call_soon_threadsafe(other.finish_late)
        except Exception:
            pass  # it is finished already


STEP_NAMES = {
    "w": "do_write",
    "L": "do_write_much",
    "f": "do_flush",
    "F": "do_finish",
    "t": "do_pause",
    "T": "do_outlive",
    "d": "do_delegate_to_thread",
    "n": "do_delegate_to_worker",
    "c": "do_delegate_to_callback",
    "r": "do_delegate_to_coroutine",
    "p": "do_park",
    "e": "do_fail",
    "x": "do_raise_finish",
    "s": "do_delegate_errors_to_thread",
    "k": "do_tell",
}


class ByMethod(Program):
    @unblock(timeout=0.01)
    def get(self) -> None:
        self.run()

    head = get


@unblock(timeout=0.01)
class ByClass(Program):
    def get(self) -> None:
        self.run()

    head = get


class ByHelper(Program):
    @unblock(timeout=0.01)
    def helper(self) -> None:
        self.run()

    async def get(self) -> None:
        try:
            await self.helper()
        except asyncio.TimeoutError:
            if not self._finished:
                self.write(self.piece("fallback"))

    head = get


class Broken(Exception):
    """What came is no HTTP."""


def read_response(
    stream: io.BufferedReader, has_body: bool
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Read one response, strictly; EOFError if there is none."""
    line = stream.readline()
    if not line:
        raise EOFError
    found = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", line)
    if found is None:
        raise Broken(line)
    headers = {}
    while (line := stream.readline()) != b"\r\n":
        if not line:
            raise EOFError
        name, colon, value = line.partition(b":")
        if not colon:
            raise Broken(line)
        headers[name.lower()] = value.strip()
    return int(found[1]), headers, read_body(stream, headers) if has_body else b""


def read_body(stream: io.BufferedReader, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding") != b"chunked":
        return read_exactly(stream, int(headers[b"content-length"]))
    body = b""
    while True:
        line = stream.readline()
        if not line:
            raise EOFError
        if re.fullmatch(rb"[0-9a-f]+\r\n", line) is None:
            raise Broken(line)
        chunk = read_exactly(stream, int(line, 16))
        if stream.readline() != b"\r\n":
            raise EOFError
        if not chunk:
            return body
        body += chunk


def read_exactly(stream: io.BufferedReader, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def check(
    number: int, mixes: bool, status: int, headers: dict[bytes, bytes], body: bytes
) -> None:
    """Raise `Broken` unless all of it may be the answer to request ``number``.

    One that ``mixes`` sends an error from a thread while others of its own write.
    """
    ours = str(number).encode()
    if headers.get(b"x-id", ours) != ours:
        raise Broken(f"{number} got the head of {headers[b'x-id']!r}")
    rest = PIECE.sub(lambda piece: b"" if piece[1] == ours else piece[0], body)
    is_page = status >= 500 and b"<title>%d:" % status in rest
    if rest and not (is_page and (mixes or rest == body) and not PIECE.search(rest)):
        raise Broken(f"{number} got {status} {body[:300]!r}")


class Client:
    """One thread of clients, each with a connection of its own."""

    def __init__(self, port: int, seed: int, numbers: Iterator[int]) -> None:
        self.port, self.random, self.numbers = port, random.Random(seed), numbers
        self.answered = self.lost = 0
        self.errors: list[str] = []

    def work(self, go_on: Callable[[], bool]) -> None:
        while go_on() and not self.errors:
            try:
                self.talk()
            except (Broken, socket.timeout, ValueError, KeyError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")

    def talk(self) -> None:
        asked = [next(self.numbers) for _ in range(self.random.randint(1, 6))]
        programs = [self.program() for _ in asked]
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as client:
            if self.random.random() < 0.2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # One that was closed meanwhile: what it has answered is still there.
            with contextlib.suppress(ConnectionError):
                for number, (path, program) in zip(asked, programs):
                    client.sendall(
                        f"{path}?id={number}&do={program} HTTP/1.1\r\n"
                        "Host: x\r\n\r\n".encode()
                    )
            if self.random.random() < 0.1:
                return  # a client that does not wait for its answers
            with client.makefile("rb") as stream:
                self.read(stream, list(zip(asked, programs)))

    def read(
        self, stream: io.BufferedReader, asked: list[tuple[int, tuple[str, str]]]
    ) -> None:
        races = False
        for number, program in asked:
            # One that writes with two threads at once may have its connection closed.
            races = races or not RACING.isdisjoint(program[1])
            try:
                has_body = not program[0].startswith("HEAD")
                mixes = "s" in program[1]
                check(number, mixes, *read_response(stream, has_body))
            except (EOFError, ConnectionError):
                self.lost += not races
                return
            except (Broken, socket.timeout) as error:
                raise Broken(f"{number} of {asked}: {error}") from None
            self.answered += 1

    def program(self) -> tuple[str, str]:
        path = self.random.choice(["/method", "/class", "/helper"])
        steps = "".join(self.random.choices(STEPS, k=self.random.randint(0, 5)))
        # After a flush Tornado finishes a HEAD only where it finds a current loop,
        # which the thread that tells what is parked has not.
        head = "p" not in steps and self.random.random() < 0.2
        return f"{'HEAD' if head else 'GET'} {path}", steps


def new_loop(kind: str) -> Any:
    if kind == "uvloop":
        return pytest.importorskip("uvloop").new_event_loop()
    return asyncio.new_event_loop()


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
@pytest.mark.allow_log("", ".*")
@pytest.mark.allow_threads("late|Thread")
def test_pipelined(capsys, seed, go_on, kind):
    """No byte of one response is in another; each request has its answer."""
    logging.disable(logging.CRITICAL)
    over.clear()
    parked.clear()
    configure(max_workers=20)
    server = Server(False, lambda: new_loop(kind))
    server.serve(
        Application([("/method", ByMethod), ("/class", ByClass), ("/helper", ByHelper)])
    )
    numbers = itertools.count(1)
    clients = [Client(server.port, seed + n, numbers) for n in range(CLIENTS)]
    threads = [threading.Thread(target=c.work, args=(go_on,)) for c in clients]
    telling = threading.Thread(target=tell_until_over, args=(threads,))
    try:
        for thread in (*threads, telling):
            thread.start()
        for thread in (*threads, telling):
            thread.join(600)
    finally:
        over.set()
        server.close()
        logging.disable(logging.NOTSET)
    answered, lost = sum(c.answered for c in clients), sum(c.lost for c in clients)
    with capsys.disabled():
        print(f"{kind}: {answered} answered, {lost} lost")
    errors = [error for client in clients for error in client.errors]
    assert not errors, "\n".join(errors)
    assert lost == 0
    assert answered > 0


def tell_until_over(threads: list[threading.Thread]) -> None:
    """Finish those that nobody else tells, from a thread that is no worker."""
    while any(thread.is_alive() for thread in threads):
        over.wait(0.02)
        for _ in range(len(parked)):
            tell_one()
