"""Requests whose task is cancelled, or whose loop is closed, at awkward moments."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import tornado
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.patience import WAIT
from tests.unit.conftest import all_quiet
from tests.unit.gates import Gate
from tornado_unblock import AbandonedError, unblock, unblock_application
from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._connection.response import ResponseWriter
from tornado_unblock._handlers.ownership import Ownership
from tornado_unblock._loop.portal import current_portal


def cancel_requests() -> None:
    """Cancel what serves a request, as the end of Tornado's test cases does."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == "_execute":
            task.cancel()


class SlowFile(StaticFileHandler):
    """A file whose reader is slow to notice its end."""

    gate: Gate

    @classmethod
    def get_content(cls, abspath: str, start: Any = None, end: Any = None) -> Any:
        yield b"all of it"
        cls.gate.hold()

    def get_content_size(self) -> int:
        return len(b"all of it")

    def compute_etag(self) -> None:
        """Would read the file."""

    def set_headers(self) -> None:
        """Likewise."""

    def on_finish(self) -> None:
        self.gate.done.set()


def read_file(client: Any) -> bytes:
    data = b""
    while not data.endswith(b"all of it"):
        data += client.recv(1000)
    return data


def test_cancelled_when_all_is_sent(make_server, gate, tmp_path):
    """The response is whole: it ends quietly, and the connection serves on."""
    (tmp_path / "file").write_bytes(b"all of it")
    cls = type("File", (SlowFile,), {"gate": gate})
    server = make_server(("/(.*)", cls, {"path": tmp_path}))
    server.call(lambda: unblock_application(server.server.request_callback))
    client = server.connect()
    client.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP/1.1 200" in read_file(client)
    assert gate.wait()
    server.call(cancel_requests)
    server.call(asyncio.sleep, 0)
    gate.open.set()
    assert gate.done.wait(WAIT)
    client.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"HTTP/1.1 200" in read_file(client)


def test_worker_that_finishes_at_that_very_moment():
    """Who takes the right to finish first finishes, the other does not."""
    request = SimpleNamespace(connection=None)
    handler = SimpleNamespace(_finished=False, request=request)
    offload: Any = SimpleNamespace(handler=handler, abandon=lambda why: False)

    async def main() -> bool:
        ownership = Ownership(current_portal())
        writer = ResponseWriter(None, current_portal(), ownership)  # type: ignore[arg-type]
        writer.complete = True
        request.connection = RequestConnection(writer)
        return ownership.is_answered(offload)

    assert asyncio.run(main())


def test_cancelled_when_it_has_finished(make_server, gate):
    """A body that lingers after its `finish` is let alone."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.finish("done")
            gate.hold()
            gate.done.set()

    server = make_server(("/", Handler))
    client = server.send("/")
    assert gate.wait()
    assert client.recv(1000).endswith(b"done")
    server.call(cancel_requests)
    server.call(asyncio.sleep, 0)
    assert not server.call(requests)
    gate.open.set()
    assert gate.done.wait(WAIT)


def requests() -> list[Any]:
    return [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__name__", "") == "_execute"
    ]


def test_cancelled_before_it_is_sent(make_server, gate, expect_log, allow_log):
    """What is missing cannot be made up: the body is abandoned, the client told."""
    allow_log("tornado.access", "500 GET /")
    allow_log("asyncio", "Exception in callback")  # Tornado before 6.5

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.set_header("Content-Length", "9")
            self.write("half")
            self.flush()
            gate.hold()
            gate.done.set()
            self.finish(" more")

    allow_log("tornado.general", "Cannot send error response after headers written")
    allow_log("tornado.general", "Failed to flush partial response")
    server = make_server(("/", Handler))
    client = server.send("/")
    assert gate.wait()
    assert client.recv(1000).endswith(b"half")
    server.call(cancel_requests)
    server.call(asyncio.sleep, 0)
    gate.open.set()
    assert gate.done.wait(WAIT)


def unblocked(handler: Any, form: str) -> Any:
    """Unblock the `get` of a class of handlers, or all of it."""
    if form == "method":
        handler.get = unblock(handler.get)
        return handler
    return unblock(handler)


@pytest.mark.parametrize("form", ["method", "class"])
@pytest.mark.skipif(tornado.version_info < (6, 6), reason="it answers nothing itself")
def test_cancelled_with_nothing_sent(make_server, gate, expect_log, form):
    """Its client has the error page of Tornado, before the body ends."""
    expect_log("tornado.access", "500 GET /")

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("half")
            gate.hold()
            gate.done.set()

    server = make_server(("/", unblocked(Handler, form)))
    client = server.send("/")
    assert gate.wait()
    server.call(cancel_requests)
    check_error_page(client, b"500: Internal Server Error")
    gate.open.set()
    assert gate.done.wait(WAIT)


@pytest.mark.parametrize("form", ["method", "class"])
def test_error_sent_by_the_loop_while_a_body_runs(
    make_server, gate, expect_log, allow_log, form
):
    """As a timer of the application's own does: the page is whole, the body parted."""
    expect_log("tornado.access", "504 GET /")
    allow_log("tornado.application", "the body failed after it was abandoned")
    handlers: list[RequestHandler] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            handlers.append(self)
            self.write("half")
            gate.hold()
            with pytest.raises(AbandonedError):
                self.write("late")
            gate.done.set()

    server = make_server(("/", unblocked(Handler, form)))
    client = server.send("/")
    assert gate.wait()
    server.call(lambda: handlers[0].send_error(504))
    check_error_page(client, b"504: Gateway Timeout")
    gate.open.set()
    assert gate.done.wait(WAIT)


