"""Draining a server when its process is told to end.

# Threads: the main thread, on which Python handles signals and the loop runs.
# Guarantees:
# - the first signal drains, a second one ends the process at once, also when
#   the loop thread is stuck, if only Python could handle the first;
# - a request that was begun, or whose head was read when the signal came, is answered,
#   or abandoned at the deadline; what comes after it is not executed;
# - a connection without one is closed at once;
# - the handlers of the signals are put back.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Awaitable, Iterable, Iterator
from typing import Callable, Optional, Union

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.ioloop import IOLoop
from tornado.log import app_log

from tornado_unblock._errors import LoopThreadError
from tornado_unblock._executors.registry import kill_processes
from tornado_unblock._shutdown.drain import (
    DEADLINE,
    Abandoned,
    begin_drain,
    check_deadline,
    shutdown,
)

SIGNALS = (signal.SIGTERM, signal.SIGINT)

# What the responses of abandoned requests may take, and the closing of connections, in
# seconds: both only hand bytes to the system.
_ANSWERING = 1.0
_CLOSING = 1.0


async def serve_until_signal(
    *servers: HTTPServer,
    deadline: Optional[float] = DEADLINE,
    signals: Iterable[int] = SIGNALS,
) -> list[Abandoned]:
    """Let ``servers`` serve until a signal comes, then drain them; main thread only.

        async def main():
            server = HTTPServer(app)
            server.listen(8888)
            await serve_until_signal(server, deadline=20)

        asyncio.run(main())

    On the first signal the servers stop listening, idle connections are closed,
    requests under way are answered, then `shutdown` ends the rest. A second
    signal ends the process at once.

    Args:
        *servers: They listen already, or will.
        deadline: Seconds that requests under way may take; None for ever.
        signals: The signals; SIGTERM and SIGINT (Ctrl-C) by default.

    Returns:
        What was abandoned; see `shutdown`.

    Raises:
        LoopThreadError: This is not the main thread, which gets all signals.
        ConfigurationError: ``deadline`` is no number of seconds.
    """
    signalled = asyncio.Event()
    requests = _Requests(servers)
    with _handled(asyncio.get_running_loop(), signalled.set, deadline, signals):
        await signalled.wait()
        return await _drain(requests, deadline)


def stop_on_signal(
    *servers: HTTPServer,
    deadline: Optional[float] = DEADLINE,
    signals: Iterable[int] = SIGNALS,
) -> None:
    """Stop the current `IOLoop` on a signal, once ``servers`` are drained.

    For programs that end with ``IOLoop.current().start()``: call it before that,
    on the main thread. `serve_until_signal` says what happens, and what the
    arguments mean.

    Raises:
        LoopThreadError: This is not the main thread, which gets all signals.
        ConfigurationError: ``deadline`` is no number of seconds.
    """
    io_loop = IOLoop.current()
    requests = _Requests(servers)
    stack = contextlib.ExitStack()

    async def end() -> None:
        stack.callback(io_loop.stop)
        with stack:
            await _drain(requests, deadline)

    stack.enter_context(
        _handled(
            io_loop.asyncio_loop,  # type: ignore[attr-defined]
            lambda: io_loop.spawn_callback(end),
            deadline,
            signals,
        )
    )


@contextlib.contextmanager
def _handled(
    loop: asyncio.AbstractEventLoop,
    act: Callable[[], object],
    deadline: Optional[float],
    signals: Iterable[int],
) -> Iterator[None]:
    """Have the first of ``signals`` call ``act`` on the loop, the next one kill."""
    check_deadline(deadline)
    if threading.current_thread() is not threading.main_thread():
        raise LoopThreadError("signals come to the main thread: call this there")
    signals = tuple(signals)

    def handle(number: int, frame: object) -> None:
        for each in signals:
            # The system's default: it needs no working event loop.
            signal.signal(each, signal.SIG_DFL)
        try:
            loop.call_soon_threadsafe(act)
        except RuntimeError:  # pragma: no cover - in a child that its signal ends
            # The loop is closed.
            signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        with contextlib.suppress(NotImplementedError):
            # For its wake-up: a signal may come just before the loop waits.
            loop.add_signal_handler(number, _nothing)
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _nothing() -> None:
    pass


async def _drain(requests: _Requests, deadline: Optional[float]) -> list[Abandoned]:
    started_at = time.monotonic()
    app_log.info("Shutting down: no new requests")
    begin_drain()
    requests.stop_listening()
    await requests.wait(deadline)
    time_left = None
    if deadline is not None:  # pragma: no branch - None in a child, unmeasured
        time_left = max(0.0, deadline - (time.monotonic() - started_at))
    abandoned = await shutdown(time_left)
    await requests.wait(_ANSWERING)
    await requests.close()
    if abandoned:
        kill_processes()
    app_log.info("Shut down after %.3g s", time.monotonic() - started_at)
    return abandoned


class _Requests:
    """The connections of some servers, and whether a request is under way there."""

    def __init__(self, servers: Iterable[HTTPServer]) -> None:
        self._servers = tuple(servers)
        self._stopped = False
        self._idle: set[HTTP1ServerConnection] = set()
        self._busy: set[HTTP1ServerConnection] = set()
        self._none_left = asyncio.Event()
        for server in self._servers:
            self._watch(server)

    def stop_listening(self) -> None:
        """Take no more connections, and close those without a request."""
        self._stopped = True
        for server in self._servers:
            server.stop()
            server.conn_params.no_keep_alive = True
        for connection in list(self._idle):
            if connection.stream.reading():
                connection.stream.close()
            else:
                # What it waited for has come: Tornado begins it in one of its next
                # turns, whether or not there is a stream left for the answer.
                self._begin(connection)
        self._tell()

    async def wait(self, seconds: Optional[float]) -> None:
        """Wait until no request is under way, at most so many seconds."""
        try:
            await asyncio.wait_for(self._none_left.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def close(self) -> None:
        """Close what connections there are still."""
        if self._busy:
            app_log.warning("%d requests were cut off", len(self._busy))
        closing = [server.close_all_connections() for server in self._servers]
        # Not cancelled when it takes too long: Tornado would log an error.
        _, late = await asyncio.wait([asyncio.gather(*closing)], timeout=_CLOSING)
        if late:
            app_log.warning("Connections did not close within %g s", _CLOSING)

    def _watch(self, server: HTTPServer) -> None:
        start_request, on_close = server.start_request, server.on_close

        def starting(
            connection: HTTP1ServerConnection, request: HTTPConnection
        ) -> HTTPMessageDelegate:
            # Called for each request, before its first byte: the one before it
            # on this connection is answered.
            self._busy.discard(connection)
            self._idle.add(connection)
            if self._stopped:
                connection.stream.close()
                self._tell()
                # Closed or not, Tornado reads on what came together with the request
                # before: a delegate that does nothing.
                return HTTPMessageDelegate()
            delegate = start_request(connection, request)
            return _Watched(delegate, lambda: self._begin(connection))

        def closed(connection: HTTP1ServerConnection) -> None:
            self._busy.discard(connection)
            self._idle.discard(connection)
            on_close(connection)
            self._tell()

        server.start_request = starting  # type: ignore[assignment,method-assign]
        server.on_close = closed  # type: ignore[assignment,method-assign]

    def _begin(self, connection: HTTP1ServerConnection) -> None:
        self._idle.discard(connection)
        self._busy.add(connection)

    def _tell(self) -> None:
        if self._stopped and not self._busy:
            self._none_left.set()


class _Watched(HTTPMessageDelegate):
    """A delegate that says when its request begins."""

    def __init__(
        self, delegate: HTTPMessageDelegate, begin: Callable[[], object]
    ) -> None:
        self._delegate, self._begin = delegate, begin
        # Looked up once; what is called is the very method.
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.finish = delegate.finish  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self,
        start_line: Union[RequestStartLine, ResponseStartLine],
        headers: HTTPHeaders,
    ) -> Optional[Awaitable[None]]:
        """Implements `HTTPMessageDelegate.headers_received`."""
        self._begin()
        return self._delegate.headers_received(start_line, headers)
