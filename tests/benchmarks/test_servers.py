"""The contenders as servers, and requests: by wrk, by a crowd, without sockets."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.contenders import (
    CONTENDERS,
    PEERS,
    Contender,
    command_of,
    contender_named,
)
from benchmarks.harness import crowd, ports, usage, wrk
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.inprocess import all_well, request
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.kinds import RefusedError, Sanity, insane
from benchmarks.harness.processes import Children
from benchmarks.harness.servers import Servers, Setup, check
from benchmarks.scenarios import scenario_named

PAGES = ["/trivial", "/wait/0"]
MORE = ["/hooks", "/legacy"]
WITH_BODIES = scenario_named("mixed-50").contenders
WORLD = {"BENCH_STEPS": "10"}
WITH_ALL = ["inline", "unblock", "unblock_class", "unblock_app"]


@pytest.fixture
def servers(
    tmp_path: Path, bench_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Servers]:
    """Return servers of four workers, stopped afterwards."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    with Children(tmp_path / "servers") as children:
        yield Servers(children, Interrupts(), Setup(4), command_of, WORLD)


def missing(contender: Contender) -> list[str]:
    return [name for name in contender.packages if not importlib.util.find_spec(name)]


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.name)
def test_contender_serves(contender: Contender, servers: Servers) -> None:
    """Each answers its pages; what is not installed says what to install."""
    if missing(contender):
        with pytest.raises(SetupError, match=r"tornado-unblock\[bench\]"):
            contender.require()
        pytest.skip(f"not installed: {missing(contender)}")
    contender.require()
    server = servers.get(contender.name)
    for page in PAGES + MORE * (contender.name in WITH_ALL):
        check(server, page)
    assert servers.get(contender.name) is server
    if contender.name in WITH_BODIES:
        check(server, "/body/mixed")
        check(server, "/body/rest")
    assert usage.cpu_seconds(server.pid) > 0
    assert usage.memory(server.pid) > 1_000_000
    assert usage.threads(server.pid) > 0
    usage.wait_until_idle(server.pid)


def test_wrong_answer(servers: Servers) -> None:
    """A page that is not there is no page to measure."""
    with pytest.raises(DemoError, match="404"):
        check(servers.get("native"), "/hooks")


def test_crowd(servers: Servers) -> None:
    """Many clients at once: each is answered, or the crowd has a problem."""
    url = servers.get("native").url
    outcome = crowd.load(f"{url}/wait/0", 30)
    assert outcome.problem == ""
    assert outcome.requests == 30
    assert outcome.rate > 0
    assert crowd.load(f"{url}/nowhere", 30).problem == (
        "of 30 requests: 30 without their answer"
    )


@pytest.mark.usefixtures("wrk")
def test_wrk(servers: Servers) -> None:
    """A short load has a rate, counted either way; a wrong page is a problem."""
    url = servers.get("native").url
    whole = wrk.load(f"{url}/trivial", 2, 0.3)
    assert (whole.problem, whole.requests > 0, whole.rate > 0) == ("", True, True)
    cycles = wrk.load(f"{url}/wait/0.01", 2, 0.5, cycles=True)
    assert cycles.problem == ""
    assert 0 < cycles.rate <= 200
    assert "answers other than 2xx" in wrk.load(f"{url}/nowhere", 2, 0.3).problem


def test_wrk_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="apt-get install wrk"):
        wrk.require()


ANSWERED = (
    '{"requests": 30, "seconds": 2.0, "mean": 0.1, "p50": 0.1, "p99": 0.2,'
    ' "answers": %d, "cycles_seconds": 0.5,'
    ' "errors": {"connect": 0, "status": %d, "timeout": %d}}'
)


@pytest.mark.parametrize(
    ("numbers", "bursts", "rate", "problem"),
    [
        ((0, 0, 0), 0, 15.0, ""),
        # The first burst starts the clock.
        ((30, 0, 0), 10, 40.0, ""),
        (
            (30, 2, 1),
            0,
            15.0,
            "of 30 requests: 2 answers other than 2xx, 1 timeouts",
        ),
        # So slow that not every connection is answered twice: no cycle to count.
        ((19, 0, 0), 10, 15.0, ""),
    ],
)
def test_what_wrk_prints(
    numbers: tuple[int, int, int], bursts: int, rate: float, problem: str
) -> None:
    """Its line becomes a rate, or a problem that names each kind of failure."""
    outcome = wrk.parse(["Running", ANSWERED % numbers, "done"], bursts)
    assert outcome is not None
    assert outcome.problem == problem
    assert outcome.rate == rate


