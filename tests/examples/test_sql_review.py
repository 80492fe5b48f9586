"""The SQL review's parts: the stand-in, the variants, the loads, and the judgement."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import inspect
import math
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import aiohttp
import pymysql
import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web

from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children
from benchmarks.harness.story import NOT_HELD
from benchmarks.harness.variant import Variant
from benchmarks.stories.sql_review import cases, checker, cli, protocol, runner, standin
from benchmarks.stories.sql_review.cases import Answers, Measured
from benchmarks.stories.sql_review.runner import Run
from benchmarks.stories.sql_review.settings import (
    FORKED,
    INLINE,
    UNBLOCKED,
    VARIANTS,
    Settings,
)
from benchmarks.stories.sql_review.telling import tell
from examples.sql_review.variants import forked, inline, unblocked
from tests.patience import WAIT

SMALL = Settings(checker="stand-in", scale=0.001)
Connect = Callable[[], "pymysql.Connection[Any]"]


# -- the stand-in ------------------------------------------------------------------


@pytest.fixture
def stand_in() -> Iterator[str]:
    """Serve the stand-in; provide its URL."""
    started = threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        server = await standin.start()
        found["port"] = server.sockets[0].getsockname()[1]
        found["loop"], found["over"] = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await found["over"].wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(30)
    yield f"mysql://root@127.0.0.1:{found['port']}/test"
    found["loop"].call_soon_threadsafe(found["over"].set)
    thread.join(30)


@pytest.fixture
def connect(stand_in: str) -> Iterator[Connect]:
    """Return what opens a connection to the stand-in; they are closed in the end."""
    with contextlib.ExitStack() as stack:

        def open_one() -> pymysql.Connection[Any]:
            connection = pymysql.connect(**checker.arguments(stand_in))
            stack.callback(connection._force_close)
            return connection

        yield open_one


@pytest.fixture(params=["stand-in", "mysql"])
def checker_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of each checker in turn."""
    names = {"stand-in": "stand_in", "mysql": "mysql_url"}
    return str(request.getfixturevalue(names[request.param]))


