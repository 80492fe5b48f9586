"""One response has one head and one end, whoever writes it, on either thread."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import Response, read, uvloop
from tornado_unblock import AbandonedError, unblock
from tornado_unblock._connection import loop_owned
from tornado_unblock._connection.loop_owned import expect_head
from tornado_unblock._connection.response import (
    NO_HEAD,
    RESPONSE_ENDED,
    SECOND_HEAD,
    ResponseWriter,
)
from tornado_unblock._loop.lease import current_lease
from tornado_unblock._loop.portal import Portal, current_portal

LINE = ResponseStartLine("", 200, "OK")
pytestmark = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)
both_threads = pytest.mark.parametrize("on_loop", [False, True], ids=["own", "loop"])


def ask(
    make_server: Any, new_loop: Any, body: Callable[[Any, Portal], Any]
) -> Response:
    """Have ``body(handler, portal)`` answer a request, and return what it sent."""
    errors: list[BaseException] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            lease = current_lease()
            assert lease is not None
            try:
                body(self, lease.portal)
            except BaseException as error:
                errors.append(error)
                raise

    response: Response = make_server(("/", Handler), new_loop=new_loop).get("/")
    if errors:
        raise errors[0]
    return response


def direct(fn: Callable[..., Any], *args: Any) -> Any:
    return fn(*args)


@both_threads
def test_what_comes_after_the_end(make_server, new_loop, on_loop):
    """It is refused; what is nothing is not, as Tornado does not mind it."""

    def body(handler: Any, portal: Portal) -> None:
        call = portal.call if on_loop else direct
        handler.finish("whole")
        portal.call(int)  # by now it is on its way
        connection = handler.request.connection
        with pytest.raises(AbandonedError, match=RESPONSE_ENDED):
            call(connection.write, b"late")
        with pytest.raises(AbandonedError, match=RESPONSE_ENDED):
            call(connection.write_headers, LINE, HTTPHeaders(), b"late")
        call(connection.finish)
        nothing = call(connection.write, b"")
        assert nothing.done()
        with pytest.raises(AbandonedError, match=RESPONSE_ENDED):
            connection.stream.write(b"late")
        with pytest.raises(AbandonedError, match=RESPONSE_ENDED):
            call(handler.detach)

    assert ask(make_server, new_loop, body).body == b"whole"


def test_second_head_on_the_loop_thread(make_server, new_loop):
    """It raises there; the response goes on."""

    def body(handler: Any, portal: Portal) -> None:
        handler.set_header("Content-Length", "6")
        handler.write("one")
        handler.flush()
        connection = handler.request.connection
        with pytest.raises(RuntimeError, match="has been sent already"):
            portal.call(connection.write_headers, LINE, HTTPHeaders(), b"again")
        handler.write("two")

    answer = ask(make_server, new_loop, body)
    assert answer.body == b"onetwo"
    assert answer.raw.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("predictable", [True, False])
def test_second_head_of_a_worker(make_server, new_loop, expect_log, predictable):
    """It raises if the loop is asked, else it is logged; it is not sent."""
    if predictable:
        expect_log("tornado.application", SECOND_HEAD[:40])

    def body(handler: Any, portal: Portal) -> None:
        handler.write("one")
        handler.flush()
        connection = handler.request.connection
        connection.writer.predictable = predictable
        if predictable:
            connection.write_headers(LINE, HTTPHeaders(), b"again")
        else:
            with pytest.raises(RuntimeError, match="has been sent already"):
                connection.write_headers(LINE, HTTPHeaders(), b"again")

    answer = ask(make_server, new_loop, body)
    assert answer.body == b"3\r\none\r\n0\r\n\r\n"


@both_threads
@pytest.mark.parametrize("streams", [True, False])
def test_head_that_only_informs_of_a_body(make_server, new_loop, on_loop, streams):
    """It is none: the response has its own, and what waits for that waits on."""

    def body(handler: Any, portal: Portal) -> None:
        call = portal.call if on_loop else direct
        connection = handler.request.connection
        late = portal.call(connection.write, b" and more") if streams else None
        hint = ResponseStartLine("", 103, "Early Hints")
        call(connection.write_headers, hint, HTTPHeaders({"Link": "</x>"}))
        assert not connection.writer.sent
        handler.write("whole")
        if streams:
            assert not late.done()
            handler.flush()

    answer = ask(make_server, new_loop, body)
    assert answer.raw.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n")
    assert answer.raw.count(b"HTTP/1.1") == 2
    assert answer.raw.endswith(
        b" and more\r\n0\r\n\r\n" if streams else b"\r\n\r\nwhole"
    )


@pytest.mark.parametrize("claims", [True, False])
def test_head_request_that_the_loop_finishes(make_server, new_loop, claims):
    """Its end waits for the head that a worker is about to send, without a chunk."""

    class Handler(RequestHandler):
        @unblock
        def head(self) -> None:
            lease = current_lease()
            assert lease is not None
            # What `flush` does first, before it sends.
            self._headers_written = claims
            lease.portal.call(self.finish)
            if claims:
                self._headers_written = False
                self.flush()

    server = make_server(("/", Handler), new_loop=new_loop)
    answer = server.get("/", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.raw.count(b"HTTP/1.1") == 1


@both_threads
@pytest.mark.parametrize("comes", [True, False])
def test_end_before_the_head(make_server, new_loop, on_loop, comes):
    """It waits for the head; without one the connection is closed."""

    def body(handler: Any, portal: Portal) -> None:
        call = portal.call if on_loop else direct
        call(handler.request.connection.finish)
        portal.call(int)
        assert not handler.request.connection.writer.ended
        if comes:
            handler.finish("whole")
        else:
            handler._auto_finish = False

    answer = ask(make_server, new_loop, body)
    assert answer.body == (b"whole" if comes else b"")
    assert answer.raw.count(b"HTTP/1.1") == comes


def test_thread_that_finishes_as_the_body_ends(make_server, new_loop):
    """The thread that has the right ends it, though the body left that to Tornado."""
    threads = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write("whole")
            lease: Any = current_lease()
            finished = threading.Event()
            lease.portal.call_soon(finished.wait, WAIT)
            args = (self, lease, finished)
            threads.append(threading.Thread(target=finish, args=args))
            threads[0].start()

    def finish(handler: Any, lease: Any, finished: threading.Event) -> None:
        # Not before the loop thread has been sent word that the body has ended.
        while not any(call == lease._end for call, _ in list(lease.portal._queue)):
            pass
        handler.finish()
        finished.set()

    server = make_server(("/", Handler), new_loop=new_loop)
    assert server.get("/").body == b"whole"
    threads[0].join(WAIT)


@pytest.mark.parametrize("predictable", [True, False])
@pytest.mark.parametrize("ends", [True, False])
def test_what_the_loop_writes_before_the_head(make_server, new_loop, predictable, ends):
    """It waits for the head, which a worker is about to send."""

    def body(handler: Any, portal: Portal) -> None:
        connection = handler.request.connection
        written = portal.call(connection.write, b"second")
        assert not written.done()
        if ends:
            portal.call(connection.finish)
        connection.writer.predictable = predictable
        handler.write("first")
        handler.flush()
        portal.call(int)
        assert connection.writer.sent
        assert connection.writer.ended is ends
        if ends:
            handler._auto_finish, handler._finished = False, True

    answer = ask(make_server, new_loop, body)
    assert answer.body == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


def test_what_waits_for_a_head_that_never_comes(make_server, new_loop):
    """The connection is closed: nothing that was asked for can be sent."""

    def body(handler: Any, portal: Portal) -> None:
        portal.call(handler.request.connection.write, b"of no response")
        handler._auto_finish = False

    assert ask(make_server, new_loop, body).raw == b""


def test_early_write_of_who_was_not_abandoned(make_server, new_loop, gate, expect_log):
    """After a body was abandoned no worker sends a head: the write raises."""
    expect_log("tornado.application", "still running after 0.05 s")
    notes = []

    class Handler(RequestHandler):
        @unblock(timeout=0.05)
        def load(self) -> None:
            gate.hold()
            gate.done.set()

        async def get(self) -> None:
            try:
                await self.load()
            except asyncio.TimeoutError:
                with pytest.raises(AbandonedError) as raised:
                    self.request.connection.write(b"early")
                notes.append(str(raised.value))
                self.write("fallback")

    server = make_server(("/", Handler), new_loop=new_loop)
    assert server.get("/").body == b"fallback"
    gate.open.set()
    assert gate.done.wait(WAIT)
    assert "was abandoned" in notes[0]


def test_other_thread_after_a_body_was_abandoned(
    make_server, new_loop, gate, expect_log
):
    """Only the loop thread answers then, whatever connection the thread finds."""
    expect_log("tornado.application", "still running after 0.05 s")
    notes = []

    class Handler(RequestHandler):
        @unblock(timeout=0.05)
        def load(self) -> None:
            gate.hold()
            gate.done.set()

        def late(self) -> None:
            with pytest.raises(AbandonedError) as raised:
                self.request.connection.write(b"late")
            notes.append(str(raised.value))

        async def get(self) -> None:
            try:
                await self.load()
            except asyncio.TimeoutError:
                thread = threading.Thread(target=self.late)
                thread.start()
                thread.join(WAIT)
                self.write("fallback")

    server = make_server(("/", Handler), new_loop=new_loop)
    assert server.get("/").body == b"fallback"
    gate.open.set()
    assert gate.done.wait(WAIT)
    assert notes == ["its body was abandoned; only the loop thread answers now"]


def test_finish_of_a_right_that_is_revoked_just_then(new_loop):
    """The right to finish goes back to who answers in its place."""

    class Right:
        revoked = None
        checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks == 2:
                raise AbandonedError("taken")

    async def writer() -> ResponseWriter:
        listener: Any = SimpleNamespace(retry_after=None)
        return ResponseWriter(None, current_portal(), listener)  # type: ignore[arg-type]

    loop = new_loop()
    try:
        response = loop.run_until_complete(writer())
        with pytest.raises(AbandonedError, match="taken"):
            response.finish(Right())
        assert response.may_finish
    finally:
        loop.close()


# --- connections of handlers that no worker holds ------------------------------------


def park(make_server: Any, new_loop: Any) -> tuple[Any, Any, Any]:
    """Return a server, the connection of a plain parked handler, and its client."""
    parked: list[Any] = []

    class Parked(RequestHandler):
        def get(self) -> None:
            self._auto_finish = False
            parked.append(self)

    # What guards them is put there with the first unblocked class.
    class Unblocked(RequestHandler):
        @unblock
        def get(self) -> None: ...

    rules = [("/poll", Parked), ("/", Unblocked)]
    server = make_server(*rules, new_loop=new_loop)
    server.get("/")
    client = server.send("/poll")
    server.until(lambda: parked)
    connection = parked[0].request.connection
    server.call(expect_head, connection)  # as for a handler that workers have
    return server, connection, client


def test_head_and_end_of_a_plain_connection(make_server, new_loop):
    """Bytes before the head, a second head, and bytes after the end are refused."""
    server, connection, client = park(make_server, new_loop)

    def respond() -> None:
        with pytest.raises(RuntimeError, match=NO_HEAD):
            connection.write(b"early")
        connection.write_headers(LINE, HTTPHeaders({"Content-Length": "3"}), b"one")
        with pytest.raises(RuntimeError, match="has been sent already"):
            connection.write_headers(LINE, HTTPHeaders(), b"two")
        connection.finish()
        connection.finish()
        with pytest.raises(AbandonedError, match=RESPONSE_ENDED):
            connection.write(b"late")
        with pytest.raises(AbandonedError, match=RESPONSE_ENDED):
            connection.write_headers(LINE, HTTPHeaders(), b"late")
        assert connection.write(b"").done()

    server.call(respond)
    answer = read(client)
    assert answer.body == b"one"
    assert answer.raw.count(b"HTTP/1.1") == 1


def test_end_of_a_plain_connection_before_its_head(make_server, new_loop, monkeypatch):
    """It waits for the head, which another thread is about to send."""
    monkeypatch.setattr(loop_owned, "CALL_TIMEOUT", 0.0)
    server, connection, client = park(make_server, new_loop)

    def respond() -> None:
        connection.finish()
        connection.write_headers(LINE, HTTPHeaders({"Content-Length": "3"}), b"one")

    server.call(respond)
    server.call(asyncio.sleep, 0)  # by then it would have been given up
    assert read(client).body == b"one"


def test_plain_connection_whose_head_never_comes(make_server, new_loop, monkeypatch):
    """After a while it is closed: its client would wait for ever."""
    monkeypatch.setattr(loop_owned, "CALL_TIMEOUT", 0.0)
    server, connection, client = park(make_server, new_loop)
    server.call(connection.finish)
    assert read(client).raw == b""


def test_head_that_only_informs(make_server, new_loop):
    """A head of a status below 200 is not the response's."""
    server, connection, client = park(make_server, new_loop)

    def respond() -> None:
        hint = ResponseStartLine("", 103, "Early Hints")
        connection.write_headers(hint, HTTPHeaders())
        connection.write_headers(LINE, HTTPHeaders({"Content-Length": "3"}), b"one")
        connection.finish()

    server.call(respond)
    raw = read(client).raw
    assert raw.startswith(b"HTTP/1.1 103 ")
    assert raw.count(b"HTTP/1.1") == 2
    assert raw.endswith(b"\r\n\r\none")


