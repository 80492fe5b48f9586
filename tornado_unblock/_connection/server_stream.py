"""The stream of a server's connection, taken from a request whose body was abandoned.

One stream serves all requests of a connection. Who looked it up on the loop thread has
the stream itself, and may have handed it to the body: what that writes when its request
has been answered would become part of the next response. So the stream is taken from
all who have it, and Tornado's connections go on with an object that stands for it.

# Threads: `take_stream` is called on the loop thread, `check_stream` on any.
# Guarantees: once a stream was taken, nothing is written to it or read from it but by
# the connection, and by who has looked it up there since. Other threads cannot even
# close it.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional

from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection

from tornado_unblock._errors import AbandonedError
from tornado_unblock._loop.lease import running_loop

TAKEN = "_tornado_unblock_taken"
"""The attribute of a stream that says why it was taken; None on the class."""

_CHECKED = (
    *("write", "read_until_regex", "read_until", "read_bytes", "read_into"),
    "read_until_close",
)
# Which Tornado's own stream also calls itself, on the loop thread.
_OWN = ("close", "set_close_callback", "set_nodelay")


class _Through(threading.local):
    """The stream that a `_Successor` of this thread just calls."""

    stream: Optional[object] = None


_through = _Through()


class _Successor:
    """A taken stream, for those that come after."""

    __slots__ = ("__weakref__", "_unblock_stream", "_unblock_taken")

    _unblock_stream: Any
    # Why it is dead, too; set on the loop thread.
    _unblock_taken: Optional[str]

    def __init__(self, stream: Any) -> None:
        object.__setattr__(self, "_unblock_stream", stream)
        object.__setattr__(self, "_unblock_taken", None)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._unblock_stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unblock_stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._unblock_stream, name, value)


def _calls_through(name: str) -> Callable[..., Any]:
    def method(self: _Successor, *args: Any, **kwargs: Any) -> Any:
        if self._unblock_taken is not None:
            raise AbandonedError(self._unblock_taken)
        before, _through.stream = _through.stream, self._unblock_stream
        try:
            return getattr(self._unblock_stream, name)(*args, **kwargs)
        finally:
            _through.stream = before

    method.__name__ = name
    return method


for _name in (*_CHECKED, *_OWN):
    setattr(_Successor, _name, _calls_through(_name))


def check_stream(stream: Any, name: str) -> None:
    """Raise where a taken stream is called by who has had it.

    Raises:
        AbandonedError: So it is.
    """
    if _through.stream is stream:
        return
    if name in _CHECKED or running_loop() is not stream.io_loop.asyncio_loop:
        raise AbandonedError(str(getattr(stream, TAKEN)))


def take_stream(connection: Any, server: Any, why: str) -> None:
    """Take the stream of ``connection`` from all who have it; loop thread.

    Args:
        connection: Of the request. It goes on with a successor, until its response
            has ended.
        server: Tornado's connection, of which ``connection`` is one request. All that
            follow have the successor.
        why: What the others are told.
    """
    if not (
        issubclass(type(connection), HTTP1Connection)
        and issubclass(type(server), HTTP1ServerConnection)
        and connection.stream is not None
    ):
        return
    stream = connection.stream
    if type(stream) is _Successor:
        object.__setattr__(stream, "_unblock_taken", why)
        stream = stream._unblock_stream
    setattr(stream, TAKEN, why)
    connection.stream = server.stream = _Successor(stream)


def leave_stream(connection: HTTP1Connection) -> None:
    """Note that the response of ``connection`` has ended: no more of its own comes."""
    stream: Any = connection.stream
    # A request that is still being read ends its connection.
    if type(stream) is not _Successor or not connection._read_finished:
        return
    head = connection._response_start_line
    if head is None or head.code != 101:  # else the handler takes it next
        connection.stream = stream._unblock_stream
