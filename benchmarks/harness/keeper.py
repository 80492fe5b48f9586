"""Run a command, and end it with whoever asked: `keeper COMMAND ...`.

It prints the command's process number. When its standard input ends, as it does when
the process that started it is gone, or at SIGTERM, it kills the whole process group:
servers that fork leave nobody behind.
"""

# Guarantee: it is started in a session of its own, so the group is what it started.

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run it until it ends."""
    if os.getpgrp() != os.getpid():
        sys.exit("keeper: start it in a session of its own; it ends the whole group")
    signal.signal(signal.SIGTERM, lambda number, frame: _end())
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    print(process.pid, flush=True)
    threading.Thread(target=_watch, daemon=True).start()
    sys.exit(process.wait())


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    _end()


def _end() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
