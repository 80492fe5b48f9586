"""Processes on one port: who may meet, who is found, and who is not waited for."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import tempfile

import pytest

from tornado_unblock.status import group
from tornado_unblock.status.group import AbsentError, join, private_folder

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="Processes meet on Unix sockets"
)


@pytest.fixture
def folder():
    """Return a folder with a short name: those of Unix sockets are limited."""
    with tempfile.TemporaryDirectory(prefix="see", dir="/tmp") as name:
        yield name


@pytest.fixture
def joined(folder):
    """Join, and leave when the test is over."""
    groups = []

    def start(port=0, address="127.0.0.1", directory=folder):
        groups.append(join(port, address, directory))
        return groups[-1]

    yield start
    for one in groups:
        one.leave()
        one.listening.close()


async def echo(word):
    return f"told {word}".encode()


def own(folder):
    return f"{folder}/tornado-unblock-{os.geteuid()}"


# -- the folder ----------------------------------------------------------------------


def test_the_folder_is_this_users_alone(folder):
    """It is made for this user, whatever the umask, and used again."""
    before = os.umask(0)
    try:
        assert private_folder(folder) == private_folder(folder) == own(folder)
    finally:
        os.umask(before)
    found = os.stat(own(folder))
    assert stat.S_IMODE(found.st_mode) == 0o700
    assert found.st_uid == os.geteuid()


def planted(folder, kind, monkeypatch):
    path = own(folder)
    if kind == "link":
        os.mkdir(f"{folder}/elsewhere", 0o700)
        os.symlink(f"{folder}/elsewhere", path)
    elif kind == "file":
        open(path, "w").close()
    elif kind == "open to others":
        os.mkdir(path)
        os.chmod(path, 0o750)
    elif kind == "open around it":
        os.chmod(folder, 0o777)
    elif kind == "of another user":
        os.mkdir(path, 0o700)
        me = os.geteuid()
        os.rename(path, f"{folder}/tornado-unblock-{me + 1}")
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)


KINDS = ["link", "file", "open to others", "open around it", "of another user"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_planted_is_not_used(folder, monkeypatch, kind):
    """A folder that somebody else may have made or can enter is refused."""
    planted(folder, kind, monkeypatch)
    with pytest.raises(OSError, match="no folder that only this user can use"):
        private_folder(folder)
    with pytest.raises(OSError, match="no folder that only this user can use"):
        join(0, "127.0.0.1", folder)


@pytest.mark.expect_log("tornado.application", "is of this process alone: .*only this")
def test_without_a_folder_the_page_is_of_one(folder, monkeypatch, joined):
    """Where the default folder is somebody's, the page is served all the same."""
    planted(folder, "open to others", monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    alone = joined(directory=None)
    assert alone.folder is None
    assert alone.members() == []
    alone.serve(echo)


def test_a_system_without_unix_sockets(monkeypatch, joined):
    """Such as Windows: it is no news there."""
    monkeypatch.setattr(group, "_SUPPORTED", False)
    assert joined(directory=None).folder is None


def test_no_such_directory(folder):
    """One that was asked for has to be there."""
    with pytest.raises(OSError, match="No such file"):
        join(0, "127.0.0.1", f"{folder}/none")


@pytest.mark.expect_log("tornado.application", "of this process alone: .*path too long")
def test_a_path_that_is_too_long(folder, monkeypatch, joined):
    """The system limits the names of Unix sockets."""
    deep = f"{folder}/{'x' * 100}"
    os.mkdir(deep)
    monkeypatch.setattr(tempfile, "tempdir", deep)
    assert joined(directory=None).folder is None


def test_nothing_is_left_when_listening_fails(folder, monkeypatch):
    """Whatever happens, the port is free again."""

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(group.Group, "listen", interrupt)
    with pytest.raises(KeyboardInterrupt):
        join(0, "127.0.0.1", folder)


# -- the port ------------------------------------------------------------------------


def run(*groups, then):
    """Serve ``groups`` on a loop in a thread while ``then`` runs here."""

    async def serve():
        for one in groups:
            one.serve(echo)
        return await asyncio.get_running_loop().run_in_executor(None, then)

    return asyncio.run(serve())


@pytest.mark.allow_threads("asyncio_")
def test_who_comes_later_is_given_the_socket(joined):
    """It is one socket: the second has it when the first is gone."""
    first = joined()
    second = run(first, then=lambda: joined(first.port))
    assert second.listening.getsockname() == first.listening.getsockname()
    assert not second.listening.get_inheritable()
    assert [m.process for m in second.members()] == [os.getpid()] * 2
    first.listening.close()
    with socket.create_connection(("127.0.0.1", first.port), 20):
        second.listening.setblocking(True)
        second.listening.accept()[0].close()


def test_a_port_of_somebody_else(joined):
    """It is in use, as ever, and the error says where was looked."""
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        with pytest.raises(OSError, match=r"in use, and not by a status page") as error:
            joined(port)
    assert error.value.errno == errno.EADDRINUSE


def test_a_port_that_cannot_be_had(joined):
    """Any other error is the system's own."""
    with pytest.raises(OSError, match=r"assign|available"):
        joined(0, "192.0.2.1")


@pytest.mark.allow_threads("asyncio_")
def test_another_address(joined):
    """A socket that listens elsewhere is not what was asked for."""
    first = joined()

    def then():
        with socket.create_server(("127.0.0.2", first.port)):
            with pytest.raises(OSError, match="in use"):
                joined(first.port, "127.0.0.2")

    run(first, then=then)


def test_the_gone_and_the_mute_are_passed_over(joined, folder, monkeypatch):
    """Files of who is gone are removed; who does not answer is not waited for."""
    monkeypatch.setattr(group, "PATIENCE", 0.05)
    mute = joined()  # nobody serves it
    stale = f"{own(folder)}/{mute.port}-1-00"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(stale)
    strange = f"{own(folder)}/{mute.port}-x"
    open(strange, "w").close()
    with pytest.raises(OSError, match="in use"):
        join(mute.port, "127.0.0.1", folder)
    assert not os.path.exists(stale)
    assert os.path.exists(strange)


def test_what_the_killed_have_left_is_removed(joined, folder):
    """Of any port: those of a port that was free are never asked for again."""
    first = joined()
    stale = f"{own(folder)}/7-1-00"
    full = f"{own(folder)}/8-1-00"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(stale)
    with socket.socket(socket.AF_UNIX) as stopped, socket.socket(socket.AF_UNIX) as one:
        stopped.bind(full)
        stopped.listen(0)
        one.connect(full)
        joined()
        assert os.path.exists(full)
    assert not os.path.exists(stale)
    assert len(first.members()) == 1


def test_a_line_that_is_full(joined, folder, monkeypatch):
    """Who is stopped takes no more questions: it is passed over, and said so."""
    full = f"{own(folder)}/7-1-00"
    joined()
    with socket.socket(socket.AF_UNIX) as stopped, socket.socket(socket.AF_UNIX) as one:
        stopped.bind(full)
        stopped.listen(0)
        one.connect(full)
        with socket.socket(socket.AF_UNIX) as two:
            assert not group._ask_for_socket(two, full)


def test_another_user_is_not_talked_to(joined, monkeypatch):
    """Neither to ask, nor to answer, should one get in."""
    first = joined()
    monkeypatch.setattr(group, "_is_of_this_user", lambda connection: False)
    (member,) = first.members()
    with socket.socket(socket.AF_UNIX) as asking:
        assert not group._ask_for_socket(asking, member.path)

    async def ask():
        first.serve(echo)
        with pytest.raises(PermissionError):
            await first.ask(member, "word")
        # Of the two ends who answers has a name.
        monkeypatch.setattr(
            group, "_is_of_this_user", lambda end: not end.getsockname()
        )
        with pytest.raises(ConnectionResetError):
            await first.ask(member, "word")

    asyncio.run(ask())


def test_who_leaves_closes_what_it_has_not_answered(joined):
    """What was asked at the last moment is not left open."""
    first = joined()

    async def ask():
        first.serve(echo)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(first.members()[0].path)
            accepted, _ = first._own.accept()
            first._accept(accepted, echo)
            first._stop_accepting()
            for task in list(first._answering):
                task.cancel()
            first.leave()
            assert accepted.fileno() == -1
            first._own = None

    asyncio.run(ask())


def test_root_may_ask_and_others_may_not(joined, monkeypatch):
    """Who is at the other end is the system's word."""
    a, b = socket.socketpair()
    with a, b:
        assert group._is_of_this_user(a)
        me = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
        assert group._is_of_this_user(a) == (me == 0)


def test_one_at_a_time(joined, folder, monkeypatch, run_program):
    """Another process that is joining, without end, is not waited for without end."""
    monkeypatch.setattr(group, "PATIENCE", 0.05)
    folder = private_folder(folder)
    program = f"""
        import sys
        sys.path.insert(0, {os.getcwd()!r})
        from tornado_unblock.status import group
        group.PATIENCE = 0.05
        try:
            with group._locked({folder!r}, 7):
                print("locked")
        except TimeoutError as error:
            print(error.strerror)
        """
    with group._locked(folder, 7):
        said = run_program(program)
    assert said == "another process is about to serve port 7, without end\n"
    assert run_program(program) == "locked\n"


# -- asking --------------------------------------------------------------------------


def test_asking(joined):
    """A word is answered; who leaves is gone."""
    first = joined()

    async def ask():
        first.serve(echo)
        (member,) = first.members()
        assert group.current_group() is first
        assert await first.ask(member, "word") == b"told word"
        first.leave()
        assert group.current_group() is not first
        with pytest.raises(AbsentError):
            await first.ask(member, "word")
        assert first.members() == []
        first._own = None

    asyncio.run(ask())


def test_no_answer(joined, monkeypatch):
    """One that says nothing has not answered; one that takes long has not, either."""
    first = joined()

    async def nothing(word):
        return b""

    async def never(word):
        await asyncio.Event().wait()

    async def ask(tell, error):
        first.serve(tell)
        (member,) = first.members()
        with pytest.raises(error):
            await first.ask(member, "word")
        first._stop_accepting()
        for task in list(first._answering):
            task.cancel()
        await asyncio.sleep(0)

    asyncio.run(ask(nothing, ConnectionResetError))
    monkeypatch.setattr(group, "ANSWER", 0.05)
    asyncio.run(ask(never, TimeoutError))


def test_is_stopped(tmp_path):
    """The system tells of this process that it runs, and of none that is not there."""
    assert not group.is_stopped(os.getpid())
    assert not group.is_stopped(999999999)
