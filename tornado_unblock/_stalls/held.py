"""Seeing into C code that holds the interpreter, by way of `faulthandler`.

While such code runs, no thread of Python looks at anything. `faulthandler` has a timer
in C: it is put off again and again, and fires only when nobody can put it off.

# Threads: the watcher's.
# Guarantees: there is one such timer in a process; `close` takes it back.
"""

from __future__ import annotations

import faulthandler
import re
import tempfile

from tornado_unblock._stalls.frames import Step

Steps = tuple[Step, ...]
Dumps = dict[int, Steps]
"""The frames of each thread, outermost first, by the thread's number."""

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)")
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')


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
        faulthandler.cancel_dump_traceback_later()
        dumps: Dumps = {}
        if self._file.seek(0, 2):
            self._file.seek(0)
            dumps = parse(self._file.read().decode(errors="replace"))
            self._file.seek(0)
            self._file.truncate()
        faulthandler.dump_traceback_later(self._seconds, file=self._file)
        return dumps

    def close(self) -> None:
        """Take the timer back."""
        faulthandler.cancel_dump_traceback_later()
        self._file.close()


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
