"""Several processes on one port: who is there, and how one asks another.

All of them listen on one socket; who comes later is given it by who was there before.
So whichever process lives answers, and none has to take over. Each also listens on a
Unix socket, in a folder that only this user can enter; there one asks another.

# Threads: any calls `join` and `Group.leave`; the rest is for the thread of the loop
# that serves the page.
# Guarantees:
# - the folder is this user's, and nobody else can enter it; where the system tells who
#   is at the other end, that is asked too;
# - a process that is gone refuses, and its file is removed; a name is never used again,
#   so what is removed is nobody else's;
# - nobody is waited for without a limit: not at the start, and not to be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import selectors
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Iterator
from typing import Callable, NamedTuple, Optional

from tornado.log import app_log
from tornado.netutil import add_accept_handler

from tornado_unblock._loop.fork import Step, at_fork

if sys.platform != "win32":
    import fcntl

# Seconds that one process waits for another: to join it, and to have its answer.
PATIENCE = 5.0
ANSWER = 3.0
_POLL = 0.01
_LEAVING = 0.1
_LONGEST_WORD = 64
# Whether processes can find one another here.
_SUPPORTED = sys.platform != "win32"

Tell = Callable[[str], Awaitable[bytes]]
"""Answers a word that another process has asked."""

# Those in which this process is. Any thread, one step at a time.
_joined: list[Group] = []
# Of the processes of this user one joins at a time, by a file; of the threads of this
# process, by this.
_joining = threading.Lock()


class AbsentError(Exception):
    """The process that was asked is gone."""


class Member(NamedTuple):
    """A process that serves, or has."""

    process: int
    path: str


class Group:
    """This process's place among those that serve one port.

    Attributes:
        port: The port.
        listening: Where browsers connect; shared by all.
        folder: Where the others are; None where this process is alone.
    """

    def __init__(self, listening: socket.socket, folder: Optional[str]) -> None:
        self.port: int = listening.getsockname()[1]
        self.listening = listening
        self.folder = folder
        self._own: Optional[socket.socket] = None
        self._path = ""
        self._answering: dict[asyncio.Task[None], socket.socket] = {}
        self._stop_accepting: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """Be found by the others from now on.

        Raises:
            OSError: The system refuses.
        """
        assert self.folder is not None
        name = f"{self.port}-{os.getpid()}-{secrets.token_hex(8)}"
        path, hidden = (os.path.join(self.folder, p + name) for p in ("", "."))
        own = socket.socket(socket.AF_UNIX)
        try:
            own.bind(hidden)
            own.listen(128)
            own.setblocking(False)
            # Not seen before it listens: who refuses is taken for gone.
            os.rename(hidden, path)
        except BaseException:
            own.close()
            raise
        self._own, self._path = own, path
        _joined.append(self)

    def serve(self, tell: Tell) -> None:
        """Answer the others; on the loop thread."""
        if self._own is not None:
            self._stop_accepting = add_accept_handler(
                self._own, lambda asking, _: self._accept(asking, tell)
            )

    def leave(self) -> None:
        """Be found no more."""
        self._stop_accepting()
        for task, asking in list(self._answering.items()):
            task.cancel()
            asking.close()  # it may not have begun
        if self._own is not None:
            _joined.remove(self)
            _remove(self._path)
            self._own.close()

    def leave_to_parent(self) -> None:
        """In a forked child: close the child's copies, so that the parent can go."""
        for asking in self._answering.values():
            asking.close()
        if self._own is not None:
            self._own.close()

    def members(self) -> list[Member]:
        """Return who serves the port, this process too; some may be gone."""
        return [] if self.folder is None else _members(self.folder, self.port)

    async def ask(self, member: Member, word: str) -> bytes:
        """Return what another process answers.

        Raises:
            AbsentError: It is gone.
            OSError: It has not answered in time, or not to the end.
        """
        try:
            return await asyncio.wait_for(_ask(member.path, word), ANSWER)
        except (ConnectionRefusedError, FileNotFoundError):
            _remove(member.path)
            raise AbsentError from None
        except asyncio.TimeoutError:
            raise TimeoutError from None

    def _accept(self, asking: socket.socket, tell: Tell) -> None:
        task = asyncio.ensure_future(self._answer(asking, tell))
        self._answering[task] = asking
        task.add_done_callback(self._answering.pop)

    async def _answer(self, asking: socket.socket, tell: Tell) -> None:
        loop = asyncio.get_running_loop()
        with asking, contextlib.suppress(OSError, asyncio.TimeoutError):
            asking.setblocking(False)
            if not _is_of_this_user(asking):
                return
            heard = loop.sock_recv(asking, _LONGEST_WORD)
            word = (await asyncio.wait_for(heard, PATIENCE)).decode("ascii", "replace")
            if word == "socket\n":
                socket.send_fds(asking, [b"+"], [self.listening.fileno()])
                return
            answer = await tell(word.strip())
            await asyncio.wait_for(loop.sock_sendall(asking, answer), PATIENCE)


