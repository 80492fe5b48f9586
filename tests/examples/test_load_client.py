"""The load client's parts: one request, one server, the numbers and what they say."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web

from benchmarks.harness.errors import DemoError
from benchmarks.harness.processes import Children
from benchmarks.harness.story import NOT_HELD
from benchmarks.harness.variant import Variant
from benchmarks.stories.load_client import client, crowd, telling
from benchmarks.stories.load_client.client import (
    ERROR,
    SUCCESS,
    TIMEOUT,
    TURNED_AWAY,
    Outcome,
    ask,
)
from benchmarks.stories.load_client.crowd import COMMAND, Crowd, shares
from benchmarks.stories.load_client.results import Tally, sentence
from benchmarks.stories.load_client.service import LIMITS, application
from benchmarks.stories.load_client.settings import (
    FEW,
    FORKED,
    INLINE,
    UNBLOCK,
    Case,
    Settings,
    cases,
)

PATIENT = 30.0  # seconds: longer than any test
TEN = Case("ten", requests=10, clients=5, body=1.0, timeout=3.0)


# -- one request -------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[int]:
    """Return the port of somebody who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_no_answer_in_time(silent: int) -> None:
    """A client gives up, and says so."""
    assert ask(silent, 0.02).kind == TIMEOUT


def test_nobody_there(silent: int) -> None:
    """A refused connection is an error with a reason, not a time-out."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = ask(port, PATIENT)
    assert (outcome.kind, "ConnectionRefusedError" in outcome.detail) == (ERROR, True)


def asked(handler: type[tornado.web.RequestHandler]) -> Outcome:
    """Ask a server with one handler."""

    async def main() -> Outcome:
        routes = [(r"/", handler)]
        quiet = tornado.web.Application(routes, log_function=lambda handler: None)
        with serving(quiet) as port:
            return await asyncio.to_thread(ask, port, PATIENT)

    return asyncio.run(main())


class serving:
    """Serve an application on the running loop for as long as the block lasts."""

    def __init__(self, app: tornado.web.Application) -> None:
        self._server = tornado.httpserver.HTTPServer(app)

    def __enter__(self) -> int:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        self._server.add_sockets(sockets)
        port: int = sockets[0].getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._server.stop()


class Answer(tornado.web.RequestHandler):
    status, again = 200, ""

    def get(self) -> None:
        self.set_status(self.status)
        if self.again:
            self.set_header("Retry-After", self.again)
        self.write("done" if self.status == 200 else "no")


@pytest.mark.parametrize(
    ("status", "again", "kind", "detail"),
    [
        (200, "", SUCCESS, ""),
        (503, "7", TURNED_AWAY, "7"),
        (503, "", ERROR, "status 503"),
        (503, "soon", ERROR, "status 503"),
        (500, "", ERROR, "status 500"),
    ],
)
def test_answers(status: int, again: str, kind: str, detail: str) -> None:
    """Only a 503 that says when to come back counts as one."""
    handler = type("Handler", (Answer,), {"status": status, "again": again})
    assert asked(handler)[::2] == (kind, detail)


def test_client_pauses_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its next request, and only after a 503."""
    answers = [Outcome(TURNED_AWAY, 0.0, "2"), Outcome(TIMEOUT, 1.0)]
    answers.append(Outcome(SUCCESS, 1.0))
    pauses: list[float] = []
    upcoming = iter(answers)
    monkeypatch.setattr(client, "ask", lambda port, timeout: next(upcoming))
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    assert client.run(port=1, requests=3, timeout=1.0, begin=0.0) == answers
    assert pauses == [0.0, 2.0, 0.0]


# -- the servers -------------------------------------------------------------------


def outcomes_of(way: Variant, workers: int, clients: int, held: int) -> list[str]:
    """Have clients ask at once; bodies end when all but `held` are answered."""
    go = threading.Event()
    LIMITS[way.name](workers)

    async def main() -> list[str]:
        with (
            serving(application(way.name, lambda: go.wait(PATIENT))) as port,
            concurrent.futures.ThreadPoolExecutor(clients) as pool,
        ):
            loop = asyncio.get_running_loop()
            asks = [
                loop.run_in_executor(pool, ask, port, PATIENT) for _ in range(clients)
            ]
            kinds = []
            for answer in asyncio.as_completed(asks):
                if len(kinds) == clients - held:
                    go.set()
                kinds.append((await answer).kind)
            return kinds

    return asyncio.run(main())


