"""What a process has used: processor time, memory, threads; Linux only."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

PROC = Path("/proc")
_PRIVATE = re.compile(r"^Private_\w+:\s+(\d+) kB", re.MULTILINE)
IDLE = 0.05  # seconds in which it must use a tenth of a core at most
_PROPORTIONAL = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_THREADS = re.compile(r"^Threads:\s+(\d+)", re.MULTILINE)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process and its children so far.

    /proc/PID/stat counts in hundredths of a second; the process's own clock says the
    same in nanoseconds, ended threads included.
    """
    return sum(time.clock_gettime((~one << 3) | 2) for one in family(pid))


def family(pid: int) -> list[int]:
    """Return `pid` and the processes it has started, and they."""
    parents: dict[int, int] = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for one in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == one]
    return found


def memory(pid: int) -> int:
    """Return how many bytes a process and its children take.

    What several of them share counts once: a page of n processes is an n-th of each.
    """
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):  # it has just ended
            text = (PROC / str(one) / "smaps_rollup").read_text()
            total += sum(int(kilobytes) for kilobytes in _PROPORTIONAL.findall(text))
    return total * 1024


def wait_until_idle(pid: int, patience: float = 20.0) -> None:
    """Wait until a server has nothing left to do: clients that left do not stop it."""
    deadline = time.monotonic() + patience
    used = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(IDLE)
        before, used = used, cpu_seconds(pid)
        if used - before < IDLE / 10:
            return


def threads(pid: int) -> int:
    """Return how many threads a process has now."""
    found = _THREADS.search((PROC / str(pid) / "status").read_text())
    assert found
    return int(found[1])


def own_memory() -> int:
    """Return how many bytes this process alone uses."""
    text = (PROC / "self" / "smaps_rollup").read_text()
    return sum(int(kilobytes) for kilobytes in _PRIVATE.findall(text)) * 1024
