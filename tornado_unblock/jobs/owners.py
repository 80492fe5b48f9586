"""Who a worker's process is, and whether it still lives.

A process id alone comes back for another process; with the time at which it started,
and the boot of the machine, it does not.

# Threads: any; nothing is kept.
# Guarantees:
# - a process that lives on this machine is never called dead;
# - one that is gone, or a zombie, is called dead at once where its machine and its
#   process table can be seen from here, and is unknown elsewhere.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Optional

_PROC = Path("/proc")


def own_name() -> str:
    """Return the name of this process, as no other has ever had it."""
    pid = os.getpid()
    return ":".join((_boot(), _namespace(), str(pid), _started(pid) or "-"))


def is_alive(owner: str) -> Optional[bool]:
    """Whether the process of that name lives; None where it cannot be told."""
    boot, namespace, pid, started = owner.split(":")
    if (boot, namespace) != (_boot(), _namespace()):
        return None
    if started != "-":
        return _started(int(pid)) == started
    return _answers(int(pid))


def is_of_another_boot(owner: str) -> bool:
    """Whether the process is of another machine, or of this one before its restart."""
    return owner.split(":")[0] != _boot()


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node().replace(":", "_")


def _namespace() -> str:
    # A container has process ids of its own.
    try:
        return os.readlink(_PROC / "self/ns/pid").partition("[")[2].rstrip("]")
    except OSError:
        return "-"


def _started(pid: int) -> Optional[str]:
    """Return when the process started, in ticks since the boot; None if it is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the name, and may contain anything.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _answers(pid: int) -> Optional[bool]:
    if os.name != "posix":  # pragma: no cover - only Windows, where this would kill it
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