def test_enough_workers() -> None:
    """All bodies run at once, and all clients are answered."""
    assert outcomes_of(UNBLOCK, TEN.workers, 5, held=5) == [SUCCESS] * 5


@pytest.mark.expect_log("tornado.general", "has no worker for it")
def test_too_few_workers() -> None:
    """As many wait as run; the others hear so before any body has ended."""
    kinds = outcomes_of(FEW, 2, 7, held=4)
    assert kinds == [TURNED_AWAY] * 3 + [SUCCESS] * 4


@pytest.mark.parametrize("way", [INLINE, FORKED])
def test_as_it_was_written(way: Variant) -> None:
    """The same body, on the loop thread."""

    async def main() -> Outcome:
        thread: list[threading.Thread] = []
        app = application(way.name, lambda: thread.append(threading.current_thread()))
        with serving(app) as port:
            outcome = await asyncio.to_thread(ask, port, PATIENT)
        assert thread == [threading.main_thread()]
        return outcome

    assert asyncio.run(main()).kind == SUCCESS


# -- the crowd ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "clients", "expected"),
    [(10, 10, [1] * 10), (7, 3, [3, 2, 2]), (1, 2, [1, 0])],
)
def test_requests_are_shared_out(
    requests: int, clients: int, expected: list[int]
) -> None:
    """None is left over, and none is made twice."""
    assert shares(requests, clients) == expected


@pytest.fixture
def children(
    tmp_path: Path, child_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Children]:
    """Return where processes can be started."""
    monkeypatch.chdir(tmp_path)  # they import the installed library
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    with Children(tmp_path / "children") as children:
        yield children


def test_crowd_asks(children: Children, silent: int) -> None:
    """Every request has an outcome, and clients take more than one job."""
    clients = Crowd(children, 2)
    clients.wait_until_ready()
    case = Case("small", requests=3, clients=2, body=0.0, timeout=0.02)
    for _ in range(2):
        seen = sorted(clients.run(case, silent), key=len)
        kinds = [[outcome.kind for outcome in outcomes] for outcomes in seen]
        assert kinds == [[TIMEOUT], [TIMEOUT] * 2]


