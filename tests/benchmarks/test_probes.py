"""The probes: measurements in a fresh process, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.contenders import command_of, contender_named
from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.kinds import Probe
from benchmarks.harness.processes import Children
from benchmarks.harness.servers import Servers, Setup
from benchmarks.probe import Line, imports


@pytest.fixture
def no_servers(tmp_path: Path) -> Servers:
    """Return what a probe never asks."""
    return Servers(Children(tmp_path), Interrupts(), Setup(), command_of)


def test_probe_of_the_import(
    no_servers: Servers,
    bench_env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs in a process of its own, and brings nothing foreign."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    probe = Probe("import", "", ("unblock",), probe="imports")
    figures = probe.measure(no_servers, "unblock", quick=True)
    assert figures["seconds"] > 0
    assert figures["foreign"] == 0
    assert imports("unblock", True)["foreign"] == 0


def test_probe_that_fails(
    no_servers: Servers,
    bench_env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it says last is passed on."""
    monkeypatch.setenv("PYTHONPATH", bench_env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    probe = Probe("queue", "", ("native",), probe="queue")
    with pytest.raises(DemoError, match=r"The probe queue failed: \w*Error"):
        probe.measure(no_servers, "flask_app", quick=True)


def test_cost_of_requests_in_line() -> None:
    """Each request of a batch takes some of the processor's time."""

    async def measure() -> float:
        application = contender_named("native").load().application(1)
        return await Line(application, queues=False).cpu(depth=20, requests=60)

    assert 0 < asyncio.run(measure()) < 1
