"""Who observes offloads is told of each, once, where it can look around."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tornado_unblock import RunTimeoutError, configure, run_in_executor
from tornado_unblock._offload.offload import observe

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="")


class Notes:
    """Notes what it is told, on which thread, in which context."""

    def __init__(self) -> None:
        self.began_with: list[tuple[str, str]] = []
        self.threads: list[str] = []
        self.abandoned_with: list[tuple[str, str]] = []
        self.ended_with: list[tuple[str, str]] = []

    def began(self, offload: Any) -> None:
        self.began_with.append((offload.endpoint.name, var.get()))
        self.threads.append(threading.current_thread().name)

    def abandoned(self, offload: Any, why: str) -> None:
        self.abandoned_with.append((offload.endpoint.name, why))

    def ended(self, offload: Any, error: Any) -> None:
        self.ended_with.append((offload.endpoint.name, type(error).__name__))


@pytest.fixture
def notes() -> Iterator[Notes]:
    noted = Notes()
    observe(noted)
    yield noted
    observe(None)


def test_a_function(notes):
    """It begins in its worker and in its caller's context, and ends once."""

    async def main():
        var.set("mine")
        await run_in_executor(abs, -7)
        with pytest.raises(TypeError):
            await run_in_executor(int, "7", "ten")

    asyncio.run(main())
    assert notes.began_with == [("abs", "mine"), ("int", "mine")]
    assert all(name.startswith("unblock-") for name in notes.threads)
    assert notes.ended_with == [("abs", "NoneType"), ("int", "TypeError")]


def test_processes(notes):
    """What an executor elsewhere is to run begins on the loop thread."""
    configure("cpu", processes=1)

    async def main():
        var.set("mine")
        assert await run_in_executor(abs, -7, executor="cpu") == 7
        return threading.current_thread().name

    name = asyncio.run(main())
    assert notes.began_with == [("abs", "mine")]
    assert notes.threads == [name]
    assert notes.ended_with == [("abs", "NoneType")]


def test_abandonment(notes, gate, expect_log):
    """It is told why, before whoever waits hears of it; and of the end."""
    expect_log("tornado.application", "still running after")

    async def main():
        future = run_in_executor(gate.hold, timeout=0.01)
        with pytest.raises(RunTimeoutError):
            await future
        assert notes.ended_with == []
        gate.open.set()
        while not notes.ended_with:  # noqa: ASYNC110
            await asyncio.sleep(0)

    asyncio.run(main())
    assert notes.abandoned_with == [("Gate.hold", "its timeout of 0.01 s is over")]
    assert notes.ended_with == [("Gate.hold", "NoneType")]


def test_a_body_that_is_abandoned_before_it_begins(notes, gate):
    """It does not begin, and ends all the same."""
    configure("one", max_workers=1)

    async def main():
        held = await gate.hold_worker(executor="one")
        waits = run_in_executor(abs, -7, executor="one")
        waits.cancel()
        gate.open.set()
        await held

    asyncio.run(main())
    assert "abs" not in {name for name, _ in notes.began_with}
    assert notes.abandoned_with == []


def test_who_stops_to_observe(notes, gate):
    """An observer that goes meanwhile is told nothing more."""

    async def main():
        held = await gate.hold_worker()
        observe(None)
        gate.open.set()
        await held
        await run_in_executor(abs, -7)

    asyncio.run(main())
    assert "Gate.hold" not in {name for name, _ in notes.ended_with}
    assert "abs" not in {name for name, _ in notes.began_with}
