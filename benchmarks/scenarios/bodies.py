"""Bodies as users have them, at four loads: see `benchmarks.contenders.bodies`."""

from __future__ import annotations

from benchmarks.contenders import PEERS
from benchmarks.harness.kinds import ALONE, Throughput
from benchmarks.harness.servers import Setup

CONNECTIONS = (10, 50, 200, 1_000)
WORKERS = 50
SETUP = Setup(WORKERS, ALONE, world=True)
TITLES = {
    "report_postgresql": "one query of 1 ms on PostgreSQL, 2 kB of JSON",
    "report_mysql": "one query of 1 ms on MariaDB, 2 kB of JSON",
    "page_postgresql": "two queries on PostgreSQL, a template",
    "page_mysql": "two queries on MariaDB, a template",
    "upstream": "an HTTP call of 20 ms",
    "mixed": "5 ms of Python, 20 ms of waiting",
}
SYNC_PEERS = tuple(peer.name for peer in PEERS)
EVERYONE = (
    "native",
    "native_uvloop",
    "inline_forked",
    "by_hand",
    "unblock",
    "unblock_uvloop",
    *SYNC_PEERS,
)
QUICK = (
    "native",
    "by_hand",
    "unblock",
    "unblock_uvloop",
    "starlette_def",
    "flask_waitress",
    "flask_gthread",
    "flask_gevent",
)


def _body(name: str, connections: int) -> Throughput:
    database = name.partition("_")[2].upper()
    long = 6.0 if name == "mixed" else 3.0  # 200 answers a second are all it can
    crowded = connections > 200
    return Throughput(
        f"{name}-{connections}",
        f"{TITLES[name]}: {connections:,} connections",
        EVERYONE,
        QUICK,
        setup=SETUP,
        needs=(f"BENCH_{database}",) if database else (),
        rounds=3 if connections in (50, 200) else 2,
        quick_rounds=2,
        only_full=connections != 50,
        chart=connections == 50,
        path=f"/body/{name}",
        rest="/body/rest",
        connections=connections,
        seconds=long if crowded else long / 2,
        quick_seconds=long if crowded else long / 4,
    )


BODIES = tuple(_body(name, number) for name in TITLES for number in CONNECTIONS)
