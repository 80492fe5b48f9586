"""Many requests at once that do all that requests do, drawn with a seed.

Shared by the unit tests (a thousand once) and the stress tests (many thousands).
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import random
import resource
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Optional

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import (
    Application,
    Finish,
    HTTPError,
    RequestHandler,
    stream_request_body,
)

from tests.unit.conftest import Server
from tornado_unblock import configure, run_in_executor, statistics, unblock

CHUNK = b"0123456789" * 3000
never = threading.Event()
handlers: weakref.WeakSet[RequestHandler] = weakref.WeakSet()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one request does, and what may come back; 0 is no response."""

    path: str
    statuses: frozenset[int]
    body: Optional[bytes] = None
    upload: int = 0
    # Bytes the client reads before it leaves; None: all there are.
    leaves_after: Optional[int] = None


def pause(seconds: str) -> None:
    """Block for so long, as a query would."""
    never.wait(float(seconds))


class Noted(RequestHandler):
    def initialize(self) -> None:
        handlers.add(self)


class Value(Noted):
    @unblock
    def get(self, seconds: str, text: str) -> str:
        pause(seconds)
        return text


class Written(Noted):
    @unblock
    def get(self, seconds: str, text: str) -> None:
        self.write(text)
        pause(seconds)
        self.finish()
        pause(seconds)


class Streamed(Noted):
    @unblock
    def get(self, seconds: str, count: str) -> Iterator[bytes]:
        for _ in range(int(count)):
            pause(seconds)
            yield CHUNK


class Failing(Noted):
    @unblock
    def get(self, seconds: str, which: str) -> None:
        pause(seconds)
        raise ERRORS[int(which)][0]()


ERRORS: list[tuple[Any, int]] = [
    (KeyError, 500),
    (StopIteration, 500),
    (SystemExit, 500),
    (KeyboardInterrupt, 500),
    (GeneratorExit, 500),
    (asyncio.CancelledError, 500),
    (lambda: HTTPError(404), 404),
    (Finish, 200),
]


class Late(Noted):
    @unblock(timeout=0.02)
    def get(self, seconds: str, text: str) -> None:
        pause(seconds)
        self.write(text)


class Tiny(Noted):
    @unblock(executor="tiny")
    def get(self, seconds: str, text: str) -> str:
        pause(seconds)
        return text


class Nested(Noted):
    @unblock
    def get(self, seconds: str, text: str) -> Any:
        jobs = [run_in_executor(pause, seconds) for _ in range(2)]
        for job in jobs:
            job.result(30)
        return text


@unblock
class Whole(Noted):
    def prepare(self) -> None:
        pause(self.path_args[0])

    def get(self, seconds: str, text: str) -> str:
        return text

    def on_finish(self) -> None:
        pause(self.path_args[0])


@stream_request_body
class Upload(Noted):
    size = 0

    @unblock
    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    @unblock
    def post(self, seconds: str, text: str) -> str:
        pause(seconds)
        return str(self.size)


KINDS = [Value, Written, Streamed, Failing, Late, Tiny, Nested, Whole, Upload]
RULES = [(f"/{kind.__name__}/(.*)/(.*)", kind) for kind in KINDS]


def draw(chance: random.Random) -> Plan:
    """Return one request."""
    kind = chance.choice(KINDS)
    seconds = f"{chance.choice([0, 0, 0.001, 0.01, 0.03]):g}"
    text = str(chance.randrange(10**6))
    plan = Plan(f"/{kind.__name__}/{seconds}/{text}", frozenset([200]), text.encode())
    if kind is Streamed:
        count = chance.randrange(5)
        path = f"/Streamed/{seconds}/{count}"
        plan = Plan(path, plan.statuses, CHUNK * count)
    elif kind is Failing:
        which = chance.randrange(len(ERRORS))
        path = f"/Failing/{seconds}/{which}"
        plan = Plan(path, frozenset([ERRORS[which][1]]))
    elif kind is Late:
        plan = dataclasses.replace(plan, statuses=frozenset([200, 504]))
    elif kind is Tiny:
        plan = dataclasses.replace(plan, statuses=frozenset([200, 503]))
    elif kind is Upload:
        size = chance.randrange(300_000)
        plan = dataclasses.replace(plan, body=str(size).encode(), upload=size)
    if chance.random() < 0.2:
        leaves_after = chance.choice([0, 1, 40_000])
        plan = dataclasses.replace(plan, leaves_after=leaves_after)
    return plan


async def ask(port: int, plan: Plan) -> None:
    """Send one request, and hold its response against the plan."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        verb = "POST" if plan.path.startswith("/Upload") else "GET"
        writer.write(
            f"{verb} {plan.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Length: {plan.upload}\r\n\r\n".encode()
        )
        if plan.leaves_after is not None:
            writer.write(b"x" * min(plan.upload, plan.leaves_after))
            if plan.upload <= plan.leaves_after:
                await reader.read(plan.leaves_after)
            return
        writer.write(b"x" * plan.upload)
        await writer.drain()
        check(plan, await reader.read(-1))
    finally:
        writer.transport.abort()


def check(plan: Plan, answer: bytes) -> None:
    """Raise unless ``answer`` is exactly one response, the one of ``plan``."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in plan.statuses, (plan, head)
    if b"Transfer-Encoding: chunked" in head:
        body = dechunk(body)
    else:
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        assert int(length) == len(body), (plan, answer[:2000])
    if status == 200 and plan.body is not None:
        assert body == plan.body, (plan, head, body[:100])


def dechunk(data: bytes) -> bytes:
    parts = []
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        parts.append(data[:length])
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]
        if not length:
            assert data == b"", "more than one response"
            return b"".join(parts)


class Chaos:
    """A server for all of this, and what must be left when it is over."""

    def __init__(self, seed: int) -> None:
        print(f"chaos seed {seed}")
        self.chance = random.Random(seed)
        # pytest keeps each record, and with it each traceback and handler.
        logging.disable()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
        configure(max_waiting=4000, queue_timeout=None)
        configure("tiny", max_workers=1, max_waiting=5, queue_timeout=0.05)
        self.before = len(os.listdir("/proc/self/fd"))
        self.server = Server(False, asyncio.new_event_loop)
        self.server.call(self._serve)

    def _serve(self) -> None:
        sockets = bind_sockets(0, "127.0.0.1", backlog=2048)
        self.server.port = sockets[0].getsockname()[1]
        self.server.server = HTTPServer(Application(RULES))
        self.server.server.add_sockets(sockets)

    def run(self, count: int) -> None:
        """Have ``count`` requests at the same time."""
        plans = [draw(self.chance) for _ in range(count)]
        asyncio.run(self._run(plans))

    async def _run(self, plans: list[Plan]) -> None:
        await asyncio.gather(*(ask(self.server.port, plan) for plan in plans))

    def settle(self) -> None:
        """Wait until nothing runs, and check that nothing is left."""
        self.server.until(self._is_idle)
        self.server.call(gc.collect)
        assert not list(handlers)
        for name, executor in statistics().items():
            for endpoint in executor.endpoints.values():
                assert (endpoint.borrowed_tokens, endpoint.waiting) == (0, 0), name
                assert endpoint.completed == endpoint.run_time.count

    def _is_idle(self) -> bool:
        assert self.server.server is not None
        return (
            not any(e.borrowed_tokens or e.waiting for e in statistics().values())
            and not self.server.server._connections
            and len(asyncio.all_tasks()) == 1
        )

    def close(self) -> None:
        logging.disable(logging.NOTSET)
        self.server.close()
        assert len(os.listdir("/proc/self/fd")) <= self.before
