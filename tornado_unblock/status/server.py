"""`serve`: the status page on a thread and a loop of its own.

# Threads: any calls `serve` and `Server.stop`; the page is served on the server's own.
# Guarantees:
# - it answers while the application's loop is stalled: it never waits for that;
# - when `serve` returns, the page can be asked for;
# - in a forked child the page is the parent's, and the child holds none of its sockets;
#   once it runs a loop it serves a page of its own on the same port.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import threading
import weakref
from collections.abc import Collection
from typing import Callable, NamedTuple, Optional, Union

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.routing import Router
from tornado.web import Application, RequestHandler

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members
from tornado_unblock._stalls.watching import Watch, current_watch
from tornado_unblock._stalls.watching import watch as begin_watch
from tornado_unblock.status.children import FirstLoop
from tornado_unblock.status.group import Group, join
from tornado_unblock.status.snapshot import THREAD
from tornado_unblock.status.web import Authorize, Missing, Page, check_hosts, routes

_PATIENCE = 5.0

_servers: weakref.WeakSet[Server] = weakref.WeakSet()
# In a forked child: those of its parents. Their loops are never to be closed, which
# would take what they watch away from the parent.
_of_parents: list[_Serving] = []


class _Place(NamedTuple):
    """Where a page is, and what it is made of; the same in each process."""

    port: int
    address: str
    directory: Optional[str]
    authorize: Optional[Authorize]
    hosts: Collection[str]
    app: Router

    def join(self) -> Group:
        """Listen there.

        Raises:
            OSError: The port is not to be had.
        """
        return join(self.port, self.address, self.directory)

    def page(self, group: Group) -> Page:
        """Return this process's page."""
        return Page(
            self.authorize, self.hosts, any_host=False, app=self.app, group=group
        )


class Server:
    """A status page that is served; what `serve` returns.

    Attributes:
        port: On which it listens.
    """

    def __init__(self, place: _Place, group: Group, watch: Optional[Watch]) -> None:
        self.port: int = group.port
        self._place = place._replace(port=group.port)
        self._watch = watch
        self._stopped = False
        self._first_loop = FirstLoop(self._begin_in_child)
        # None in a forked child that has run no loop.
        self._serving: Optional[_Serving] = _Serving(self._place, lambda: group)
        _servers.add(self)
        self._serving.ready.wait()

    def stop(self) -> None:
        """Serve no more, and wait until the thread has ended; any other thread.

        A watch that was begun for the page ends. A second call does nothing. Other
        processes on the port go on.
        """
        self._stopped = True
        self._first_loop.forget()
        serving, self._serving = self._serving, None
        watch, self._watch = self._watch, None
        if serving is not None:
            serving.stop()
        if watch is not None:
            watch.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else f"port={self.port}"
        return f"<status.Server {state}>"

    def make_room(self, port: int, address: str) -> bool:
        """Whether another can serve there; one that is about to does not any more."""
        if self._stopped or (self.port, self._place.address) != (port, address):
            return True
        if self._serving is not None:
            return False
        self.stop()
        return True

    def after_fork(self) -> None:
        """In a forked child: leave the page to the parent; have one with a loop."""
        serving, self._serving = self._serving, None
        if serving is not None:
            _of_parents.append(serving)
            serving.leave_to_parent()
        if not self._stopped:
            self._first_loop.await_it()

    def _begin_in_child(self) -> None:
        self._serving = _Serving(self._place, self._place.join)


