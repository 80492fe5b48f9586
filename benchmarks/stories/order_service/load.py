"""The load on a stage: by wrk where it is installed, else by `client`.

Both ask for the same orders in the same order over the same number of
connections, and both end in one line of JSON.
"""

# wrk fills in latencies that it believes it missed while waiting for one that took
# more than twice the mean. A steady queue has nearly none of those, so that its mean
# and p99 can be read beside the client's.

from __future__ import annotations

import importlib.metadata
import itertools
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.harness import wrk
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.figures import Load
from benchmarks.stories.order_service import schema
from benchmarks.stories.order_service.settings import Settings

SCRIPT = Path(__file__).with_name("load.lua")
ORDER_PATH = "/api/v1/order/detail"
CLIENT = (sys.executable, "-m", "benchmarks.harness.client")


def choose(wanted: str) -> str:
    """Return "wrk" or "aiohttp"; `wanted` may also be "auto".

    Raises:
        SetupError: wrk is wanted and not there.
    """
    if wanted == "auto":
        return "wrk" if shutil.which("wrk") else "aiohttp"
    if wanted == "wrk" and not shutil.which("wrk"):
        raise SetupError("wrk is not installed; --load aiohttp does without.")
    return wanted


def version(tool: str) -> str:
    """Return the version of what makes the requests."""
    if tool == "aiohttp":
        return importlib.metadata.version(tool)
    return wrk.version()


def load_command(settings: Settings, service: str) -> list[str]:
    """Return the command that loads the service at the URL `service`."""
    url = service + ORDER_PATH
    orders = [str(schema.FIRST_ORDER), str(schema.ORDERS), str(schema.POPULAR)]
    connections, seconds = str(settings.connections), str(settings.seconds)
    if settings.load == "aiohttp":
        size = ["--connections", connections, "--seconds", seconds]
        of = itertools.chain(*zip(("--first", "--count", "--popular"), orders))
        return [*CLIENT, "load", url, *size, *of]
    size = ["--threads", "1", "--connections", connections, "--duration", f"{seconds}s"]
    # A timeout would drop the very latencies this is about: wrk's own is 2 seconds.
    patience = ["--timeout", f"{settings.seconds + 60}s"]
    return ["wrk", *size, *patience, "--script", str(SCRIPT), url, "--", *orders]


def ping_command(service: str) -> list[str]:
    """Return the command that pings the service at the URL `service`."""
    return [*CLIENT, "ping", f"{service}/ping"]


def parse_load(lines: Iterable[str]) -> Load:
    """Read the result from what either tool printed.

    Raises:
        DemoError: There is none.
    """
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            return Load(**json.loads(line))
        except (ValueError, TypeError):
            break
    raise DemoError("The load generator printed no result.")


def parse_pings(lines: Iterable[str]) -> tuple[tuple[float, ...], int]:
    """Return the latencies that `client ping` printed, and how many pings failed."""
    lines = list(lines)
    latencies = tuple(float(line) for line in lines if line != "failed")
    return latencies, len(lines) - len(latencies)
