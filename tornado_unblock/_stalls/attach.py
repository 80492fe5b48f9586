"""``python -m tornado_unblock watch PID``: watch a server that runs, without a restart.

Python 3.14 and later let one process have another run a script (`sys.remote_exec`).
The script starts the watch there, and has its reports written to a file as well, which
is shown here until Ctrl-C. When the file is gone, a thread over there ends what the
script began: the main thread of an idle server runs nothing before its next request.

# Threads: the main thread of the attaching process; in the other one, its main thread,
# wherever it is at that moment: the locks taken there are such as one thread may take
# twice; and one that waits for the end.
# Guarantees: what was running goes on; what this began there ends with this, or when
# this is killed and its folder removed.
"""

# ruff: noqa: T201 - it is a command

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional, TextIO

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock._stalls import watching
from tornado_unblock._stalls.reports import logger
from tornado_unblock._stalls.watcher import check_seconds

RemoteExec = Callable[[int, str], None]

_REMOTE_EXEC: Optional[RemoteExec] = getattr(sys, "remote_exec", None)

#: How long the other process may take before the user is told that it does, or for the
#: end, in seconds.
PATIENCE = 3.0
_POLL = 0.1

_BEGIN = """
import logging, os, traceback
try:
    import tornado_unblock
    from tornado_unblock._stalls import attach
    attach.begin({threshold!r}, {write!r}, {log!r})
    answer = "ok"
except BaseException as error:
    answer = "".join(traceback.format_exception_only(type(error), error)).strip()
with open({answer!r} + ".part", "w") as file:
    file.write(answer)
os.replace({answer!r} + ".part", {answer!r})
"""


class _AttachError(Exception):
    """What the user is told instead of a traceback."""


def main(
    arguments: Optional[Sequence[str]] = None,
    remote_exec: Optional[RemoteExec] = _REMOTE_EXEC,
) -> int:
    """Attach to a process, and show its stalls; return the exit code.

    Args:
        arguments: Those of the command; the process's own by default.
        remote_exec: How another process is told to run a script.
    """
    parser = argparse.ArgumentParser(
        "python -m tornado_unblock watch",
        description="Show what stalls the event loops of a server that runs.",
    )
    parser.add_argument("pid", type=int, help="the number of the server's process")
    parser.add_argument("--threshold", type=float, default=0.1, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, help="for how long; until Ctrl-C else")
    parser.add_argument("--write", metavar="FILE", help="keep what was found, as JSON")
    given = parser.parse_args(arguments)
    try:
        check_seconds("watch", "--threshold", given.threshold)
        if remote_exec is None:
            raise _AttachError(instead(given.pid))
        _attach(given, remote_exec)
    except (_AttachError, ConfigurationError) as error:
        print(f"watch: {error}", file=sys.stderr)
        return 2
    return 0


def instead(pid: int) -> str:
    """Return what to do where a process cannot be attached to."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"attaching to a process needs Python 3.14 or later on both sides, and this is "
        f"Python {version}. Add these lines to the server, and restart it:\n\n"
        "    import tornado_unblock\n"
        "    tornado_unblock.watch(threshold=0.1)\n\n"
        f"To see where process {pid} stands this moment, without a restart: "
        f"py-spy dump --pid {pid}"
    )


def _attach(given: Any, remote_exec: RemoteExec) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tornado_unblock_"))
    log, answer, script = folder / "log", folder / "answer", folder / "script.py"
    log.touch()
    values = {
        "threshold": given.threshold,
        "write": None if given.write is None else os.path.abspath(given.write),
        "log": str(log),
        "answer": str(answer),
    }
    script.write_text(_BEGIN.format(**values))
    try:
        _run(given.pid, script, remote_exec)
        _await(given.pid, answer)
    except KeyboardInterrupt:
        # It has yet to run the script: that must be there, and begin nothing.
        log.unlink()
        script.write_text("")
        return
    except _AttachError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        _watch(given, log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(given: Any, log: Path) -> None:
    print(f"Watching process {given.pid}; Ctrl-C ends it.", flush=True)
    with log.open() as file:
        try:
            _show(given.pid, file, given.seconds)
        finally:
            log.unlink()
            _until_ended(given.pid, log)
            print(file.read(), end="", flush=True)


def _run(pid: int, script: Path, remote_exec: RemoteExec) -> None:
    """Have the process run ``script``.

    Raises:
        _AttachError: It is not there, or may not be told.
    """
    _give(script.parent, pid)
    try:
        remote_exec(pid, str(script))
    except ProcessLookupError:
        raise _AttachError(f"there is no process {pid}") from None
    except PermissionError as error:
        raise _AttachError(
            f"this user may not attach to process {pid} ({error}): be its user or "
            "root, and see /proc/sys/kernel/yama/ptrace_scope"
        ) from None
    except (RuntimeError, OSError) as error:
        raise _AttachError(
            f"process {pid} cannot be attached to: {error}. Both sides must run the "
            "same version of Python, 3.14 or later, that allows it "
            "(PYTHON_DISABLE_REMOTE_DEBUG, -X disable_remote_debug)"
        ) from None


def _give(folder: Path, pid: int) -> None:
    """Let the process read and write what is in the folder: root attaches to others."""
    with contextlib.suppress(OSError, AttributeError):  # not root, or no such process
        owner = os.stat(f"/proc/{pid}").st_uid
        if owner != os.getuid():
            for path in (folder, *folder.iterdir()):
                os.chown(path, owner, -1)


def _await(pid: int, answer: Path) -> None:
    told_at = time.monotonic() + PATIENCE
    while not answer.exists():
        if not _alive(pid):
            raise _AttachError(f"process {pid} has ended")
        if time.monotonic() > told_at:
            told_at = math.inf
            print(
                f"Process {pid} has not begun yet: its main thread waits for a "
                "request, or is in a call that does not return. It begins when that "
                "goes on; Ctrl-C gives up.",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(_POLL)
    text = answer.read_text()
    if text != "ok":
        raise _AttachError(f"process {pid} cannot be watched: {text}")


def _show(pid: int, file: TextIO, seconds: Optional[float]) -> None:
    """Print what is added to the log, until Ctrl-C, or the process has ended."""
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < end and _alive(pid):
            text = file.read()
            if text:
                print(text, end="", flush=True)
            else:
                time.sleep(_POLL)


def _until_ended(pid: int, log: Path) -> None:
    """Wait until the other side has let go of the log, not for ever."""
    deadline = time.monotonic() + PATIENCE
    ended = _ended(log)
    with contextlib.suppress(KeyboardInterrupt):
        while not ended.exists() and _alive(pid) and time.monotonic() < deadline:
            time.sleep(_POLL)


def _ended(log: Path) -> Path:
    return log.with_name("ended")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


# -- in the other process --------------------------------------------------------------


def begin(threshold: float, write: Optional[str], log: str) -> None:
    """Report to ``log`` until it is removed; watch, unless that is done already.

    Raises:
        ConfigurationError: ``threshold`` makes no sense.
    """
    kept = watching.current_watch()
    begun = None if kept is not None else watching.watch(threshold, write=write)
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)

    def end() -> None:
        never = threading.Event()
        while os.path.exists(log):
            never.wait(_POLL)
        logger.removeHandler(handler)
        if begun is not None:
            begun.stop()
        handler.close()
        with contextlib.suppress(OSError):  # whoever attached is gone
            _ended(Path(log)).touch()

    start_thread(end, "unblock-attached")
