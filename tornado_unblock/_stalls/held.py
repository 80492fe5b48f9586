"""Seeing into C code that holds the interpreter, by way of `faulthandler`.

While such code runs, no thread of Python looks at anything. `faulthandler` has a timer
in C: it is put off again and again, and fires only when nobody can put it off.

# Threads: the watcher's; and the one that forks, under `_lock`.
# Guarantees:
# - there is one such timer in a process; `close` takes it back;
# - none runs over a fork: a child would wait for ever for the parent's to stop.
"""

from __future__ import annotations

import faulthandler
import re
import tempfile
import threading
from typing import Optional

from tornado_unblock._loop.fork import Step as ForkStep
from tornado_unblock._loop.fork import at_fork
from tornado_unblock._stalls.frames import Step

Steps = tuple[Step, ...]
Dumps = dict[int, Steps]
"""The frames of each thread, outermost first, by the thread's number."""

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)")
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')


_lock = threading.Lock()
# Guarded by _lock: the timer that runs.
_running: Optional[HeldDump] = None


class HeldDump:
    """A timer that writes down every thread's stack when the interpreter is held.

    Args:
        seconds: For so long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self.rearm()

    def rearm(self) -> Dumps:
        """Put the timer off, and return what it has written since the last time."""
        global _running
        with _lock:
            faulthandler.cancel_dump_traceback_later()
            written = self._written()
            _running = self
            self.start()
        return parse(written)

    def start(self) -> None:
        """Have it run; holds `_lock`."""
        faulthandler.dump_traceback_later(self._seconds, file=self._file)

    def _written(self) -> str:
        if not self._file.seek(0, 2):
            return ""
        self._file.seek(0)
        text = self._file.read().decode(errors="replace")
        self._file.seek(0)
        self._file.truncate()
        return text

    def close(self) -> None:
        """Take the timer back."""
        global _running
        with _lock:
            faulthandler.cancel_dump_traceback_later()
            _running = None
            self._file.close()

    def let_go(self) -> None:
        """Leave the file to the parent, in a forked child."""
        self._file.close()


def _before_fork() -> None:
    _lock.acquire()
    if _running is not None:
        faulthandler.cancel_dump_traceback_later()


def _after_fork() -> None:
    if _running is not None:
        _running.start()
    _lock.release()


def _in_child() -> None:
    global _lock, _running
    kept, _running, _lock = _running, None, threading.Lock()
    if kept is not None:
        kept.let_go()


at_fork(ForkStep.STALLS, _in_child, before=_before_fork, in_parent=_after_fork)


def parse(text: str) -> Dumps:
    """Return the stacks in what `faulthandler` has written."""
    dumps: dict[int, list[Step]] = {}
    steps: list[Step] = []
    for line in text.splitlines():
        thread, frame = _THREAD.match(line), _FRAME.match(line)
        if thread is not None:
            steps = dumps[int(thread[1], 16)] = []
        elif frame is not None:
            file, number, name = frame.groups()
            steps.append(Step(file, int(number), name.rpartition(".")[2], name))
    return {thread: tuple(found[::-1]) for thread, found in dumps.items()}