class _Serving:
    """The thread that serves the page in one process.

    Attributes:
        ready: Whether the page can be asked for, or could not be served.
    """

    def __init__(self, place: _Place, group: Callable[[], Group]) -> None:
        self.ready = threading.Event()
        self._place = place
        self._join = group
        # Set by the thread before `ready`.
        self._group: Optional[Group] = None
        self._page: Page
        self._io_loop: IOLoop
        self._end: asyncio.Event
        self._http: HTTPServer
        self._thread = start_thread(self._run, THREAD)

    def stop(self) -> None:
        """Serve no more, and wait until the thread has ended."""
        self.ready.wait(_PATIENCE)
        if self._group is not None:
            self._io_loop.add_callback(self._end.set)
            self._thread.join(_PATIENCE)
            self._page.jobs.join()

    def leave_to_parent(self) -> None:
        """In a forked child: close the child's copies of its sockets."""
        if self._group is not None:
            self._group.listening.close()
            for connection in list(getattr(self._http, "_connections", ())):
                connection.stream.socket.close()

    def _run(self) -> None:
        try:
            group = self._join()  # in a child this may wait: not on its loop
        except OSError as error:
            app_log.error("No status page is served in this process: %s", error)
            self.ready.set()
        else:
            asyncio.run(self._serve(group))

    async def _serve(self, group: Group) -> None:
        self._io_loop, self._end = IOLoop.current(), asyncio.Event()
        self._page = page = self._place.page(group)
        app = Application(
            routes("", page),
            default_handler_class=Missing,
            default_handler_args={"page": page},
            log_function=_log,
        )
        # The next request is for whoever answers then: this process may be stopped.
        self._http = HTTPServer(app, no_keep_alive=True)
        self._http.add_sockets([group.listening])
        group.serve(page.tell)
        page.begin()
        self._group = group
        self.ready.set()
        await self._end.wait()
        self._http.stop()  # first: who is found has the port
        group.leave()
        await self._http.close_all_connections()


def serve(
    port: int = 8889,
    *,
    address: str = "127.0.0.1",
    authorize: Optional[Authorize] = None,
    hosts: Collection[str] = (),
    app: Optional[Router] = None,
    watch: bool = True,
    directory: Union[str, os.PathLike[str], None] = None,
) -> Server:
    """Serve this process's status page until it ends, or `Server.stop`; any thread.

    Processes of one user that serve the same port show one page of all. Call it in
    each of them; or once before a fork: each child serves as it runs a loop.

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
        directory: Where the processes meet, in a folder that only this user can enter;
            the system's folder for temporary files by default. Say it where each
            process has one of its own, and the same in all.

    Raises:
        ConfigurationError: An argument makes no sense.
        OSError: The port is taken, by this process too, or not to be had; or
            ``directory`` is not.
    """
    check_hosts(hosts)
    if authorize is not None and not callable(authorize):
        raise ConfigurationError(f"authorize must be a function, not {authorize!r}")
    place = _Place(
        *(port, address, None if directory is None else os.fspath(directory)),
        *(authorize, hosts, app or Application()),
    )
    if not all(server.make_room(port, address) for server in members(_servers)):
        raise OSError(
            errno.EADDRINUSE,
            f"Port {port} is in use: this process serves its status page there already",
        )
    group = place.join()
    try:
        if authorize is None and not _is_local(group.listening):
            raise ConfigurationError(
                f"status.serve(address={address!r}) can be reached from other "
                "machines: say with authorize= who may see the page, or leave "
                "address out"
            )
        own = begin_watch() if watch and current_watch() is None else None
        return Server(place, group, own)
    except BaseException:
        group.leave()
        group.listening.close()
        raise


def _is_local(bound: socket.socket) -> bool:
    address = str(bound.getsockname()[0]).partition("%")[0]
    return ipaddress.ip_address(address).is_loopback


def _log(handler: RequestHandler) -> None:
    """Log no requests but those that failed, and nothing of what they asked for."""
    if handler.get_status() >= 500 and handler.get_status() not in (503, 504):
        app_log.error("The status page answered %d", handler.get_status())


def stop_servers() -> None:
    """Stop every page that `serve` serves."""
    for server in members(_servers):
        server.stop()


def _after_fork() -> None:
    for server in members(_servers):
        server.after_fork()


at_fork(Step.STATUS, _after_fork)
