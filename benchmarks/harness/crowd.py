"""Many clients at once, one request each.

wrk asks again and again; this asks once on each connection, all opened together, and
prints how long it took until the last answer.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from urllib.parse import urlsplit

from benchmarks.harness.errors import DemoError
from benchmarks.harness.wrk import PATIENCE, Outcome


class Client(asyncio.Protocol):
    """One connection and one request."""

    def __init__(self, request: bytes, over: asyncio.Future[float]) -> None:
        self._request = request
        self._over = over
        self._begun = time.perf_counter()
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Collect; the server closes at the end."""
        self._answer += data

    def connection_lost(self, error: Exception | None) -> None:
        """Tell how it went."""
        if not self._over.done():
            good = self._answer.split(b"\r\n")[0].split()[1:2] == [b"200"]
            whole = good and self._answer.endswith(b"done")
            took = time.perf_counter() - self._begun
            self._over.set_result(took if whole else -1.0)


async def ask(url: str, clients: int) -> tuple[list[float], float]:
    """Return what each took (-1 for one that failed), and all together."""
    where = urlsplit(url)
    request = (
        f"GET {where.path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()

    async def one() -> float:
        over: asyncio.Future[float] = loop.create_future()
        try:
            await loop.create_connection(
                lambda: Client(request, over), where.hostname or "", where.port or 80
            )
            return await asyncio.wait_for(over, PATIENCE)
        except (OSError, asyncio.TimeoutError):
            return -1.0

    begun = time.perf_counter()
    took = await asyncio.gather(*(one() for _ in range(clients)))
    return took, time.perf_counter() - begun


def load(url: str, clients: int) -> Outcome:
    """Send them from a process of its own. `rate` is of the whole crowd.

    Raises:
        DemoError: It failed.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.crowd", url, str(clients)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
    try:
        found = json.loads(ended.stdout)
    except ValueError:
        raise DemoError(f"The crowd printed no result. {ended.stderr}") from None
    failed = found["failed"]
    problem = f"of {clients} requests: {failed} without their answer" if failed else ""
    rate = clients / found["seconds"]
    return Outcome(rate, clients, found["mean"], found["p50"], found["p99"], problem)


def main() -> None:
    """Run the clients."""
    took, seconds = asyncio.run(ask(sys.argv[1], int(sys.argv[2])))
    good = sorted(one for one in took if one >= 0)
    found = {
        "seconds": seconds,
        "failed": len(took) - len(good),
        "mean": sum(good) / max(1, len(good)),
        "p50": good[len(good) // 2] if good else 0.0,
        "p99": good[len(good) * 99 // 100] if good else 0.0,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
