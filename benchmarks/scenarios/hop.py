"""The hop itself: bodies that do nothing, or wait; memory, queues, the import."""

from __future__ import annotations

from benchmarks.contenders import PEERS
from benchmarks.harness.kinds import ALONE, Crowd, Probe, Scenario, Throughput
from benchmarks.harness.servers import Setup

POOLS = (
    "by_hand",
    "run_on_executor",
    "to_thread",
    "sync_to_async",
    "run_sync",
    *(peer.name for peer in PEERS),
)
INLINE = ("native", "native_uvloop", "inline", "inline_forked")
MODES = ("unblock", "unblock_class", "unblock_app")
CORE = ("native", "by_hand", "unblock")  # what the goals compare


def _trivial(connections: int) -> Throughput:
    plural = "" if connections == 1 else "s"
    extra = ("unblock_timeout",) if connections == 50 else ()
    return Throughput(
        f"trivial-{connections}",
        f"trivial body, {connections} connection{plural}",
        (*INLINE, "unblock", "unblock_uvloop", "bare_hop", *extra, *POOLS),
        (*CORE, *extra, "unblock_uvloop"),
        connections=connections,
    )


def _blocking(connections: int) -> Throughput:
    return Throughput(
        f"blocking-{connections}",
        f"0.1 s body, {connections:,} connections and workers",
        ("native", "unblock", "bare_hop", *POOLS),
        CORE if connections == 1_000 else ("native", "unblock"),
        setup=Setup(connections, ALONE),
        quick_rounds=2,
        path="/wait/0.1",
        connections=connections,
        seconds=2.0 if connections < 1_000 else 3.0,
        quick_seconds=1.0 if connections < 1_000 else 2.5,
        waits=0.1,
    )


HOP: tuple[Scenario, ...] = (
    # First: the servers of this setup are fresh, and have started no thread yet.
    Throughput(
        "light",
        "1 ms body, 4 connections: threads",
        ("by_hand", "unblock"),
        shown="threads",
        quick_rounds=1,
        path="/wait/0.001",
        connections=4,
        threads=True,
    ),
    _trivial(50),
    _trivial(200),
    _trivial(1),
    Throughput("modes", "handler with hooks, 50 connections", MODES, path="/hooks"),
    Throughput(
        "legacy",
        "legacy body, 50 connections",
        ("inline", *MODES),
        ("inline", "unblock"),
        path="/legacy",
    ),
    _blocking(20),
    _blocking(200),
    _blocking(1_000),
    Crowd(
        "crowd",
        "3,000 clients at once, 1 s body, 3,000 workers",
        ("native", "unblock", "by_hand", "fastapi_def", "flask_gevent"),
        ("native", "unblock"),
        "seconds",
        setup=Setup(3_000, ALONE),
        quick_rounds=1,
    ),
    Probe(
        "memory",
        "bytes per idle worker and per queued request",
        ("by_hand", "unblock"),
        shown="worker",
        quick_rounds=1,
        probe="memory",
        seconds=5.0,
    ),
    Probe(
        "queue",
        "processor time per request, 10 to 10,000 in flight",
        (*CORE, "bare_hop"),
        ("unblock",),
        "cpu-10000",
        quick_rounds=1,
        absolute=True,
        probe="queue",
        seconds=6.0,
    ),
    Probe(
        "import",
        "import tornado_unblock after tornado.web",
        ("unblock",),
        shown="seconds",
        rounds=15,
        quick_rounds=15,
        absolute=True,
        probe="imports",
        seconds=0.3,
    ),
)