def check_error_page(client: socket.socket, title: bytes) -> None:
    data = b""
    while b"</html>" not in data:
        part = client.recv(65536)
        assert part, data
        data += part
    assert title in data


def close_loop_under(app: Application, gate: Gate, talk: Any) -> None:
    """Serve, and close the loop while a body is held; `talk` returns its sockets."""

    async def main() -> None:
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(app)
        server.add_sockets(sockets)
        clients = await talk(sockets[0].getsockname()[1])
        while not gate.entered.acquire(blocking=False):  # noqa: ASYNC110
            await asyncio.sleep(0)
        server.stop()
        for connection in list(server._connections):
            connection.stream.close()
        for client in clients:
            client.close()

    asyncio.run(main())
    gate.open.set()
    assert gate.done.wait(WAIT)


@pytest.mark.parametrize("error", [False, True])
def test_loop_closed_under_a_web_socket(gate, expect_log, error):
    """Nobody misses the end of a hook; an error in it is named by the hook."""
    if error:
        expect_log("tornado.application", r"Socket\.on_message: the event loop was")

    @unblock
    class Socket(WebSocketHandler):
        def on_message(self, message: Any) -> None:
            gate.hold()
            gate.done.set()
            if error:
                raise LookupError

    async def talk(port: int) -> list[Any]:
        client = await websocket_connect(f"ws://127.0.0.1:{port}/")
        await client.write_message("x")
        return [client]

    close_loop_under(Application([("/", Socket)]), gate, talk)


def test_loop_closed_under_on_finish(gate):
    """Nor that of clean-up."""

    @unblock
    class Handler(RequestHandler):
        def get(self) -> Any:
            return self.serve()

        async def serve(self) -> None:
            self.write("served")

        def on_finish(self) -> None:
            gate.hold()
            gate.done.set()

    async def talk(port: int) -> list[Any]:
        stream = IOStream(socket.socket())
        await stream.connect(("127.0.0.1", port))
        await stream.write(b"GET / HTTP/1.0\r\n\r\n")
        await stream.read_until(b"served")
        stream.close()
        return []

    close_loop_under(Application([("/", Handler)]), gate, talk)


def test_error_after_an_abandoned_helper_has_ended(make_server, gate, expect_log):
    """What that helper has left behind on the handler is not believed then, either."""
    expect_log("tornado.application", "still running after")
    expect_log("tornado.access", "^418")

    class Handler(RequestHandler):
        @unblock(timeout=0.02)
        def helper(self) -> None:
            gate.hold()
            self._headers_written = True

        async def get(self) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await self.helper()
            gate.open.set()
            await all_quiet()
            raise HTTPError(418)

    assert make_server(("/", Handler)).get("/").status == 418
