"""What stands in for a connection while bodies run looks like it, on both sides."""

from __future__ import annotations

import threading
from typing import Any

from tornado.web import RequestHandler

from tornado_unblock import unblock
from tornado_unblock._connection.request_connection import RequestConnection


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