def test_both_checkers_give_the_same_verdict(checker_url: str) -> None:
    """Names, values and types of the columns are those of a real server."""
    arguments = checker.arguments(checker_url)
    with contextlib.closing(pymysql.connect(**arguments)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(inline.QUERY, (0.001, "DROP TABLE a; -- 'quoted'"))
            rows = cursor.fetchall()
            assert [column[0] for column in cursor.description] == [
                "slept",
                "stage",
                "accepted",
            ]
    assert rows == ((0, "done", 1),)


def test_stand_in_knows_what_drivers_send_besides(connect: Connect) -> None:
    """Pings, another database, transactions, one query after another."""
    connection = connect()
    connection.ping(reconnect=False)
    connection.select_db("other")
    connection.autocommit(False)
    connection.commit()
    connection.rollback()
    with connection.cursor() as cursor:
        for seconds in (0, 0.001, 1e-7):
            assert cursor.execute(inline.QUERY, (seconds, "x")) == 1
    connection.close()


@pytest.mark.parametrize("query", ["SELECT 1", "DROP TABLE a", "SELECT SLEEP(a)", ""])
def test_stand_in_refuses_other_queries(connect: Connect, query: str) -> None:
    """The error says what it can do, and the connection stays of use."""
    with connect().cursor() as cursor:
        with pytest.raises(pymysql.err.ProgrammingError, match="SLEEP") as caught:
            cursor.execute(query)
        assert caught.value.args[0] == protocol.ER_PARSE
        assert cursor.execute(inline.QUERY, (0, "x")) == 1


@pytest.mark.parametrize("command", [b"", b"\x09", b"\x16SELECT 1"])
def test_stand_in_refuses_other_commands(command: bytes) -> None:
    """Statistics, prepared statements, nonsense: an error, not a broken connection."""
    [payload] = asyncio.run(standin.answer(command))
    assert payload[0] == 0xFF
    assert int.from_bytes(payload[1:3], "little") == protocol.ER_UNKNOWN_COMMAND


def test_stand_in_serves_side_by_side(connect: Connect) -> None:
    """A connection that waits for an hour does not keep another one waiting."""
    slow, quick = connect(), connect()
    slow._execute_command(protocol.COM_QUERY, "SELECT SLEEP(3600)")  # type: ignore[no-untyped-call]
    with quick.cursor() as cursor:
        assert cursor.execute(inline.QUERY, (0, "x")) == 1


def test_stand_in_survives_clients_that_vanish(connect: Connect, stand_in: str) -> None:
    """Before the login, and with half a packet sent."""
    port = int(stand_in.split(":")[-1].split("/")[0])
    for sent in (b"", b"\x05\x00"):
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as client:
            client.sendall(sent)
    assert connect().open


# -- which checker -----------------------------------------------------------------


@pytest.fixture
def children(
    child_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Children]:
    """Provide children that import the installed library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    with Children(tmp_path / "children") as started:
        yield started


@pytest.mark.parametrize("wanted", ["auto", "stand-in"])
def test_stand_in_steps_in(
    children: Children,
    interrupts: Interrupts,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
) -> None:
    """Where no server answers, or none is wanted."""
    monkeypatch.setattr(checker, "USUAL", "mysql://root@127.0.0.1:1/test")
    found = checker.find(wanted, children, interrupts)
    assert found.title == protocol.VERSION


def test_server_that_is_there_is_taken(
    children: Children,
    interrupts: Interrupts,
    monkeypatch: pytest.MonkeyPatch,
    mysql_url: str,
) -> None:
    """By itself, or when it is named; its version is its own."""
    monkeypatch.setattr(checker, "USUAL", mysql_url)
    for wanted in ("auto", mysql_url):
        found = checker.find(wanted, children, interrupts)
        assert found.url == mysql_url
        assert found.title != protocol.VERSION
        assert not found.title.startswith("5.5.5-")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me:secret@127.0.0.1:1/test", "No checker answers at 127.0.0.1:1"),
        ("postgresql://me:secret@127.0.0.1/test", "must speak the MySQL protocol"),
        ("mysql://me:secret@127.0.0.1", "lacks a part"),
        ("standin", "No database is known by"),
    ],
)
def test_checker_that_cannot_be_used(
    children: Children, interrupts: Interrupts, url: str, message: str
) -> None:
    """The message says why, and never the password."""
    with pytest.raises(SetupError, match=message) as caught:
        checker.find(url, children, interrupts)
    assert "secret" not in str(caught.value)


# -- the variants ------------------------------------------------------------------


def test_variants_differ_in_little() -> None:
    """Forking is another number of processes; unblocking is an import and one line."""
    before, after = (inspect.getsource(module) for module in (inline, unblocked))
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    assert [line for line in lines if line[0] in "+-"] == [
        "+ from tornado_unblock import unblock",
        "+ ",
        "+ @unblock",
    ]
    assert (inline.PROCESSES, forked.PROCESSES) == (1, 8)
    assert forked.ROUTES is inline.ROUTES


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_variants_give_the_verdict(
    variant: Variant,
    stand_in: str,
    children: Children,
    interrupts: Interrupts,
    tmp_path: Path,
) -> None:
    """Every route of each variant answers with what the checker said."""

    async def ask(url: str) -> list[bool]:
        async with aiohttp.ClientSession(url) as session:
            tasks = list(SMALL.seconds)
            return [await cases.ask(session, task) for task in tasks]

    with runner.started(variant, stand_in, SMALL, interrupts, tmp_path) as url:
        assert asyncio.run(ask(url)) == [True, True, True]


def test_variant_without_its_checker(
    children: Children, interrupts: Interrupts, tmp_path: Path
) -> None:
    """It is not measured; the message ends with what the service had to say."""
    nobody = "mysql://root@127.0.0.1:1/test"
    block = runner.started(INLINE, nobody, SMALL, interrupts, tmp_path)
    with pytest.raises(
        DemoError, match=r"(?s)'inline' does not give.*Can't connect to MySQL"
    ):
        block.__enter__()


# -- the loads ---------------------------------------------------------------------


class Verdict(tornado.web.RequestHandler):
    """Gives the right verdict, a wrong one, an error, or none."""

    async def post(self, task: str) -> None:
        how = self.settings["how"].get(task, "right")
        if how == "never":
            await self.settings["over"].wait()
        if how == "error":
            self.set_status(500)
        self.write({} if how == "wrong" else cases.verdict(task))


def measure(**how: str) -> Measured:
    """Put the loads on a service whose tasks end as told; the slow one never does."""
    how = {"space": "never", **how}

    async def main() -> Measured:
        over = asyncio.Event()
        app = tornado.web.Application(
            [(r"/(\w+)", Verdict)], how=how, over=over, log_function=lambda _: None
        )
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(app)
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        try:
            return await cases.measure(f"http://127.0.0.1:{port}", SMALL, said.append)
        finally:
            over.set()
            server.stop()
            await server.close_all_connections()

    said: list[str] = []
    result = asyncio.run(main())
    assert len(said) == 3
    return result


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clients wait for as long as it takes."""
    monkeypatch.setattr(Settings, "patience", 50.0)


@pytest.mark.usefixtures("patience")
def test_loads() -> None:
    """All that is asked is answered, in number as the account has it."""
    result = measure()
    parts = (result.few, result.many, result.quick)
    assert [part.asked for part in parts] == [3, 12, 37]
    assert all(part.complete for part in parts)
    assert result.quick.after == tuple(sorted(result.quick.after))
    assert result.slow == Answers(cases.SLOW_CLIENTS, 0, ())
    assert result.wrong == 0


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("how", ["wrong", "error"])
def test_wrong_answers_are_counted(how: str) -> None:
    """A quick error is no success, on whatever route."""
    result = measure(check=how)
    assert (result.few.wrong, result.many.wrong, result.wrong) == (3, 12, 15)
    assert not result.few.complete
    assert measure(execute=how).wrong == 37
    assert measure(space=how).wrong == cases.SLOW_CLIENTS


def test_clients_lose_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is never answered is not waited for; it is missing, and not wrong."""
    monkeypatch.setattr(Settings, "patience", 0.1)
    result = measure(execute="never")
    assert result.quick == Answers(37, 0, ())
    assert result.slow == Answers(cases.SLOW_CLIENTS, 0, ())
    assert cases.outcome(result.quick) == "none answered"


def test_numbers_of_answers() -> None:
    """What was not answered is later than everything that was."""
    complete = Answers(4, 0, (0.3, 0.1, 0.4, 0.2))
    assert (complete.last, complete.quantile(0.5), complete.quantile(0.99)) == (
        0.4,
        0.2,
        0.4,
    )
    partial = Answers(4, 1, (0.1, 0.2))
    assert (partial.last, partial.quantile(0.5), partial.quantile(0.99)) == (
        math.inf,
        0.2,
        math.inf,
    )
    assert cases.outcome(partial) == "2 of 4 answered, the last after 0.20 s"


# -- the judgement -----------------------------------------------------------------


def answers(asked: int, last: float, wrong: int = 0) -> Answers:
    return Answers(asked, wrong, (last,) * (asked - wrong))


def results() -> dict[Variant, Measured]:
    """Return what the account leads to expect, at its scale."""
    slow = answers(60, 2.0)
    return {
        INLINE: Measured(answers(3, 6.0), answers(12, 24.0), Answers(37, 0, ()), slow),
        FORKED: Measured(answers(3, 2.0), answers(12, 4.0), answers(37, 20.0), slow),
        UNBLOCKED: Measured(answers(3, 2.0), answers(12, 2.0), answers(37, 0.2), slow),
    }


def test_story() -> None:
    """Everything held: a table, three charts, the account, and no complaint."""
    told = tell(Run("MariaDB 11", results()), Settings())
    assert told.ok
    [table] = told.tables
    assert list(table.rows) == [
        ["inline", "6.00 s", "24.00 s", "24.00 s", "0 of 37", "> 40.00 s"],
        ["8 forked processes", "2.00 s", "4.00 s", "4.00 s", "37 of 37", "20.00 s"],
        ["one @unblock line", "2.00 s", "2.00 s", "2.00 s", "37 of 37", "200 ms"],
    ]
    assert len(table.columns) == len(table.rows[0])
    assert [chart.svg[:4] for chart in told.charts] == ["<svg"] * 3
    assert [each.figure for each in told.account][:2] == ["6.02 s", "2.01 s"]
    assert not [text for text in told.findings if text.startswith(NOT_HELD)]
    assert told.versions["checker"] == "MariaDB 11"


@pytest.mark.parametrize(
    ("variant", "part", "found", "complaint"),
    [
        (INLINE, "few", answers(3, 2.0), "inline, 3 checks"),
        (INLINE, "few", Answers(3, 0, (2.0,)), "inline, 3 checks"),
        (FORKED, "many", answers(12, 2.0), "forked, the p99"),
        (FORKED, "many", Answers(12, 0, ()), "forked, the p99"),
        (UNBLOCKED, "few", answers(3, 4.0), "unblocked, 3 checks"),
        (UNBLOCKED, "many", answers(12, 2.5), "unblocked, so do 12"),
        (UNBLOCKED, "many", Answers(12, 0, (2.0,) * 11), "unblocked, so do 12"),
        (UNBLOCKED, "quick", answers(37, 0.6), "unblocked, 37 quick calls"),
        (FORKED, "slow", answers(60, 2.0, wrong=1), "no request was answered"),
    ],
)
def test_story_of_what_went_wrong(
    variant: Variant, part: str, found: Answers, complaint: str
) -> None:
    """One thing that is not as promised is named, and the whole has failed."""
    run = Run("MariaDB 11", results())
    parts = {**vars(run.results[variant]), part: found}
    run.results[variant] = Measured(**parts)
    told = tell(run, Settings(check=True))
    assert not told.ok
    assert tell(run, Settings()).ok == (part != "slow")  # the machine may be slow
    complaints = [text for text in told.findings if text.startswith(NOT_HELD)]
    assert len(complaints) == 1
    assert complaints[0].startswith(NOT_HELD + complaint)


# -- options -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "scale"),
    [([], 1.0), (["--quick"], 0.1), (["--quick", "--scale", "0.02"], 0.02)],
)
def test_scale(options: list[str], scale: float) -> None:
    """--quick is a small scale, unless one is given."""
    settings = cli.parse(options)
    assert settings.scale == scale
    assert settings.seconds["check"] == 2 * scale
    assert settings.command == " ".join([cli.PROGRAM, *options])


@pytest.mark.parametrize("scale", ["0", "-1", "11", "much"])
def test_scale_that_is_none(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the option."""
    with pytest.raises(SystemExit) as caught:
        cli.parse([f"--scale={scale}"])
    assert caught.value.code == 2
    assert "--scale" in capsys.readouterr().err


def test_packets() -> None:
    """The header is the length, then the sequence number, which begins anew at 256."""
    assert protocol.packet(1, b"abc") == b"\x03\x00\x00\x01abc"
    assert protocol.packet(257, b"x" * 300)[:4] == b"\x2c\x01\x00\x01"
    salt = secrets.token_hex(10).encode()
    assert salt[:8] in protocol.greeting(1, salt)
