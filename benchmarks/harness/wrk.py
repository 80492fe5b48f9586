"""Load by wrk: so many connections, each asking again as soon as it is answered."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import DemoError, SetupError

SCRIPT = Path(__file__).with_name("wrk.lua")
PATIENCE = 90  # seconds until an answer counts as missing
ADVICE = (
    "wrk is not installed; it makes the load. Debian and Ubuntu: apt-get install wrk; "
    "macOS: brew install wrk; else https://github.com/wg/wrk."
)
KINDS = {
    "connect": "connections refused",
    "read": "read errors",
    "write": "write errors",
    "status": "answers other than 2xx",
    "timeout": "timeouts",
}


@dataclass(frozen=True)
class Outcome:
    """What came of the requests.

    Attributes:
        rate: Answers per second.
        requests: How many answers came.
        mean: Seconds that one took.
        p50: Seconds that half of them did not exceed.
        p99: Seconds that 99 of 100 did not exceed.
        problem: What failed; "" if nothing did.
    """

    rate: float
    requests: int
    mean: float
    p50: float
    p99: float
    problem: str = ""


def require() -> None:
    """See that wrk is there.

    Raises:
        SetupError: It is not.
    """
    if not shutil.which("wrk"):
        raise SetupError(ADVICE)


def version() -> str:
    """Return the version of wrk."""
    shown = subprocess.run(
        ["wrk", "--version"], stdout=subprocess.PIPE, text=True, check=False
    )
    return shown.stdout.split("\n")[0].split("[")[0].replace("wrk", "").strip()


def command(url: str, connections: int, seconds: float, cycles: bool) -> list[str]:
    """Return the command.

    wrk knows whole seconds only, but ends in order at a SIGINT.
    """
    limit = ["timeout", "--preserve-status", "--signal", "INT", str(seconds)]
    size = ["--threads", "1", "--connections", str(connections)]
    until = ["--duration", f"{math.ceil(seconds) + 5}s", "--timeout", f"{PATIENCE}s"]
    words = [*limit, "wrk", *size, *until, "--script", str(SCRIPT), url]
    return [*words, "--", "cycles", str(connections)] if cycles else words


def load(url: str, connections: int, seconds: float, cycles: bool = False) -> Outcome:
    """Keep `connections` busy for so many seconds.

    Args:
        url: What to ask for.
        connections: How many ask at once.
        seconds: For how long.
        cycles: Whether the answers come in bursts; see `wrk.lua`.

    Raises:
        DemoError: wrk failed.
    """
    ended = subprocess.run(
        command(url, connections, seconds, cycles),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + PATIENCE,
    )
    outcome = parse(ended.stdout.splitlines(), connections if cycles else 0)
    if outcome is None:
        raise DemoError(f"wrk printed no result. {ended.stderr.strip()}")
    return outcome


def parse(lines: Iterable[str], bursts: int = 0) -> Outcome | None:
    """Read the result from what wrk printed; None if there is none.

    Args:
        lines: What it printed.
        bursts: With "cycles", how many answers make one.
    """
    for line in lines:
        if line.startswith("{"):
            return _outcome(json.loads(line), bursts)
    return None


def _outcome(found: dict[str, Any], bursts: int) -> Outcome:
    requests, seconds = found["requests"], found["seconds"]
    problems = [f"{n} {KINDS[kind]}" for kind, n in found["errors"].items() if n]
    counted = requests
    if not requests:
        problems.append("no answer")
    elif found["answers"] >= 2 * bursts > 0:  # else there is no cycle to count
        counted, seconds = found["answers"] - bursts, found["cycles_seconds"]
    problem = f"of {requests} requests: {', '.join(problems)}" if problems else ""
    mean, p50, p99 = (found[name] for name in ("mean", "p50", "p99"))
    return Outcome(counted / seconds, requests, mean, p50, p99, problem)