def test_wrk_prints_nothing() -> None:
    """Without its line there is no outcome, and without answers a problem."""
    assert wrk.parse(["unable to connect"]) is None
    nothing = (ANSWERED % (0, 0, 0)).replace('"requests": 30', '"requests": 0')
    outcome = wrk.parse([nothing])
    assert outcome is not None
    assert outcome.problem == "of 0 requests: no answer"


@pytest.mark.parametrize("name", ["native", "by_hand", *WITH_ALL])
@pytest.mark.expect_log("tornado.access", "^404 GET /")
@pytest.mark.allow_threads(r"ThreadPoolExecutor|unblock-")
def test_requests_without_sockets(name: str) -> None:
    """The application answers as it does behind a server."""

    async def ask() -> None:
        application = contender_named(name).load().application(2)
        await all_well([request(application, page) for page in PAGES])
        with pytest.raises(RuntimeError, match="1 of 2 requests failed, one with 404"):
            await all_well([request(application, page) for page in ["/trivial", "/"]])

    asyncio.run(ask())


def test_family_of_a_process() -> None:
    """A process without children is its own family."""
    assert os.getpid() in usage.family(os.getppid())
    assert usage.own_memory() > 1_000_000


# -- the gate ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "rate", "by_hand", "said"),
    [
        (0.004, 100.0, 299.0, ""),
        (0.042, 100.0, 100.0, "a trivial body takes 42.0 ms on one connection"),
        (0.001, 99.0, 300.0, "99 requests/s, where its command alone reaches 300"),
    ],
)
def test_insane(one: float, rate: float, by_hand: float, said: str) -> None:
    """A delayed acknowledgement on each answer, or a lost factor of three, shows."""
    assert insane({"one": one, "rate": rate, "by hand": by_hand}) == said


SLOW = """
import asyncio, sys
from tornado.web import Application, RequestHandler

class Trivial(RequestHandler):
    async def get(self):
        later = asyncio.get_running_loop().create_future()
        later.get_loop().call_later(0.02, later.set_result, None)
        await later
        self.write("done")

async def main():
    Application([("/trivial", Trivial)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.usefixtures("wrk")
def test_server_that_is_slow_does_not_pass(
    tmp_path: Path, bench_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with its figure; one that is well passes."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)

    def command(name: str, port: int, workers: int) -> list[str]:
        if name == "slow":
            return [sys.executable, "-c", SLOW, str(port)]
        return command_of(name, port, workers)

    gate = Sanity("sanity", "sanity", ("slow", "native"), gate=True)
    with Children(tmp_path / "servers") as children:
        servers = Servers(children, Interrupts(), Setup(4), command)
        for name in gate.contenders:
            gate.warm_up(servers, name)
        with pytest.raises(RefusedError, match=r"takes \d+\.\d ms on one connection"):
            gate.measure(servers, "slow", quick=True)


def test_server_that_does_not_start(
    tmp_path: Path, bench_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said last is told, and nobody waits for it."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    broken = [sys.executable, "-c", "raise SystemExit('no luck')"]
    with Children(tmp_path / "servers") as children:
        servers = Servers(children, Interrupts(), Setup(), lambda *_: broken)
        with pytest.raises(DemoError, match=r"(?s)does not start.*no luck"):
            servers.get("broken")


def test_free_port() -> None:
    """One that somebody listens on is not given away."""
    with socket.create_server(("127.0.0.1", ports.free_port())) as server:
        taken = server.getsockname()[1]
        assert taken in ports.RANGE
        assert taken not in {ports.free_port() for _ in range(20)}


def test_each_peer_says_how_it_is_run() -> None:
    """Its command is a command line, and the table has a sentence for it."""
    for peer in PEERS:
        words = peer.start(1234, 7)
        assert "1234" in " ".join(words)
        assert peer.about
