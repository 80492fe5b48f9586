"""Attaching to a process that runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import tornado

from tests.patience import WAIT
from tests.unit.conftest import Server
from tests.unit.stalls.conftest import Block, Reports
from tests.unit.stalls.test_watching import serve
from tornado_unblock.__main__ import main as command
from tornado_unblock._stalls import attach
from tornado_unblock._stalls.attach import instead, main
from tornado_unblock._stalls.watching import current_watch


def here(pid: int, script: str) -> None:
    """Run the script in this very process, as the other one would."""
    exec(compile(Path(script).read_text(), script, "exec"), {"__name__": "__main__"})


def test_shows_stalls(
    make_server: Callable[..., Server],
    reports: Reports,
    block: Block,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """It begins a watch there, shows what that reports, and ends it."""
    server = serve(make_server, block.wait)
    clients = []

    def remote(pid: int, script: str) -> None:
        here(pid, script)
        if not clients:
            clients.append(server.send("/orders/1"))
            reports.next()
            block.release()
            reports.ended()

    written = tmp_path / "stalls.json"
    arguments = [str(os.getpid()), "--threshold=0.05", "--seconds=0"]
    code = main([*arguments, f"--write={written}"], remote)
    clients[0].recv(65536)
    output = capsys.readouterr().out
    assert code == 0
    assert output.startswith(f"Watching process {os.getpid()}; Ctrl-C ends it.\n")
    assert "Orders.get (GET /orders/1" in output
    assert current_watch() is None
    assert "Orders.get" in written.read_text()


def test_a_watch_that_is_kept_goes_on(
    watch: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that is watched already is watched on as it was."""
    kept = watch(5.0)
    assert main([str(os.getpid()), "--seconds=0"], here) == 0
    assert current_watch() is kept


def test_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends what was begun; a second one does not wait for that."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(attach.time, "sleep", interrupt)
    assert main([str(os.getpid())], here) == 0
    for thread in threading.enumerate():
        if thread.name == "unblock-attached":
            thread.join(WAIT)
    assert current_watch() is None


