"""The order service's parts that only compute: parsing, numbers, URLs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.harness import drivers
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.figures import Load, duration, summary
from benchmarks.harness.variant import Variant
from benchmarks.stories.order_service import account, load, schema, telling
from benchmarks.stories.order_service.cli import parse
from benchmarks.stories.order_service.results import StageResult, sentence
from benchmarks.stories.order_service.runner import ping_text
from benchmarks.stories.order_service.settings import STAGES, Settings

WRK_OUTPUT = """\
Running 10s test @ http://127.0.0.1:40001/api/v1/order/detail
  1 threads and 20 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   113.14ms   18.83ms 211.07ms   90.06%
    Req/Sec   176.85     27.09   232.00     70.41%
  1757 requests in 10.01s, 815.23KB read
Requests/sec:    175.49
Transfer/sec:     81.42KB
{"requests": 1757, "failed": 0, "seconds": 10.012191, "mean": 0.113142, \
"p99": 0.164121, "max": 0.211074}
"""
WRK_RESULT = Load(1757, 0, 10.012191, 0.113142, 0.164121, 0.211074)
SERVICE = "http://127.0.0.1:8000"


# -- what the load generators print ------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        pytest.param(WRK_OUTPUT, WRK_RESULT, id="wrk"),
        pytest.param(
            '{"requests": 2, "failed": 1, "seconds": 1.0,'
            ' "mean": 0.5, "p99": 0.6, "max": 0.6}\n',
            Load(2, 1, 1.0, 0.5, 0.6, 0.6),
            id="client, one failed",
        ),
        pytest.param(
            '{"requests": 0, "failed": 0, "seconds": 1, "mean": 0, "p99": 0, "max": 0}',
            Load(0, 0, 1, 0, 0, 0),
            id="nothing answered",
        ),
    ],
)
def test_load_is_parsed(printed: str, expected: Load) -> None:
    """The JSON line is found among whatever else is printed."""
    assert load.parse_load(printed.splitlines()) == expected


@pytest.mark.parametrize(
    "printed",
    ["", "unable to connect to 127.0.0.1:1", "{", '{"requests": 1}', '{"x": 1}', "[]"],
)
def test_load_without_result(printed: str) -> None:
    """What is no result is never taken for one."""
    with pytest.raises(DemoError, match="printed no result"):
        load.parse_load(printed.splitlines())


@pytest.mark.parametrize(
    ("printed", "latencies", "lost"),
    [
        ([], (), 0),
        (["0.001000", "0.250000"], (0.001, 0.25), 0),
        (["failed", "0.500000", "failed"], (0.5,), 2),
    ],
)
def test_pings_are_parsed(
    printed: list[str], latencies: tuple[float, ...], lost: int
) -> None:
    """Failures are counted, not dropped."""
    assert load.parse_pings(printed) == (latencies, lost)


@pytest.mark.parametrize("tool", ["wrk", "aiohttp"])
def test_both_tools_are_asked_for_the_same(tool: str) -> None:
    """Connections, duration and orders reach the command line of either."""
    settings = Settings(seconds=7, connections=13, load=tool)
    command = load.load_command(settings, SERVICE)
    assert SERVICE + load.ORDER_PATH in command
    for number in (13, schema.FIRST_ORDER, schema.ORDERS):
        assert str(number) in command
    assert {"7", "7s"} & set(command)


def test_wrk_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wrk the client steps in, unless wrk was asked for."""
    monkeypatch.setenv("PATH", "")
    assert load.choose("auto") == "aiohttp"
    with pytest.raises(SetupError, match="--load aiohttp"):
        load.choose("wrk")


# -- numbers -----------------------------------------------------------------------


def test_summary() -> None:
    """The p99 is the latency of the 99th of 100 requests."""
    latencies = [number / 100 for number in range(100, 0, -1)]
    assert summary(latencies, failed=3, seconds=2.0) == Load(
        requests=100, failed=3, seconds=2.0, mean=0.505, p99=0.99, max=1.0
    )
    assert summary([], failed=1, seconds=1.0).requests == 0


