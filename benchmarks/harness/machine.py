"""What the numbers were measured on."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path


def description() -> dict[str, str]:
    """Return cores, memory, system and processor, as far as the system tells."""
    return {
        "Processor": processor(),
        "Cores": cores(),
        "Memory": memory(),
        "System": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model, else its architecture."""
    with contextlib.suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() in ("model name", "cpu model", "hardware"):
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def cores() -> str:
    """Return how many cores there are, and how many this process may use."""
    there = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        ours = len(os.sched_getaffinity(0))
        if ours != there:
            return f"{ours} of {there}"
    return str(there)


def memory() -> str:
    """Return the size of the memory."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        return "unknown"
    return f"{size / 2**30:.1f} GiB"
