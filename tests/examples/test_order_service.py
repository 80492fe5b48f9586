"""The order service's stages and tables: real processes, sockets and databases."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import json
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children, address
from benchmarks.harness.variant import Variant
from benchmarks.stories.order_service import schema
from benchmarks.stories.order_service.database import Database, prepared
from benchmarks.stories.order_service.load import ORDER_PATH
from benchmarks.stories.order_service.runner import (
    scanned,
    start_logistics,
    start_service,
    watched,
)
from benchmarks.stories.order_service.settings import STAGES
from examples.order_service.stages import as_written, unblocked
from tests.patience import WAIT
from tornado_unblock.__main__ import main as scan

LAST_ORDER = schema.FIRST_ORDER + schema.ORDERS - 1

Tables = Callable[[Database], list[str]]


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=WAIT) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# -- the stages --------------------------------------------------------------------


def test_unblocking_takes_an_import_and_one_line() -> None:
    """Nothing else differs between the first two stages."""
    before, after = (inspect.getsource(stage) for stage in (as_written, unblocked))
    changes = [
        line
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if not line.startswith("  ")
    ]
    assert changes == ["+ from tornado_unblock import unblock", "+     @unblock"]


@pytest.fixture
def services(
    url: str,
    tmp_path: Path,
    interrupts: Interrupts,
    child_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[Variant, str]]:
    """Start every stage on one database; provide their addresses."""
    monkeypatch.chdir(tmp_path)  # the children import the installed library
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    addresses = {}
    with prepared(url, interrupts) as database, contextlib.ExitStack() as stack:
        for stage in STAGES:
            folder = tmp_path / stage.name
            children = stack.enter_context(Children(folder))
            api = address(start_logistics(children, delay=0.0))
            log = folder / "orders.log"
            service = start_service(children, stage, database, api, log)
            addresses[stage] = address(service)
        yield addresses


def test_all_stages_answer_the_same(
    services: dict[Variant, str], tmp_path: Path
) -> None:
    """Same status and same bytes, for orders there are and mistakes alike.

    There are more than ten calls, so that the logistics API turns one away.
    """
    orders = [*range(schema.FIRST_ORDER, schema.FIRST_ORDER + 12), LAST_ORDER]
    paths = [f"{ORDER_PATH}?id={order}" for order in orders]
    wrong = [ORDER_PATH, f"{ORDER_PATH}?id=1", f"{ORDER_PATH}?id=x"]
    answers = {
        stage: [get(service + path) for path in [*paths, *wrong, "/ping"]]
        for stage, service in services.items()
    }
    expected = answers[STAGES[0]]
    assert [status for status, _ in expected] == [200] * 13 + [400, 404, 500, 200]
    for stage in STAGES:
        assert answers[stage] == expected
        log = (tmp_path / stage.name / "orders.log").read_text(encoding="utf-8")
        assert [line.split(" shown")[0].split()[-1] for line in log.splitlines()] == [
            str(order) for order in orders
        ]


def test_order_is_complete(services: dict[Variant, str]) -> None:
    """What the tables, the logistics API and the file say is in the answer."""
    rows = schema.rows()
    number, customer, status, placed_on = rows["orders"][0]
    mine = {order for order, buyer, *_ in rows["orders"] if buyer == customer}
    bought = [item for item in rows["items"] if item[0] in mine]
    _, body = get(f"{services[STAGES[-1]]}{ORDER_PATH}?id={number}")
    assert json.loads(body) == {
        "id": number,
        "status": status,
        "placed_on": placed_on,
        "customer": f"Customer {customer}",
        "customer_orders": len(mine),
        "customer_cents": sum(quantity * cents for *_, quantity, cents in bought),
        "items": [
            {"sku": sku, "quantity": quantity, "cents": cents}
            for order, _, sku, quantity, cents in bought
            if order == number
        ],
        "parcel": {"order": number, "depot": "Poznan", "days_left": 1},
        "footer": "Thank you for your order. Returns are free within 30 days.",
    }


# -- tables ------------------------------------------------------------------------


def fail_beside_tables(
    url: str, interrupts: Interrupts, tables: Tables, error: type[BaseException]
) -> None:
    with prepared(url, interrupts) as database:
        names = {database.prefix + table for table in schema.TABLES}
        assert names <= set(tables(database))
        raise error(database.prefix)


@pytest.mark.parametrize("error", [SystemExit, ValueError])
def test_tables_are_dropped(
    url: str, interrupts: Interrupts, tables: Tables, error: type[BaseException]
) -> None:
    """Whatever ends the block, a signal or a failure, no table stays."""
    with pytest.raises(error) as caught:
        fail_beside_tables(url, interrupts, tables, error)
    assert tables(Database(url, caught.value.args[0])) == []


def test_tables_that_cannot_be_created(
    url: str, interrupts: Interrupts, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was created before the failure is dropped."""
    half = (schema.CREATE[0], "CREATE TABLE {p}orders (id NO SUCH TYPE, id)")
    monkeypatch.setattr(schema, "CREATE", half)
    prefix = secrets.token_hex(4)
    monkeypatch.setattr(secrets, "token_hex", lambda size: prefix)
    with pytest.raises(SetupError, match="refuses the tables"):
        prepared(url, interrupts).__enter__()
    assert tables(Database(url, f"order_demo_{prefix}_")) == []


def test_tables_that_cannot_be_dropped(tmp_path: Path, interrupts: Interrupts) -> None:
    """Then at least their names are told."""
    file = tmp_path / "orders.sqlite"
    block = prepared(f"sqlite://{file}", interrupts)
    block.__enter__()
    file.unlink()
    file.mkdir()
    with pytest.raises(DemoError, match=r"order_demo_\w+_\* could not be dropped"):
        block.__exit__(None, None, None)


# -- what scan and watch say -------------------------------------------------------


def test_scan_and_watch_name_what_blocks(
    tmp_path: Path,
    interrupts: Interrupts,
    child_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both name the call of the first stage that waits, and watch what to do."""
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    assert "requests.get" in scanned(STAGES[0])
    url = f"sqlite://{tmp_path}/orders.sqlite"
    with prepared(url, interrupts) as database:
        said = watched(STAGES[0], database, 0.3, tmp_path)
        assert "OrderDetailHandler.track_parcel: response = requests.get(" in said
        assert "put @unblock on class OrderDetailHandler" in said


@pytest.mark.parametrize("stage", STAGES, ids=[stage.name for stage in STAGES])
def test_scan_finds_what_watch_finds(
    stage: Variant,
    tmp_path: Path,
    interrupts: Interrupts,
    child_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The endpoints that block in the source are those that do while they run."""
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    scan(["scan", str(stage.load().__file__), "--format=json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    in_source = {row["endpoint"] for row in found if not row["unblocked"]}
    url = f"sqlite://{tmp_path}/orders.sqlite"
    with prepared(url, interrupts) as database:
        said = watched(stage, database, 2.0, tmp_path)
    assert set(re.findall(r"stalled for [^:]*: (\S+)", said)) == in_source
