"""The order service's signals, child processes and the API it asks."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from benchmarks.harness import processes
from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Child, Children, address
from benchmarks.harness.turnstile import Turnstile
from benchmarks.stories.order_service.runner import start_logistics
from tests.patience import WAIT

# -- the logistics API -------------------------------------------------------------


def test_every_tenth_call_is_turned_away_once() -> None:
    """A retry of the same order is let in, so that one is enough."""
    turnstile = Turnstile()
    assert [turnstile.admits("1") for _ in range(10)] == [True] * 9 + [False]
    assert turnstile.admits("1")
    assert [turnstile.admits(str(order)) for order in range(10)] == [True] * 9 + [False]


# -- signals and children ----------------------------------------------------------


def test_signal_is_let_through_where_allowed() -> None:
    """It becomes SystemExit with the exit code that shells use."""
    with Interrupts() as interrupts:
        with pytest.raises(SystemExit) as caught, interrupts.allowed():
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM


def test_signal_waits_where_it_is_not_allowed() -> None:
    """It ends the next block that allows it, which does not even begin."""
    began = []
    with Interrupts() as interrupts:
        with interrupts.allowed():
            pass
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(SystemExit) as caught, interrupts.allowed():
            began.append(True)
    assert not began
    assert caught.value.code == 128 + signal.SIGINT


def test_second_signal_is_ignored() -> None:
    """An impatient Ctrl-C does not cut the clean-up short."""
    with Interrupts() as interrupts:
        with pytest.raises(SystemExit), interrupts.allowed():
            signal.raise_signal(signal.SIGINT)
        with interrupts.allowed():
            signal.raise_signal(signal.SIGINT)


def test_signals_are_given_back() -> None:
    """After the block, the handlers are what they were."""
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


STUBBORN = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
threading.Event().wait()
"""


def fail_beside_a_child(folder: Path, started: list[Child]) -> None:
    with Children(folder) as children:
        started.append(children.start("stubborn", python(STUBBORN)))
        assert started[0].next_line() == "up"
        raise ZeroDivisionError


def test_children_are_stopped_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that ends neither with its input nor on SIGTERM."""
    monkeypatch.setattr(processes, "PATIENCE", 0.1)
    started: list[Child] = []
    with pytest.raises(ZeroDivisionError):
        fail_beside_a_child(tmp_path, started)
    assert not started[0].running()


def test_child_that_fails_says_why(tmp_path: Path) -> None:
    """The end of its error output is in the message."""
    with Children(tmp_path) as children:
        child = children.start("broken", python("raise SystemExit('no luck')"))
        with pytest.raises(DemoError, match=r"(?s)broken process.*no luck"):
            child.next_line()


def test_child_that_says_nothing(tmp_path: Path) -> None:
    """It is not waited for without end, neither at the start nor at the end."""
    with Children(tmp_path) as children:
        child = children.start(
            "mute", python("import threading as t; t.Event().wait()")
        )
        with pytest.raises(DemoError, match="did not start"):
            child.next_line(timeout=0.1)
        with pytest.raises(DemoError, match="does not end"):
            child.finish(timeout=0.1)


TALKER = """
import sys
print("one")
print("tw", end="", flush=True)
sys.stdin.read()
print("o")
"""


def test_output_is_read_line_by_line(tmp_path: Path) -> None:
    """Half a line waits for its other half."""
    with Children(tmp_path) as children:
        child = children.start("talker", python(TALKER))
        assert child.next_line() == "one"
        assert child.new_lines() == []
        child.finish(timeout=WAIT)
        assert child.new_lines() == ["two"]


def test_lines_that_come_at_once(tmp_path: Path) -> None:
    """Each is there for the next who asks, whichever way."""
    with Children(tmp_path) as children:
        child = children.start("quick", python("print(1); print(2); print(3)"))
        child.finish(timeout=WAIT)
        assert child.next_line() == "1"
        assert child.next_line() == "2"
        assert child.new_lines() == ["3"]


def test_servers_leave_with_their_parent(
    child_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server ends with its input, so that even a killed parent leaves none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", child_env["PYTHONPATH"])
    with Children(tmp_path) as children:
        logistics = start_logistics(children, delay=0.0)
        assert address(logistics)
        logistics.finish(timeout=WAIT)
        assert not logistics.running()