def current_group() -> Optional[Group]:
    """Return where this process is one of several that serve a port; any thread."""
    return _joined[-1] if _joined else None


def join(port: int, address: str, directory: Optional[str] = None) -> Group:
    """Listen on a port, together with the processes of this user that do already.

    Args:
        port: Which; 0 takes one that is free.
        address: Where on it.
        directory: Where the processes meet; the system's folder for temporary files
            by default.

    Raises:
        OSError: The port is not to be had, or ``directory`` is not.
    """
    try:
        folder = private_folder(directory)
        with _joining, _locked(folder, port):
            _sweep(folder)
            group = Group(_bind_or_share(port, address, folder), folder)
            try:
                group.listen()
            except BaseException as error:
                group.listening.close()
                if isinstance(error, OSError):
                    raise _CannotMeetError(error.errno, str(error), folder) from None
                raise
            return group
    except _CannotMeetError as error:
        if directory is not None:
            raise
        group = Group(bind(port, address), None)
        if _SUPPORTED:
            app_log.warning(
                "The status page on port %d is of this process alone: %s",
                *(group.port, error),
            )
        return group


class _CannotMeetError(OSError):
    """There is no folder in which processes could meet."""


def private_folder(directory: Optional[str]) -> str:
    """Return a folder that only this user can enter; made if it is not there.

    Raises:
        OSError: There is none, or it is somebody else's.
    """
    if not _SUPPORTED:
        raise _CannotMeetError(errno.ENOTSUP, "this system has no Unix sockets")
    base = tempfile.gettempdir() if directory is None else os.fspath(directory)
    path = os.path.join(base, f"tornado-unblock-{os.geteuid()}")
    try:
        around = os.stat(base)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        found = os.lstat(path)  # not what a link leads to
    except OSError as error:
        raise _CannotMeetError(error.errno, error.strerror, path) from None
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.geteuid()
        or found.st_mode & 0o077
        or (around.st_mode & stat.S_IWOTH and not around.st_mode & stat.S_ISVTX)
    ):
        raise _CannotMeetError(
            errno.EPERM, "this is no folder that only this user can use", path
        )
    return path