def test_success_and_rate() -> None:
    """Failed requests lower the success and do not raise the rate."""
    measured = Load(requests=75, failed=25, seconds=10, mean=0, p99=0, max=0)
    assert measured.success == 75
    assert measured.rate == 7.5
    assert Load(0, 0, 1, 0, 0, 0).success == 0


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        (30, "3.0 x faster than as written: 3.0 orders per second instead of 1.0;"),
        (200, "20 x faster than as written: 20 orders per second instead of 1.0;"),
        (10, "not faster than as written: 1.0 orders per second instead of 1.0;"),
    ],
)
def test_sentence(requests: int, said: str) -> None:
    """The sentence claims no gain where there is none."""
    before = StageResult(STAGES[0], Load(10, 0, 10, 1, 2, 2), (2.0, 1.0, 3.0))
    after = StageResult(STAGES[1], Load(requests, 0, 10, 1, 2, 2), (0.002,))
    text = sentence([before, after])
    assert said in text
    assert text.endswith("within 2.0 ms instead of 2.00 s.")


# -- beside the published account --------------------------------------------------

SIX = tuple(Variant(f"stage{number}", f"stage {number}") for number in range(6))


@pytest.fixture
def six(monkeypatch: pytest.MonkeyPatch) -> tuple[Variant, ...]:
    """Return six stages, which `account` takes for all there are."""
    monkeypatch.setattr(account, "STAGES", SIX)
    return SIX


def results_of(rates: dict[Variant, int]) -> list[StageResult]:
    return [
        StageResult(stage, Load(rate * 10, 0, 10, 1, 2, 2), (0.5,))
        for stage, rate in rates.items()
    ]


@pytest.mark.parametrize(
    ("rates", "held"),
    [
        ((2, 30, 31, 40, 60, 100), [True, True]),
        ((2, 29, 31, 40, 60, 100), [False, True]),
        ((2, 30, 31, 40, 60, 99), [True, False]),
        ((2, 30), [True]),
    ],
)
def test_expected_gains(
    six: tuple[Variant, ...], rates: tuple[int, ...], held: list[bool]
) -> None:
    """One line brings 15 times the orders, all stages together bring 50 times."""
    results = results_of(dict(zip(six, rates)))
    checks = account.checks(results, Settings())
    assert [check.held for check in checks] == held


@pytest.mark.parametrize("other", [{"connections": 19}, {"delay": 0.09}])
def test_gains_that_cannot_be_expected(
    six: tuple[Variant, ...], other: dict[str, Any]
) -> None:
    """Fewer connections or shorter waits leave less to gain: nothing is checked."""
    results = results_of(dict(zip(six, [2] * 6)))
    assert account.checks(results, Settings(**other)) == []
    assert account.checks(results[1:], Settings()) == []


def test_tables_beside_the_account(six: tuple[Variant, ...]) -> None:
    """Each stage beside the step that corresponds to it; gains over two stages."""
    results = results_of(dict(zip(six, (2, 30, 60, 80, 100, 120))))
    numbers, beside = telling.tables(results, "Numbers")
    for table in (numbers, beside):
        assert [row[0] for row in table.rows] == [stage.title for stage in six]
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert beside.rows[0][1:6] == ["2.0", "1.0 x", "1.0 x", "3.2", "1.0 x"]
    assert beside.rows[1][1:] == ["30.0", "15 x", "15 x", "", "", "", ""]
    assert beside.rows[2][1:6] == ["60.0", "2.0 x", "30 x", "18.5", "5.8 x"]
    assert beside.rows[5][4:] == [""] * 4
    assert [each.what for each in account.published()] == [
        "as written",
        "async rewrite",
        "connection pool and cache",
        "hidden blocking removed",
    ]


