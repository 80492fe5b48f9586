"""The CPU bodies' parts: the variants, the meter, and the judgement."""

from __future__ import annotations

import asyncio
import difflib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web
from rich.console import Console

from benchmarks.harness import computing
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.figures import Load
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.neighbour import Measured, Pings
from benchmarks.harness.story import NOT_HELD
from benchmarks.harness.variant import Variant
from benchmarks.stories.cpu_bodies import cli, runner
from benchmarks.stories.cpu_bodies.runner import Run, Runner
from benchmarks.stories.cpu_bodies.settings import (
    INLINE,
    LOKY,
    ONE_WORKER,
    PROCESSES,
    THREADS,
    VARIANTS,
    Settings,
)
from benchmarks.stories.cpu_bodies.telling import tell
from examples.cpu_bodies import variants
from examples.cpu_bodies.work import add_up

FOLDER = Path(variants.__file__).parent
SMALL = Settings(seconds=0.1, connections=2, body=0.001)


# -- the work ----------------------------------------------------------------------


def test_total() -> None:
    """The same steps come to the same total, wherever they are taken."""
    assert add_up(3) == (0 * 31 * 31 + 1 * 31 + 2) % 1_000_003
    assert add_up(0) == 0


def test_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest trial says how many steps take so long."""
    trials = iter([3.0, 2.0, *[4.0] * (computing.TRIALS - 2)])
    monkeypatch.setattr(computing, "_trial", lambda compute: next(trials))
    assert computing.steps_for(1.0, add_up) == computing.TRIAL / 2
    assert next(trials, None) is None
    monkeypatch.undo()
    assert computing.steps_for(1e-12, add_up) == 1
    assert computing.steps_for(0.01, add_up) > 1


# -- the variants ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("threads", ["from tornado_unblock import unblock", "@unblock"]),
        (
            "one_worker",
            [
                "import sys",
                "from tornado_unblock import configure, unblock",
                "sys.setswitchinterval(0.0005)  # seconds; 0.005 unless set",
                'configure("cpu", max_workers=1)',
                '@unblock(executor="cpu")',
            ],
        ),
    ],
)
def test_threads_take_some_lines(name: str, added: list[str]) -> None:
    """Besides the module's docstring, lines are added and none is changed."""
    before, after = (
        (FOLDER / f"{module}.py").read_text(encoding="utf-8").splitlines()[1:]
        for module in ("inline", name)
    )
    lines = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert [line[1:].strip() for line in lines if line[1:].strip()] == added
    assert all(line.startswith("+") for line in lines)


