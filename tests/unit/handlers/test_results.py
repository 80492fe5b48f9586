"""What a body returns is sent, as documented, or fails clearly."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import functools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.web import RequestHandler

from tests.unit.conftest import all_quiet
from tornado_unblock import configure, run_in_executor, unblock
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._handlers.results import drive
from tornado_unblock._loop.lease import current_lease


def returning(value: Any, **options: Any) -> type[RequestHandler]:
    class Handler(RequestHandler):
        @unblock(**options)
        def get(self) -> Any:
            return value() if callable(value) else value

    return Handler


@pytest.mark.parametrize(
    ("value", "body", "content_type"),
    [
        (None, b"", "text/html; charset=UTF-8"),
        ("täxt", "täxt".encode(), "text/html; charset=UTF-8"),
        (b"\x00\x01", b"\x00\x01", "text/html; charset=UTF-8"),
        ({"a": "</x>"}, b'{"a": "<\\/x>"}', "application/json; charset=UTF-8"),
        ([1, 2], b"[1, 2]", "application/json; charset=UTF-8"),
        ((1, 2), b"[1, 2]", "application/json; charset=UTF-8"),
        (7, b"7", "application/json; charset=UTF-8"),
        (1.5, b"1.5", "application/json; charset=UTF-8"),
        (False, b"false", "application/json; charset=UTF-8"),
        ("", b"", "text/html; charset=UTF-8"),
        ([], b"[]", "application/json; charset=UTF-8"),
    ],
)
def test_values(make_server, value, body, content_type):
    """Each kind of value has one way to be sent."""
    response = make_server(("/", returning(value))).get("/")
    assert response.status == 200
    assert response.body == body
    assert response.headers["Content-Type"] == content_type


def test_returned_dict_is_what_write_would_send(make_server):
    """Byte for byte, headers and ETag included."""

    class Writes(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write({"a": 1})

    server = make_server(("/r", returning({"a": 1})), ("/w", Writes))
    returned, written = server.get("/r"), server.get("/w")
    assert returned.headers["Etag"] == written.headers["Etag"]
    assert returned.body == written.body
    assert list(returned.headers) == list(written.headers)


def test_encoder_of_the_decorator(make_server):
    """Decimals and dates, as ``json.dumps(default=str)`` writes them."""
    value = {"d": decimal.Decimal("1.10"), "t": datetime.date(2020, 1, 2)}
    encoder = functools.partial(json.dumps, default=str)
    server = make_server(("/", returning(value, json_encoder=encoder)))
    assert server.get("/").body == b'{"d": "1.10", "t": "2020-01-02"}'


def test_encoder_of_the_process(make_server):
    """``configure(json_encoder=orjson.dumps)`` serves every handler."""
    orjson = pytest.importorskip("orjson")
    configure(json_encoder=orjson.dumps)
    server = make_server(("/", returning([datetime.date(2020, 1, 2)])))
    response = server.get("/")
    assert response.body == b'["2020-01-02"]'
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"


def test_a_value_that_cannot_be_encoded(make_server, expect_log):
    """A 500, and the log names endpoint, type and what to do."""
    expect_log("tornado.application", r"(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")
    server = make_server(("/", returning(lambda: {1, 2})), serve_traceback=True)
    response = server.get("/")
    assert response.status == 500
    text = response.body.decode()
    assert "Handler.get returned a set that cannot be sent as JSON" in text
    assert "configure(json_encoder=...)" in text


def test_returned_future_of_finish(make_server):
    """``return self.finish(...)`` is awaited."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Any:
            return self.finish("done")

    assert make_server(("/", Handler)).get("/").body == b"done"


def test_returned_coroutine_runs_on_the_loop_thread(make_server):
    """An awaitable is awaited there before the request is finished."""
    threads = []

    class Handler(RequestHandler):
        async def later(self) -> None:
            await asyncio.sleep(0)
            threads.append(threading.current_thread())
            self.write("later")

        @unblock
        def get(self) -> Any:
            return self.later()

    server = make_server(("/", Handler))
    assert server.get("/").body == b"later"
    assert threads == [server.thread]


def test_returned_executor_future(make_server):
    """A Future of concurrent.futures is awaited too, and its error raised."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Any:
            return get_executor("other").submit(self.write, "from there")

    assert make_server(("/", Handler)).get("/").body == b"from there"


def test_generator_is_streamed(make_server):
    """Each chunk is flushed; headers set before the first one count."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Any:
            self.set_header("Content-Type", "text/plain")
            yield "one\n"
            yield None
            yield b"two\n"
            yield {"three": 3}

    response = make_server(("/", Handler)).get("/")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.body == b'4\r\none\n\r\n4\r\ntwo\n\r\na\r\n{"three": 3}'[:0] + (
        b'4\r\none\n\r\n4\r\ntwo\n\r\nc\r\n{"three": 3}\r\n0\r\n\r\n'
    )


def test_iterator_is_streamed(make_server):
    """An iterator with no close() will do."""
    response = make_server(("/", returning(lambda: iter(["a", "b"])))).get("/")
    assert response.body == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


def test_generator_that_fails_before_its_first_chunk(make_server, expect_log):
    """Nothing was sent yet, so the client gets a proper 500."""
    expect_log("tornado.application", "(?s)Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Any:
            if self.get_argument("x", "") == "":
                raise ValueError("early")
            yield "never"

    assert make_server(("/", Handler)).get("/").status == 500


def test_generator_is_closed_in_its_worker_when_the_client_leaves(make_server):
    """``finally`` runs there, soon after the client is gone."""
    ran, closed = [], threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Any:
            ran.append(threading.current_thread())
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                ran.append(threading.current_thread())
                closed.set()

    server = make_server(("/", Handler))
    client = server.send("/")
    client.recv(1000)
    client.close()
    assert closed.wait(10)
    assert ran[0] is ran[1] is not server.thread
    server.call(_idle)


async def _idle() -> None:
    await run_in_executor(int)


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


class Attributes(dict):
    """A dictionary that claims any attribute, as those of many projects do."""

    def __getattr__(self, name):
        return self.get(name)


def test_types_are_asked(make_server):
    """What claims every attribute is sent, what can be awaited is awaited."""

    class Handler(RequestHandler):
        @unblock
        def get(self):
            return Attributes(key="value")

        @unblock
        def post(self):
            return asyncio.sleep(0, self.write("awaited"))

    server = make_server(("/", Handler))
    assert server.get("/").body == b'{"key": "value"}'
    assert server.get("/", method="POST").body == b"awaited"


def test_generator_whose_client_leaves_between_two_chunks(make_server):
    """It is closed, as soon as a chunk finds nobody there."""
    handlers: list[Any] = []
    waiting, left, closed = (threading.Event() for _ in range(3))

    class Handler(RequestHandler):
        @unblock
        def get(self) -> Iterator[str]:
            handlers.append(self)
            return self.chunks()

        def chunks(self) -> Iterator[str]:
            try:
                yield "first"
                waiting.set()
                assert left.wait(10)
                yield "second"
                raise AssertionError("nobody is there to get a third")
            finally:
                closed.set()

    server = make_server(("/", Handler))
    client = server.send("/")
    assert waiting.wait(10)
    client.close()
    server.until(lambda: handlers[0].request.connection.writer.client_left)
    left.set()
    assert closed.wait(10)
    server.call(all_quiet)