@contextlib.contextmanager
def _locked(folder: str, port: int) -> Iterator[None]:
    """Keep out the other processes; not for ever, should one be stopped in here."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    lock = os.open(os.path.join(folder, f"{port}.lock"), flags, 0o600)
    try:
        end = time.monotonic() + PATIENCE
        while not _try_lock(lock):
            if time.monotonic() > end:
                raise TimeoutError(
                    errno.ETIMEDOUT,
                    f"another process is about to serve port {port}, without end",
                    folder,
                )
            time.sleep(_POLL)
        yield
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        # Of the process: no child of a fork at this moment has it.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def bind(port: int, address: str) -> socket.socket:
    """Listen on a port.

    Raises:
        OSError: It is taken, or not to be had.
    """
    # Not Tornado's `bind_sockets`, which leaves a socket behind when it fails.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=128)
    listening.setblocking(False)
    return listening


def _bind_or_share(port: int, address: str, folder: str) -> socket.socket:
    found = _try_to_share(port, address, folder)
    if found is None:
        # Whoever has it may be on its way out, and cannot be found any more.
        time.sleep(_LEAVING)
        found = _try_to_share(port, address, folder)
    if found is None:
        raise OSError(
            errno.EADDRINUSE,
            f"Port {port} is in use, and not by a status page of this user that can "
            f"be found in {folder}",
        )
    return found


def _try_to_share(port: int, address: str, folder: str) -> Optional[socket.socket]:
    try:
        return bind(port, address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return _share(port, address, folder)


def _share(port: int, address: str, folder: str) -> Optional[socket.socket]:
    """Return the socket on which others listen, from the first that gives it."""
    end = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as asked:
        for member in _members(folder, port):
            asking = stack.enter_context(socket.socket(socket.AF_UNIX))
            if _ask_for_socket(asking, member.path):
                asked.register(asking, selectors.EVENT_READ)
        while asked.get_map() and time.monotonic() < end:
            for key, _ in asked.select(end - time.monotonic()):
                asked.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                given = _given_socket(key.fileobj, port, address)
                if given is not None:
                    return given
    return None


def _ask_for_socket(asking: socket.socket, path: str) -> bool:
    asking.setblocking(False)
    try:
        asking.connect(path)
        if not _is_of_this_user(asking):
            return False
        asking.sendall(b"socket\n")
    except (ConnectionRefusedError, FileNotFoundError):
        _remove(path)
        return False
    except OSError:  # too many ask already: it is stopped
        return False
    return True


def _given_socket(
    asking: socket.socket, port: int, address: str
) -> Optional[socket.socket]:
    try:
        _, given, _, _ = socket.recv_fds(asking, 1, 1)
    except OSError:
        given = []
    for one in given:
        os.set_inheritable(one, False)
        listening = socket.socket(fileno=one)
        with contextlib.suppress(OSError):
            wanted = {found[4][:2] for found in socket.getaddrinfo(address, port)}
            if listening.getsockname()[:2] in wanted:
                return listening
        listening.close()
    return None


def _members(folder: str, port: Optional[int]) -> list[Member]:
    """Return who is there on a port, or on any."""
    found = []
    for name in sorted(os.listdir(folder)):
        start, _, rest = name.partition("-")
        process = rest.partition("-")[0]
        wanted = start.isdecimal() if port is None else start == str(port)
        if wanted and process.isdecimal():
            found.append(Member(int(process), os.path.join(folder, name)))
    return found


def _sweep(folder: str) -> None:
    """Remove the files of processes that were killed, whatever port they served."""
    for member in _members(folder, None):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.setblocking(False)
            try:
                asking.connect(member.path)
            except ConnectionRefusedError:
                _remove(member.path)
            except OSError:
                pass  # it is stopped, or has just gone


async def _ask(path: str, word: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        if not _is_of_this_user(writer.get_extra_info("socket")):
            raise PermissionError(errno.EPERM, "another user answers")
        writer.write(f"{word}\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError(errno.ECONNRESET, "it has not answered")
    return answer


def _is_of_this_user(connection: socket.socket) -> bool:
    """Whether this user, or root, is at the other end; True where nobody tells."""
    asked = getattr(socket, "SO_PEERCRED", None)
    if asked is None:  # pragma: no cover - not on Linux: the folder has to do
        return True
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, asked, size)
    )
    return user in (os.geteuid(), 0)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def is_stopped(process: int) -> bool:
    """Whether a process is stopped by a signal; False where nothing tells."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def _after_fork() -> None:
    global _joining
    _joining = threading.Lock()
    for group in _joined:
        group.leave_to_parent()
    _joined.clear()


at_fork(Step.STATUS, _after_fork)
