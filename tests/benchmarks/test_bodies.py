"""Real bodies: what they answer, what they ask, and what is left of it."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

pytest.importorskip("asyncpg")
pytest.importorskip("aiomysql")

from benchmarks.contenders import async_bodies, bodies
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Child, Children
from benchmarks.harness.servers import DONE
from benchmarks.stories.order_service import schema
from benchmarks.world import world

NAMES = (
    "report_postgresql",
    "report_mysql",
    "page_postgresql",
    "page_mysql",
    "upstream",
    "mixed",
)


@pytest.fixture
def there(
    tmp_path: Path,
    child_env: dict[str, str],
    postgresql_url: str,
    mysql_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """Provide what bodies ask, in the environment."""
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    with world(tmp_path / "world", Interrupts()) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment
        bodies.answer("rest")
        bodies._session().close()
        for cache in (bodies._engine, bodies._session, bodies._loader):
            cache.cache_clear()


def asynchronously(name: str) -> str:
    """Have a coroutine answer, and close what it has pooled."""

    async def ask() -> str:
        async_bodies._made.clear()
        try:
            return await async_bodies.answer(name)
        finally:
            await async_bodies.answer("rest")
            session = async_bodies._made.pop("session", None)
            if session:
                await session.result().close()

    return asyncio.run(ask())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ask", [bodies.answer, asynchronously])
def test_bodies(name: str, ask: Callable[[str], str], there: dict[str, str]) -> None:
    """Each does what it is called for, blocking and as a coroutine."""
    text = ask(name)
    assert DONE in text
    if name.startswith("report"):
        sold = json.loads(text)["sold"]
        assert len(sold) == 20
        assert sold == sorted(sold, key=lambda one: -one["cents"])
        assert 1_500 < len(text) < 3_000
    if name.startswith("page"):
        assert text.startswith("<!doctype html>")
        assert text.count("<tr>") >= 1


def test_tables(there: dict[str, str]) -> None:
    """Both databases have the same tables, whose names are this run's own."""
    prefix = there["BENCH_ITEMS"].partition("FROM ")[2].partition("items")[0]
    assert prefix.startswith("order_demo_")
    text = f"SELECT COUNT(*) FROM {prefix}orders"
    counts = [list(bodies.query(name, text, ())) for name in ("mysql", "postgresql")]
    assert counts == [[(schema.ORDERS,)]] * 2


def test_database_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child_env: dict[str, str]
) -> None:
    """It is left out, and with it the queries if none answers."""
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    for name in ("mysql", "postgresql"):
        url = f"{name}://root@127.0.0.1:1/nowhere"
        monkeypatch.setenv(f"TORNADO_UNBLOCK_TEST_{name.upper()}", url)
    with world(tmp_path / "world", Interrupts()) as environment:
        assert sorted(environment) == ["BENCH_STEPS", "BENCH_UPSTREAM"]
        with urllib.request.urlopen(environment["BENCH_UPSTREAM"]) as response:
            assert DONE in response.read().decode()


# -- processes ---------------------------------------------------------------------

GRANDCHILD = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
FORKS = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {GRANDCHILD!r}], stdin=subprocess.PIPE)
child.wait()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")
@pytest.mark.parametrize("end", [Child.stop, lambda child: child.finish(30.0)])
def test_keeper_leaves_nobody(
    end: Callable[[Child], None], tmp_path: Path, child_env: dict[str, str]
) -> None:
    """What a server has started goes with it, stopped or left alone."""
    keeper = [sys.executable, "-m", "benchmarks.harness.keeper"]
    path = {"PYTHONPATH": child_env["PYTHONPATH"]}
    with Children(tmp_path) as children:
        child = children.start("kept", [*keeper, sys.executable, "-c", FORKS], **path)
        own = int(child.next_line())
        grandchild = int(child.next_line())
        assert own != grandchild
        ends = [os.pidfd_open(pid) for pid in (own, grandchild)]
        end(child)
    for descriptor in ends:
        assert select.select([descriptor], [], [], 30.0)[0]  # it has ended
        os.close(descriptor)


def test_keeper_without_a_session_of_its_own(child_env: dict[str, str]) -> None:
    """It would end whoever started it, so it does not begin."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.keeper", sys.executable, "-V"],
        env=child_env,
        cwd=os.path.dirname(sys.executable),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "start it in a session of its own" in ended.stderr
