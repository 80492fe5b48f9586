"""The contenders as servers, and requests: by wrk, by a crowd, without sockets."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, Contender, contender_named
from benchmarks.harness import crowd, usage, wrk
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.inprocess import all_well, request
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children
from benchmarks.harness.servers import Servers, Setup, check

PAGES = ["/trivial", "/wait/0"]
MORE = ["/hooks", "/legacy"]
WITH_ALL = ["inline", "unblock", "unblock_class", "unblock_app"]


@pytest.fixture
def servers(
    tmp_path: Path, bench_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Servers]:
    """Return servers of four workers, stopped afterwards."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    with Children(tmp_path / "servers") as children:
        yield Servers(children, Interrupts(), Setup(4))


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
    assert usage.cpu_seconds(server.pid) > 0
    assert usage.threads(server.pid) > 1


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
    '{"requests": 30, "seconds": 2.0, "mean": 0.1, "p99": 0.2, "answers": %d,'
    ' "cycles_seconds": 0.5, "errors": {"connect": 0, "status": %d, "timeout": %d}}'
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
