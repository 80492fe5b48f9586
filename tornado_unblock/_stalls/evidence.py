"""A blocked thread, or one that was kept from running?

A thread that waits for the interpreter, or for a processor, looks like one that is
blocked: its turn is long. On a busy machine that is nobody's fault. What tells them
apart are the system's own counts of what a thread did: its time on a processor, in the
line for one, and how often it lay down to wait. One that waits for the interpreter
wakes every `sys.getswitchinterval()` to ask again; one in a blocking call does not.

# Threads: the watcher's.
# Guarantees:
# - a reading that the system does not give is taken as zero: then what cannot be told
#   is reported as a stall.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import NamedTuple, Optional

# Taken here: a test may have put others into `time`.
now, process_time = time.perf_counter, time.process_time

# So late a timer is in any case, in seconds.
_UNUSUAL = 0.01
# The watcher is on time if it is later by no more than this, in seconds; so often in a
# row it does not look why.
_PUNCTUAL, _UNREAD = 0.001, 20
_PROC = "/proc/self/task"


class Reading(NamedTuple):
    """What the system has counted so far.

    Attributes:
        at: When, by `time.perf_counter`.
        computed: Seconds that the loop's thread has had a processor; -1 if unknown.
        queued: Seconds that it has waited for one.
        waits: How often it got a processor after it had lain down to wait, or had been
            made to give it up; -1 if unknown.
        process: Seconds of all the process's threads on processors.
        stood: Seconds by which the watcher woke too late though it waited neither for
            the interpreter nor for a processor, added up: all of the process stood.
        kept: Seconds for which the watcher itself waited for the interpreter, and slept
            before that, added up.
    """

    at: float
    computed: float
    queued: float
    waits: int
    process: float
    stood: float
    kept: float = 0.0


class Verdict(NamedTuple):
    """Of a turn: how long it was the program's doing, and how it went.

    Attributes:
        active: Seconds for which the program is to answer.
        starved: Seconds in which the thread was kept from running.
        computing: Whether it used a processor for most of the active time.
    """

    active: float
    starved: float
    computing: bool


class ThreadCounts:
    """Reads the system's counts of one thread. Any thread, several at a time.

    The file is closed when nobody has it any more: whoever reads it may be another
    thread than the one that lets go of it.

    Args:
        thread: Its number in this process, as `threading.get_ident` has it.
        native: Its number in the system, or None where there is none.
    """

    def __init__(self, thread: int, native: Optional[int]) -> None:
        self.thread = thread
        self._clock = _clock_of(thread)
        # Time on a processor, in the line for one, and how often it got one.
        self._folder = f"{_PROC}/{native}"
        self._file = _open(f"{self._folder}/schedstat")

    def read(self, stood: float, kept: float = 0.0) -> Reading:
        """Return the counts as they are now, with what the watcher says of itself."""
        # First: another thread may take the interpreter while the file is read.
        at, process = now(), process_time()
        numbers = [int(number) for number in _read(self._file).split()]
        if any(numbers):
            computed, queued, waits = numbers[0] / 1e9, numbers[1] / 1e9, numbers[2]
        else:  # no Linux, or one that does not count
            computed, queued, waits = self._processor_time(), 0.0, -1
        return Reading(at, computed, queued, waits, process, stood, kept)

    def _processor_time(self) -> float:
        if self._clock is not None:
            with contextlib.suppress(OSError):  # the thread has ended
                return time.clock_gettime(self._clock)
        return -1.0

    def waits_for_processor(self) -> bool:
        """Whether it could run this moment, and so may be in the line for a processor.

        Such time is counted once it has got one.
        """
        try:
            with open(f"{self._folder}/stat", "rb") as file:
                return file.read(300).rpartition(b")")[2].split()[0] == b"R"
        except (OSError, IndexError):  # no Linux, or the thread has ended
            return False

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _clock_of(thread: int) -> Optional[int]:
    try:
        return time.pthread_getcpuclockid(thread)
    except (AttributeError, OSError):  # pragma: no cover - not on this system
        return None


def _open(path: str) -> Optional[int]:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (AttributeError, OSError):  # no Linux, or the thread has ended
        return None


def _read(file: Optional[int]) -> bytes:
    if file is None:
        return b""
    try:
        return os.pread(file, 100, 0)
    except OSError:  # the thread has ended
        return b""


class OwnCounts:
    """Tells how long the calling thread, the watcher, was late through no fault of own.

    It sleeps for a given time. What it is late beyond what it waited for the
    interpreter and for a processor, it stood: the process was stopped, or the machine.
    """

    def __init__(self) -> None:
        self._counts = ThreadCounts(threading.get_ident(), threading.get_native_id())
        self._before = self._counts.read(0.0)
        self._sleeps_at = 0.0
        # Since the counts were read.
        self._sleeps = 0
        self.stood = self.kept = 0.0

    def begin(self) -> None:
        """Call before the sleep."""
        self._sleeps_at = now()

    def end(self, seconds: float) -> None:
        """Call after a sleep that was to take ``seconds``, unless it was cut short."""
        late = now() - self._sleeps_at - seconds
        self._sleeps += 1
        if late <= _PUNCTUAL and self._sleeps <= _UNREAD:
            return  # to read is to give up the interpreter once more
        before, after, sleeps = self._before, self._counts.read(0.0), self._sleeps
        self._before, self._sleeps = after, 0
        queued = after.queued - before.queued
        # Its first wait is the sleep itself.
        waits = max(0, after.waits - before.waits - sleeps)
        interval = sys.getswitchinterval()
        asked = waits * interval if before.waits >= 0 else late
        kept = max(0.0, min(asked, late - queued))
        # Who had the interpreter then has most likely had it during the sleep, too.
        self.kept += kept + seconds if kept >= interval else kept
        stood = late - queued - asked
        if stood >= _UNUSUAL:
            self.stood += stood


def judge(seconds: float, before: Reading, after: Reading) -> Verdict:
    """Say how long a turn was the program's own doing.

    Args:
        seconds: How long it took.
        before: What was read before it, or soon after it began.
        after: What was read at its end, or during it.
    """
    computed = after.computed - before.computed
    if before.computed < 0 or after.computed < 0:
        return Verdict(seconds, 0.0, False)
    computed = min(computed, seconds)
    idle = max(0.0, seconds - computed)
    queued = min(idle, max(0.0, after.queued - before.queued))
    kept = _kept_from_interpreter(computed, before, after)
    stood = max(0.0, after.stood - before.stood - (after.process - before.process))
    starved = queued + min(idle - queued, max(kept, stood))
    active = max(0.0, seconds - starved)
    return Verdict(active, starved, computed >= active / 2)


def _kept_from_interpreter(computed: float, before: Reading, after: Reading) -> float:
    """Return how long others kept the interpreter from the thread, at most."""
    if before.waits < 0 or after.waits < 0:
        return 0.0
    # Others have computed with it; or held it, and got no processor: then the watcher
    # has waited for it too.
    held = max(after.process - before.process, after.kept - before.kept)
    others = max(0.0, held - computed)
    return min(others, (after.waits - before.waits) * sys.getswitchinterval())