@pytest.fixture
def made(
    child_env: dict[str, str],
    interrupts: Interrupts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Runner:
    """Return a runner whose services import the installed library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    return Runner(SMALL, interrupts, tmp_path, said.append)


said: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    said.clear()
    yield
    said.clear()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_variants_come_to_the_same_total(variant: Variant, made: Runner) -> None:
    """On the loop, on threads, in processes: nothing fails, and the service ends."""
    result = made.loaded(variant)
    assert result.failed == 0
    assert len(result.pings.latencies) == 5
    assert [text.split(":")[0] for text in said] == [variant.title]


def test_neighbour_alone(made: Runner) -> None:
    """There is a figure to compare with, without any load."""
    result = made.alone()
    assert result.load is None
    assert (len(result.pings.latencies), result.failed) == (2, 0)
    assert said[0].startswith("nothing to compute: ping median")


def test_variant_with_another_total(made: Runner) -> None:
    """It is not measured."""
    made._total += 1
    with pytest.raises(DemoError, match=r"'inline' answers \['\d+'\] instead of \d+"):
        made.loaded(INLINE)
    assert said == []


def test_variant_that_does_not_answer(
    made: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken connection is a message, not a traceback."""

    async def totals(url: str, count: int) -> set[object]:
        raise aiohttp.ClientConnectionError("gone")

    monkeypatch.setattr(runner, "totals", totals)
    with pytest.raises(DemoError, match="'inline' does not answer: gone"):
        made.loaded(INLINE)


def test_package_that_is_missing(
    interrupts: Interrupts, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is known before anything is measured; the rest can go without."""
    absent = Variant("absent", "absent", needs="no_such_package")
    settings = Settings(variants=(INLINE, absent))
    with pytest.raises(SetupError, match="absent needs no_such_package"):
        runner.measured(settings, interrupts, Console())
    assert capsys.readouterr().out == ""
    assert INLINE.installed()


# -- the meter ---------------------------------------------------------------------


class Failing(tornado.web.RequestHandler):
    """Has nothing but errors."""

    def get(self) -> None:
        self.set_status(500)


def failing(ask: Any) -> Any:
    """Run `await ask(url)` against a service all of whose answers are errors."""

    async def main() -> Any:
        app = tornado.web.Application([(r".*", Failing)], log_function=lambda _: None)
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(app)
        server.add_sockets(sockets)
        try:
            return await ask(f"http://127.0.0.1:{sockets[0].getsockname()[1]}")
        finally:
            server.stop()
            await server.close_all_connections()

    return asyncio.run(main())


def test_failures_are_counted() -> None:
    """Pings and bodies that fail are told apart from quick ones."""
    result: Measured = failing(lambda url: runner.loaded(url, 2, 0.1))
    assert result.pings == Pings((), 5)
    assert result.load is not None
    assert (result.load.requests, result.load.failed) == (0, 2)
    assert result.failed == 7
    assert failing(lambda url: runner.totals(url, 3)) == {"status 500"}


def test_quantiles() -> None:
    """The p99 is the latency of the 99th of 100; without any, there is none."""
    pings = Pings(tuple(number / 100 for number in range(100, 0, -1)), 0)
    assert [pings.quantile(share) for share in (0.0, 0.5, 0.99, 1.0)] == [
        0.01,
        0.5,
        0.99,
        1.0,
    ]
    assert Pings((), 3).quantile(0.5) == math.inf


# -- the judgement -----------------------------------------------------------------


def measured(ping: float, rate: int = 50, failed: int = 0) -> Measured:
    load = Load(rate, failed, 10.0, 0.8, 0.9, 0.9)
    return Measured(Pings((ping,) * 10, 0), load)


def run(**others: Measured) -> Run:
    """Return what is to be expected, but for the variants that are given."""
    usual = {
        variant.name: measured(0.4 if variant == INLINE else 0.01)
        for variant in VARIANTS
    }
    found = {**usual, **others}
    alone = Measured(Pings((0.001,), 0))
    return Run(alone, {variant: found[variant.name] for variant in VARIANTS})


def test_story() -> None:
    """Everything held: a row for each variant and one without, charts, advice."""
    told = tell(run(), Settings())
    assert told.ok
    [table] = told.tables
    assert list(table.rows[0]) == ["nothing to compute", "1.0 ms", "1.0 ms", "", ""]
    assert list(table.rows[1]) == ["inline", "400 ms", "400 ms", "5.0", "800 ms"]
    assert [row[0] for row in table.rows[1:]] == [v.title for v in VARIANTS]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert [chart.svg[:4] for chart in told.charts] == ["<svg"] * 2
    assert not [text for text in told.findings if text.startswith(NOT_HELD)]


@pytest.mark.parametrize(
    ("variant", "ping"),
    [(THREADS, 0.3), (ONE_WORKER, 0.2), (PROCESSES, 0.2), (LOKY, 0.2)],
    ids=lambda value: getattr(value, "name", None),
)
def test_story_of_what_did_not_help(variant: Variant, ping: float) -> None:
    """A neighbour that has to wait nearly as long as inline is a failure."""
    found = run(**{variant.name: measured(ping)})
    assert tell(found, Settings()).ok  # the machine may be slow
    told = tell(found, Settings(check=True))
    assert not told.ok
    [complaint] = [text for text in told.findings if text.startswith(NOT_HELD)]
    assert complaint.startswith(NOT_HELD + variant.title)


def test_story_without_a_single_ping() -> None:
    """The table says so, and the charts can be drawn all the same."""
    nothing = Measured(Pings((), 10), measured(1).load)
    told = tell(run(processes=nothing), Settings())
    assert not told.ok
    row = next(row for row in told.tables[0].rows if row[0] == PROCESSES.title)
    assert list(row[1:3]) == ["no answer", "no answer"]
    assert told.charts[0].svg.startswith("<svg")


def test_story_with_failed_requests() -> None:
    """However quick the others were."""
    told = tell(run(threads_eager=measured(0.001, failed=3)), Settings())
    assert not told.ok
    assert f"{NOT_HELD}all variants come to the same total; 3 requests failed" in (
        told.findings
    )


def test_story_without_inline() -> None:
    """There is nothing to compare with, so nothing is claimed."""
    some = run()
    del some.results[INLINE]
    told = tell(some, Settings())
    assert told.ok
    assert not [text for text in told.findings if "sooner" in text]


# -- options -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "seconds"),
    [([], 20.0), (["--quick"], 3.0), (["--quick", "--seconds", "1"], 1.0)],
)
def test_seconds(options: list[str], seconds: float) -> None:
    """--quick is a short time, unless one is given."""
    settings = cli.parse(options)
    assert settings.seconds == seconds
    assert settings.variants == VARIANTS
    assert settings.command == " ".join([cli.PROGRAM, *options])


def test_variants_that_are_chosen() -> None:
    """They are measured in the order in which they are named."""
    settings = cli.parse(["--variants", "processes", "inline"])
    assert settings.variants == (PROCESSES, INLINE)