def test_stage_of_ones_own() -> None:
    """A stage that is not in the list has no step in the account."""
    assert account.figures(Variant("mine", "mine")) is None


def test_charts(six: tuple[Variant, ...]) -> None:
    """Every stage has a bar, and nothing is fetched from elsewhere."""
    results = results_of(dict(zip(six, (2, 30, 60, 80, 100, 120))))
    for svg in (telling.rates(results), telling.gains(results)):
        assert all(stage.title in svg for stage in six)
        assert not re.search(r"""(src|href)=["']|@import|url\(""", svg)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [([], 10), (["--quick"], 3), (["--quick", "--seconds", "5"], 5)],
)
def test_quick(options: list[str], seconds: int) -> None:
    """It is shorter, unless it is said how long."""
    assert parse(options).seconds == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0012, "1.2 ms"), (0.0451, "45 ms"), (0.9, "900 ms"), (1.234, "1.23 s")],
)
def test_duration(seconds: float, text: str) -> None:
    """Latencies are written with the digits that count."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("printed", "text"),
    [("", ""), ("0.002000", "/ping 2.0 ms"), ("failed", "/ping failed")],
)
def test_ping_text(printed: str, text: str) -> None:
    """What stands beside the progress bar."""
    assert ping_text(printed) == text


# -- databases ---------------------------------------------------------------------


def test_rows_are_the_same_every_time() -> None:
    """Every run and every database serves the same orders."""
    rows = schema.rows()
    assert rows == schema.rows()
    assert set(rows) == set(schema.TABLES)
    ordered = {order for order, *_ in rows["items"]}
    assert ordered == {order for order, *_ in rows["orders"]}
    assert len(ordered) == schema.ORDERS


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("sqlite:///tmp/a%20b.sqlite", {"database": "/tmp/a b.sqlite"}),
        (
            "mysql://me:p%40ss@db:3307/shop",
            {
                "host": "db",
                "port": 3307,
                "user": "me",
                "password": "p@ss",
                "database": "shop",
                "connect_timeout": drivers.CONNECT_TIMEOUT,
                "ssl_disabled": False,
            },
        ),
        (
            "postgresql://127.0.0.1/shop",
            {
                "host": "127.0.0.1",
                "database": "shop",
                "connect_timeout": drivers.CONNECT_TIMEOUT,
            },
        ),
    ],
)
def test_url_becomes_arguments(url: str, arguments: drivers.Arguments) -> None:
    """What the drivers are given is what the URL says, unquoted."""
    parts = drivers.parse_url(url)
    assert drivers.DRIVERS[parts.scheme].arguments(parts) == arguments


def test_tls_is_left_out_on_the_loopback_only() -> None:
    """No password crosses a network in the clear because of a demo."""
    on_loopback = drivers.parse_url("mysql://root@127.0.0.1/test")
    elsewhere = drivers.parse_url("mysql://root@db.example/test")
    assert drivers.mysql_arguments(on_loopback)["ssl_disabled"]
    assert not drivers.mysql_arguments(elsewhere)["ssl_disabled"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "orders",
        "oracle://me:secret@db/shop",
        "mysql://me:secret@db",
        "mysql:///shop",
        "postgresql://me:secret@db:port/shop",
        "postgresql://me:secret@db:99999/shop",
        "sqlite://",
        "mysql://[me:secret@db/shop",
    ],
)
def test_url_that_is_none(url: str) -> None:
    """The message shows what a URL looks like, and never the password."""
    with pytest.raises(SetupError, match="postgresql://user:password@host") as caught:
        drivers.parse_url(url)
    assert "secret" not in str(caught.value)


def test_driver_that_is_not_installed() -> None:
    """The message says what to install."""
    parts = vars(drivers.MYSQL)
    driver = drivers.Driver(**{**parts, "module": "no_such_driver"})
    with pytest.raises(SetupError, match=r"PyMySQL.*pip install"):
        driver.load()
