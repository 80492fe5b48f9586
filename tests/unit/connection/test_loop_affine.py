"""What belongs to the loop thread, used from a worker."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from tornado.web import RequestHandler

from tornado_unblock import AbandonedError, run_in_executor, unblock
from tornado_unblock._connection.loop_affine import LoopAffine, LoopAffineStream
from tornado_unblock._loop.portal import current_portal


def test_stream_of_a_detached_connection(make_server):
    """A body may take the socket over; its stream is safe to use from there."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            stream = self.detach()
            stream.write(b"raw bytes")
            stream.close()

    assert make_server(("/", Handler)).get("/").raw == b"raw bytes"


class Thing:
    """Belongs to the loop thread; says where it was used."""

    size = 3

    def where(self, *, fail: bool = False) -> str:
        if fail:
            raise LookupError("no")
        return threading.current_thread().name


def test_methods_run_on_the_loop_thread(make_server):
    """From a worker too, where their result is waited for and their errors raised."""
    server = make_server()

    def body(thing: Any) -> Any:
        assert isinstance(thing, Thing)
        with pytest.raises(LookupError, match="no"):
            thing.where(fail=True)
        with pytest.raises(AttributeError):
            _ = thing.nothing
        return thing.where(), thing.size

    async def main() -> Any:
        thing = LoopAffine(Thing(), current_portal(), int)
        return thing.where(), await run_in_executor(body, thing)

    assert server.call(main) == ("loop", ("loop", 3))


def test_right_that_is_lost(make_server):
    """What may not be used any more is refused, before and while a call is carried."""
    server = make_server()
    answers: list[Optional[str]] = []

    def check() -> None:
        why = answers.pop(0)
        if why is not None:
            raise AbandonedError(why)

    def body(thing: Any) -> str:
        thing.where()
        with pytest.raises(AbandonedError) as refused:
            thing.where()
        return str(refused.value)

    async def main() -> Any:
        answers[:] = [None, None, "at once"]
        thing = LoopAffine(Thing(), current_portal(), check)
        first = await run_in_executor(body, thing)
        answers[:] = [None, None, None, "on its way"]
        return first, await run_in_executor(body, thing)

    assert server.call(main) == ("at once", "on its way")


def test_look_at_a_stream(make_server):
    """Whether it is closed is a look, which waits for nothing."""
    seen: list[Any] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            stream: Any = self.request.connection.stream  # type: ignore[union-attr]
            assert isinstance(stream, LoopAffineStream)
            seen.append((stream.closed(), stream.socket.getpeername()[0]))

    assert make_server(("/", Handler)).get("/").status == 200
    assert seen == [(False, "127.0.0.1")]


def test_socket_of_a_stream_on_the_loop_thread(make_server):
    """There it is the socket itself."""

    async def main() -> bool:
        stream = SimpleNamespace(socket=object())
        safe = LoopAffineStream(stream, current_portal(), int)
        return safe.socket is stream.socket

    assert make_server().call(main)
