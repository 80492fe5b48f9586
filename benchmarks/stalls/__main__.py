"""What was done, and what was named: `python -m benchmarks.stalls [--tool NAME]`.

One handler does each of the stalls of `benchmarks.stalls.cases`, behind a helper. Each
tool watches in a process of its own. A row is right where the tool names a line of the
function that blocks; for this library the very line, the endpoint, and what kind of
call it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from benchmarks.stalls import cases
from benchmarks.stalls.cases import CASES, Case
from benchmarks.stalls.tools import TOOLS, Collect

_NAMESERVER = "STALLS_NAMESERVER"
_LOOKUP = "nameserver {}\noptions timeout:1 attempts:1\n"


class Orders(RequestHandler):
    """Serves each case."""

    def get(self, number: str) -> None:
        """Do what the case does."""
        CASES[int(number)].run()
        self.write("done")


async def observe(tool: str) -> list[dict[str, Any]]:
    """Run every case under one tool; return what it said."""
    cases.prepare()
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):  # not root: a name is not found at once
        silent.bind((os.environ.get(_NAMESERVER, "127.0.0.77"), 53))
    said: list[str] = []
    collect = TOOLS[tool](said)
    server = HTTPServer(Application([(r"/orders/(\d+)", Orders)]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    client, rows = AsyncHTTPClient(), []
    for number, case in enumerate(CASES):
        del said[:]
        if collect:
            del collect.stalls[:]
        url = f"http://127.0.0.1:{port}/orders/{number}"
        await client.fetch(url, raise_error=False, request_timeout=60)
        await asyncio.sleep(0.15)
        stall = await longest(collect) if collect else None
        rows.append({"said": "\n".join(said), **judge(case, "\n".join(said), stall)})
    silent.close()
    return rows


async def longest(collect: Collect) -> Any:
    """Return the longest stall: on a busy machine what comes with it may be one too."""
    for _ in range(100):  # it is reported when the watcher comes to it
        over = [stall for stall in collect.stalls if stall.over]
        if over:
            return max(over, key=lambda stall: stall.seconds)
        await asyncio.sleep(0.1)
    return None


def judge(case: Case, text: str, stall: Any) -> dict[str, Any]:
    """Say what of a case a text names."""
    lines = re.findall(r"cases\.py\W+(?:line )?(\d+)\b", text)
    found: dict[str, Any] = {
        "caught": bool(text),
        "line": any(int(line) in case.lines for line in lines),
        "endpoint": "Orders.get" in text or bool(re.search(r"in get\b", text)),
    }
    if stall is not None:
        found["cause"] = stall.cause
        found["named"] = stall.cause in case.causes and stall.endpoint == "Orders.get"
        place = stall.place
        # The line that blocks in what is imported is that module's.
        found["line"] = place is not None and (
            place.line == case.line or case.name == "an import"
        )
        found["place"] = f"{place.function}:{place.line}" if place else ""
    return found


def in_own_process(tool: str) -> list[dict[str, Any]]:
    """Observe in a process where a DNS lookup takes a second."""
    command = [sys.executable, "-m", "benchmarks.stalls", "--tool", tool]
    # One of its own: where another run has it, a name is not found at once.
    server = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    if os.geteuid() == 0 and shutil.which("unshare"):
        lookup = _LOOKUP.format(server)
        mount = f"printf '{lookup}' > /tmp/resolv.$$ && mount --bind /tmp/resolv.$$"
        script = f'{mount} /etc/resolv.conf && rm /tmp/resolv.$$; exec "$@"'
        command = ["unshare", "-m", "sh", "-c", script, "sh", *command]
    environment = {**os.environ, _NAMESERVER: server}
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, env=environment, text=True, check=True
    )
    rows: list[dict[str, Any]] = json.loads(ended.stdout.splitlines()[-1])
    return rows


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the results as a table in Markdown."""
    lines = [f"| what was done | {' | '.join(results)} |"]
    lines.append("|---" * (len(results) + 1) + "|")
    for number, case in enumerate(CASES):
        cells = [cell(rows[number]) for rows in results.values()]
        lines.append(f"| {case.name} | {' | '.join(cells)} |")
    totals = [
        f"{sum(right(row) for row in rows)} of {len(CASES)}"
        for rows in results.values()
    ]
    return "\n".join([*lines, f"| **right** | {' | '.join(totals)} |"])


def right(row: dict[str, Any]) -> bool:
    """Whether the tool has named the line, and this library all that it is to name."""
    return bool(row["line"] and row.get("named", True))


def cell(row: dict[str, Any]) -> str:
    """Return what a tool said, in a few words."""
    if not row["caught"]:
        return "-"
    if "named" in row:
        wrong = "" if right(row) else "WRONG: "
        return f"{wrong}{row['place']}, {row['cause']}"
    parts = [name for name in ("line", "endpoint") if row[name]]
    return " and ".join(parts) or "that there was one"


def main() -> int:
    """Observe, and print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.stalls", description=__doc__)
    parser.add_argument("--tool", choices=TOOLS, help="just this one, as JSON")
    given = parser.parse_args()
    if given.tool:
        logging.getLogger("tornado.access").disabled = True
        logging.getLogger("tornado.application").propagate = False
        print(json.dumps(asyncio.run(observe(given.tool))))
        return 0
    results = {tool: in_own_process(tool) for tool in TOOLS}
    print(table(results))
    return 0 if all(map(right, results["tornado_unblock.watch"])) else 1


if __name__ == "__main__":
    sys.exit(main())