def test_write_that_was_lost(make_server, new_loop):
    """What was on its way when the response ended fails, and reaches nobody."""
    outcomes = []

    def body(handler: Any, portal: Portal) -> None:
        connection = handler.request.connection
        handler.set_header("Content-Length", "3")
        handler.write("one")
        handler.flush()
        portal.call(int)
        connection.writer.ended = True
        futures = [
            connection.writer._post_write(
                connection, connection.writer.connection.write, b"late"
            )
        ]
        portal.call(int)
        outcomes.extend(type(future.exception()) for future in futures)
        writer = connection.writer
        with pytest.raises(AbandonedError):
            writer._answered(connection, writer.connection.write, b"late")
        connection.writer.ended = False

    assert ask(make_server, new_loop, body).body == b"one"
    assert outcomes == [StreamClosedError]


def test_end_from_a_loop_of_the_worker(make_server, new_loop):
    """A body's own loop may end a response of which nothing is known."""

    def body(handler: Any, portal: Portal) -> None:
        handler.write("one")

        async def end() -> None:
            handler.request.connection.writer.predictable = False
            handler.finish("two")

        asyncio.run(end())

    assert ask(make_server, new_loop, body).body == b"onetwo"


def test_end_of_which_nothing_is_known(make_server, new_loop):
    """The connection is asked; then it has ended."""

    def body(handler: Any, portal: Portal) -> None:
        handler.write("one")
        handler.flush()
        writer = handler.request.connection.writer
        writer.predictable = False
        handler.finish()
        assert writer.ended

    answer = ask(make_server, new_loop, body)
    assert answer.body == b"3\r\none\r\n0\r\n\r\n"


def test_end_that_comes_too_late(make_server, new_loop):
    """The end of a stay that was revoked ends nothing."""

    def body(handler: Any, portal: Portal) -> None:
        writer = handler.request.connection.writer
        portal.call(writer._perform_finish, SimpleNamespace(revoked="taken"), None)
        assert not writer.ended
        handler.write("whole")

    assert ask(make_server, new_loop, body).body == b"whole"