def test_client_that_ends(
    children: Children, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for, and what it said is told."""
    code = "print('ready', flush=True); input(); raise SystemExit('no luck')"
    monkeypatch.setattr(crowd, "COMMAND", [sys.executable, "-c", code])
    case = Case("small", requests=1, clients=1, body=0.0, timeout=0.02)
    clients = Crowd(children, 1)
    clients.wait_until_ready()
    with pytest.raises(DemoError, match=r"(?s)client ended.*no luck"):
        list(clients.run(case, silent))


def test_client_ends_with_its_input(children: Children, silent: int) -> None:
    """Also in the middle of a job."""
    process = children.start("client", COMMAND)
    assert process.next_line() == "ready"
    job = {"port": silent, "requests": 1, "timeout": PATIENT, "begin": 0}
    process.tell(json.dumps(job))
    process.finish(timeout=PATIENT / 2)
    assert process.new_lines() == []


# -- numbers and what they say -----------------------------------------------------


def tally(way: Variant, **counts: int) -> Tally:
    """Return a tally of TEN with so many of each kind, the nth taking n/10 s."""
    outcomes = [
        Outcome(
            kind.replace("c503", "503"), number / 10, "why" if kind == ERROR else ""
        )
        for kind, count in counts.items()
        for number in range(1, count + 1)
    ]
    return Tally(TEN, way, outcomes, 3.0)


def test_numbers() -> None:
    """Shares are of all requests; percentiles of those that ended alike."""
    mixed = tally(INLINE, success=4, c503=2, timeout=2, error=1)
    assert (mixed.share, mixed.lost, mixed.longest) == (40, 1, 0.4)
    assert mixed.percentile(SUCCESS, 50) == 0.2
    assert mixed.percentile(SUCCESS, 99) == 0.4
    assert tally(INLINE).percentile(SUCCESS, 99) is None
    assert tally(INLINE).longest == 0
    assert mixed.errors() == ["1 x why"]
    numbers = mixed.as_dict()
    assert (numbers["success"], numbers["503"], numbers["lost"]) == (4, 2, 1)
    assert numbers["latency"]["503 p99"] == 0.2
    assert sentence(mixed) == (
        "4 of 10 succeeded, 2 turned away with a 503, 2 timed out, 1 failed otherwise;"
        " 3.0 s"
    )


@pytest.mark.parametrize(
    ("way", "counts", "held"),
    [
        (INLINE, {"success": 2, "timeout": 8}, True),
        (INLINE, {"success": 6, "timeout": 4}, True),
        (INLINE, {"success": 7, "timeout": 3}, False),
        (FORKED, {"success": 9, "timeout": 1}, True),
        (FORKED, {"success": 9}, False),
        (UNBLOCK, {"success": 10}, True),
        (UNBLOCK, {"success": 9, "timeout": 1}, False),
        (FEW, {"success": 4, "c503": 6}, True),
        (FEW, {"success": 10}, False),
        (FEW, {"success": 4, "c503": 5, "timeout": 1}, False),
        (FEW, {"success": 4, "c503": 5, "error": 1}, False),
        (FEW, {"success": 4, "c503": 5}, False),
    ],
)
def test_checks(way: Variant, counts: dict[str, int], held: bool) -> None:
    """What a server promises is checked, and a lost request fails any."""
    story = telling.tell([tally(way, **counts)], Settings(cases=(TEN,), check=True))
    assert story.ok == held
    assert any(text.startswith(NOT_HELD) for text in story.findings) == (not held)


def test_slow_machine_fails_nothing_unless_asked() -> None:
    """Time-outs of a busy machine are told; a request nobody knows the end of fails."""
    slow, lost = tally(UNBLOCK, success=9, timeout=1), tally(UNBLOCK, success=9)
    told = telling.tell([slow], Settings(cases=(TEN,)))
    assert told.ok
    assert told.findings[0].startswith(NOT_HELD)
    assert not telling.tell([lost], Settings(cases=(TEN,))).ok


def test_hanging_is_found() -> None:
    """A client that waited much longer than its time-out did not time out."""
    hung = Tally(TEN, UNBLOCK, [Outcome(SUCCESS, 9.0)] * 10, 9.0)
    assert [check.held for check in telling.checks_of(hung)] == [False, True]


def test_patient_clients_may_all_be_served() -> None:
    """Inline is poor only for clients that do not wait for their turn."""
    patient = Case("ten", requests=10, clients=5, body=1.0, timeout=30.0)
    served = Tally(patient, INLINE, [Outcome(SUCCESS, 1.0)] * 10, 9.0)
    assert all(check.held for check in telling.checks_of(served))


def test_story() -> None:
    """A table and a chart for each case, a row and a bar for each server."""
    tallies = [tally(INLINE, success=2, timeout=8), tally(UNBLOCK, success=10)]
    story = telling.tell(tallies, Settings(cases=(TEN,)))
    [table], [chart] = story.tables, story.charts
    assert [row[:2] for row in table.rows] == [
        ["inline", "20 %"],
        ["@unblock", "100 %"],
    ]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert chart.svg.startswith("<svg")
    assert not re.search(r"""(src|href)=["']|@import|url\(""", chart.svg)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.333, "0.3 %"), (100, "100 %"), (20.0, "20 %"), (10, "10 %"), (99.97, "99.9 %")],
)
def test_percent(share: float, text: str) -> None:
    """A decimal is shown where there is one."""
    assert telling.percent(share) == text


def test_cases() -> None:
    """The account's sizes, unless it must be quick; clients wait for three bodies."""
    ten, many = cases(quick=False)
    assert (ten.requests, ten.clients, ten.body, ten.timeout) == (10, 10, 1.0, 3.0)
    assert (many.requests, many.clients) == (3000, 100)
    assert all(case.timeout == 0.75 for case in cases(quick=True, body=0.25))
    assert all(case.timeout == 9 for case in cases(quick=True, timeout=9))
    # A route may hold workers while it has less than four times as many as are free.
    assert all(
        4 * (case.workers - case.clients + 1) > case.clients - 1 for case in cases(True)
    )
