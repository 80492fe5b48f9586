"""`serve`: the status page on a thread and a loop of its own.

# Threads: any calls `serve` and `Server.stop`; the page is served on the server's own.
# Guarantees:
# - it answers while the application's loop is stalled: it never waits for that;
# - when `serve` returns, the page can be asked for;
# - in a forked child the page is the parent's: the child holds none of its sockets.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import weakref
from collections.abc import Collection
from typing import Optional

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.routing import Router
from tornado.web import Application, RequestHandler

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._stalls.watching import Watch, current_watch
from tornado_unblock._stalls.watching import watch as begin_watch
from tornado_unblock.status.snapshot import THREAD
from tornado_unblock.status.web import Authorize, Missing, Page, check_hosts, routes

_PATIENCE = 5.0

_servers: weakref.WeakSet[Server] = weakref.WeakSet()
# In a forked child: those of its parents. Their loops are never to be closed, which
# would take what they watch away from the parent.
_of_parents: list[Server] = []


class Server:
    """A status page that is served; what `serve` returns.

    Attributes:
        port: On which it listens.
    """

    def __init__(
        self, listening: socket.socket, page: Page, watch: Optional[Watch]
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._page = page
        self._watch = watch
        # Set by the server's thread before `_ready`.
        self._io_loop: IOLoop
        self._end: asyncio.Event
        self._http: HTTPServer
        self._ready = threading.Event()
        self._thread: Optional[threading.Thread] = start_thread(self._run, THREAD)
        _servers.add(self)
        self._ready.wait()

    def stop(self) -> None:
        """Serve no more, and wait until the thread has ended; any other thread.

        A watch that was begun for the page ends. A second call does nothing.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._io_loop.add_callback(self._end.set)
        thread.join(_PATIENCE)
        self._page.jobs.join()
        if self._watch is not None:
            self._watch.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._thread is None else f"port={self.port}"
        return f"<status.Server {state}>"

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._io_loop, self._end = IOLoop.current(), asyncio.Event()
        app = Application(
            routes("", self._page),
            default_handler_class=Missing,
            default_handler_args={"page": self._page},
            log_function=_log,
        )
        self._http = HTTPServer(app)
        self._http.add_sockets([self._listening])
        self._page.begin()
        self._ready.set()
        await self._end.wait()
        self._http.stop()
        await self._http.close_all_connections()

    def leave_to_parent(self) -> None:
        """In a forked child: close the child's copies of its sockets."""
        self._thread = None
        self._listening.close()
        for connection in list(getattr(self._http, "_connections", ())):
            connection.stream.socket.close()


def serve(
    port: int = 8889,
    *,
    address: str = "127.0.0.1",
    authorize: Optional[Authorize] = None,
    hosts: Collection[str] = (),
    app: Optional[Router] = None,
    watch: bool = True,
) -> Server:
    """Serve this process's status page until it ends, or `Server.stop`; any thread.

    Call it after a fork, in each child with a port of its own.

    Args:
        port: Where; 0 takes one that is free; the server's ``port`` says which.
        address: Who can reach it; by default only this machine.
        authorize: Says who may see it, as for `handlers`; there must be one where
            others than this machine can reach it.
        hosts: Names by which it may be asked for. Those of addresses and ``localhost``
            always may; other names are refused, for they may be anybody's.
        app: The application whose routes to report.
        watch: Whether to watch for stalls, with the defaults of
            `tornado_unblock.watch`, if nobody does yet. Call that before, if you want
            other values.

    Raises:
        ConfigurationError: An argument makes no sense.
        OSError: The port is taken, or not to be had.
    """
    check_hosts(hosts)
    if authorize is not None and not callable(authorize):
        raise ConfigurationError(f"authorize must be a function, not {authorize!r}")
    listening = _bind(port, address)
    try:
        if authorize is None and not _is_local(listening):
            raise ConfigurationError(
                f"status.serve(address={address!r}) can be reached from other "
                "machines: say with authorize= who may see the page, or leave "
                "address out"
            )
        page = Page(authorize, hosts, any_host=False, app=app or Application())
        own = begin_watch() if watch and current_watch() is None else None
        return Server(listening, page, own)
    except BaseException:
        listening.close()
        raise


def _bind(port: int, address: str) -> socket.socket:
    # Not Tornado's `bind_sockets`, which leaves a socket behind when it fails.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=128)
    listening.setblocking(False)
    return listening


def _is_local(bound: socket.socket) -> bool:
    address = str(bound.getsockname()[0]).partition("%")[0]
    return ipaddress.ip_address(address).is_loopback


def _log(handler: RequestHandler) -> None:
    """Log no requests but those that failed, and nothing of what they asked for."""
    if handler.get_status() >= 500 and handler.get_status() != 503:
        app_log.error("The status page answered %d", handler.get_status())


def stop_servers() -> None:
    """Stop every page that `serve` serves."""
    for server in list(_servers):
        server.stop()


def _after_fork() -> None:
    for server in list(_servers):
        _of_parents.append(server)
        server.leave_to_parent()
    _servers.clear()


at_fork(Step.STATUS, _after_fork)