def test_older_pythons(capsys: pytest.CaptureFixture[str]) -> None:
    """They cannot attach, and are told what to do instead."""
    assert main(["77"], None) == 2
    said = capsys.readouterr().err
    assert said == f"watch: {instead(77)}\n"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for part in ("3.14", version, "tornado_unblock.watch(", "py-spy dump --pid 77"):
        assert part in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProcessLookupError(), "there is no process 77"),
        (PermissionError("no"), "may not attach to process 77 (no): be its user"),
        (RuntimeError("other version"), "cannot be attached to: other version"),
        (OSError("no memory"), "cannot be attached to: no memory"),
    ],
)
def test_it_cannot_be_done(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says why."""

    def remote(pid: int, script: str) -> None:
        raise error

    assert main(["77"], remote) == 2
    assert said in capsys.readouterr().err


def test_bad_values(capsys: pytest.CaptureFixture[str]) -> None:
    """A threshold of nothing, and a name for a process, make no sense."""
    assert main(["77", "--threshold=0"], here) == 2
    assert "--threshold is a number of seconds, more than 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["nginx"], here)
    assert "invalid int value" in capsys.readouterr().err


def test_the_other_side_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes wrong over there is said here."""

    def remote(pid: int, script: str) -> None:
        path = Path(script)
        path.write_text(path.read_text().replace("import tornado_unblock", "1 / 0"))
        here(pid, script)

    assert main([str(os.getpid())], remote) == 2
    assert "cannot be watched: ZeroDivisionError" in capsys.readouterr().err


def test_the_other_side_does_not_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is told why, and may give up: then it will begin nothing."""
    scripts: list[Path] = []

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(attach, "PATIENCE", 0.0)
    monkeypatch.setattr(attach.time, "sleep", interrupt)
    remote = lambda pid, script: scripts.append(Path(script))  # noqa: E731
    assert main([str(os.getpid())], remote) == 0
    assert "has not begun yet: its main thread waits" in capsys.readouterr().err
    here(0, str(scripts[0]))
    assert current_watch() is None
    shutil.rmtree(scripts[0].parent)


def test_the_other_side_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    """A process that ends before it has begun is no mystery."""
    gone = os.fork()
    if gone == 0:  # pragma: no cover - the child
        os._exit(0)
    os.waitpid(gone, 0)
    assert main([str(gone)], lambda pid, script: None) == 2
    assert f"process {gone} has ended" in capsys.readouterr().err


def test_the_other_side_does_not_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is not waited for without end."""
    monkeypatch.setattr(attach, "PATIENCE", 0.1)
    attach._until_ended(os.getpid(), tmp_path / "log")


def test_nobody_waits_for_the_end(tmp_path: Path) -> None:
    """Whoever attached may be gone, and the folder with it."""
    folder = tmp_path / "attached"
    folder.mkdir()
    (folder / "log").touch()
    attach.begin(5.0, None, str(folder / "log"))
    (thread,) = [t for t in threading.enumerate() if t.name == "unblock-attached"]
    shutil.rmtree(folder)
    thread.join(WAIT)
    assert current_watch() is None


def test_the_other_side_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """When the process has ended, so does this."""
    child = threading.Event()

    def remote(pid: int, script: str) -> None:
        if child.is_set():
            raise ProcessLookupError
        child.set()
        text = Path(script).read_text()
        answer = text.rpartition("os.replace(")[2].partition(", ")[2].rstrip(")\n")
        Path(eval(answer)).write_text("ok")

    gone = os.fork()
    if gone == 0:  # pragma: no cover - the child
        os._exit(0)
    os.waitpid(gone, 0)
    assert main([str(gone)], remote) == 0
    assert f"Watching process {gone}" in capsys.readouterr().out


def test_another_users_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root lets the process have the files."""
    given = []
    monkeypatch.setattr(attach.os, "getuid", lambda: -5)
    monkeypatch.setattr(attach.os, "chown", lambda path, *ids: given.append(path))
    (tmp_path / "log").touch()
    attach._give(tmp_path, os.getpid())
    assert given == [tmp_path, tmp_path / "log"]


def test_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of somebody else is there, though it may not be told anything."""

    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(attach.os, "kill", kill)
    assert attach._alive(1)


def test_the_other_side_takes_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer need not be there at once."""
    later: list[str] = []

    def sleep(seconds: float) -> None:
        if later:
            exec(compile(later.pop(0), "script", "exec"), {"__name__": "__main__"})

    monkeypatch.setattr(attach.time, "sleep", sleep)
    remote = lambda pid, script: later.append(Path(script).read_text())  # noqa: E731
    assert main([str(os.getpid()), "--seconds=0"], remote) == 0
    assert later == []
    assert current_watch() is None


def test_what_is_logged_meanwhile_is_shown(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Line by line, as it comes."""
    log = tmp_path / "log"
    log.write_text("first\n")

    def sleep(seconds: float) -> None:
        if "first" in capsys.readouterr().out:
            log.write_text("first\nsecond\n")
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(attach.time, "sleep", sleep)
    with log.open() as file:
        attach._show(os.getpid(), file, None)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tornado_unblock watch` is this."""
    assert command(["watch", "77", "--threshold=0"]) == 2
    assert "--threshold is a number of seconds" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        command(["watch", "--help"])
    assert ended.value.code == 0
    assert "python -m tornado_unblock watch" in capsys.readouterr().out


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it can attach there")
def test_the_command_on_older_pythons(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to do instead."""
    assert command(["watch", "77"]) == 2
    assert "attaching to a process needs Python 3.14" in capsys.readouterr().err


def python_that_attaches() -> Optional[str]:
    """Return a Python with `sys.remote_exec`, if there is one."""
    if sys.version_info >= (3, 14):
        return sys.executable
    folder = os.environ.get("TORNADO_UNBLOCK_PYTHONS", "/opt/debian-pythons")
    return shutil.which("python3.14", path=f"{folder}/usr/bin:{os.environ['PATH']}")


_SERVER = """
import asyncio, sys
from tornado.web import Application, RequestHandler
from tornado_unblock._stalls.watching import current_watch

class Slow(RequestHandler):
    def get(self):
        sys.stdin.readline()

class Watched(RequestHandler):
    def get(self):
        self.write(str(current_watch()))

async def main():
    application = Application([("/slow", Slow), ("/watched", Watched)])
    server = application.listen(0, "127.0.0.1")
    (socket,) = server._sockets.values()
    print(socket.getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(not python_that_attaches(), reason="there is no Python 3.14")
def test_a_real_process() -> None:
    """A server that does nothing at all is attached to, and left as it was."""
    python = str(python_that_attaches())
    root = Path(attach.__file__).parents[2]
    packages = Path(tornado.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{packages}"}
    streams: Any = {"stdout": subprocess.PIPE, "env": environment, "text": True}
    with subprocess.Popen(
        [python, "-c", _SERVER], stdin=subprocess.PIPE, **streams
    ) as server:
        try:
            assert server.stdout
            assert server.stdin
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            command = [python, "-m", "tornado_unblock", "watch", str(server.pid)]
            with subprocess.Popen(
                [*command, "--threshold=0.05"], stderr=subprocess.PIPE, **streams
            ) as attached:
                assert attached.stdout
                assert attached.stderr
                assert "waits for a request" in attached.stderr.readline()
                with urllib.request.urlopen(f"{url}/watched", timeout=WAIT):
                    assert "Watching process" in attached.stdout.readline()
                asking = threading.Thread(
                    target=urllib.request.urlopen, args=(f"{url}/slow",)
                )
                asking.start()
                # A busy machine may have stalled the loop before.
                assert any("Slow.get (GET /slow" in line for line in attached.stdout)
                server.stdin.write("\n")
                server.stdin.flush()
                asking.join(WAIT)
                attached.send_signal(signal.SIGINT)
                attached.stdout.read()
                assert attached.wait(WAIT) == 0, attached.stderr.read()
            with urllib.request.urlopen(f"{url}/watched", timeout=WAIT) as answer:
                assert answer.read() == b"None"
        finally:
            server.kill()
